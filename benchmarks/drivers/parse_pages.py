"""Parse recorded listing pages over and over: the wire's parser, or botocore's."""

from __future__ import annotations

import http.client
import re
import sys
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlsplit

from benchmarks.drivers import common

_PASSES: Final = 5
_LAST_KEY: Final = re.compile(rb".*<Key>([^<]*)</Key>", re.DOTALL)


def record(job: dict[str, Any]) -> list[bytes]:
    """Read every page once, as the server sent it."""
    host = urlsplit(job["url"])
    connection = http.client.HTTPConnection(str(host.hostname), host.port)
    pages: list[bytes] = []
    after = ""
    while not pages or b"<IsTruncated>true" in pages[-1]:
        # The key in the page is URL-encoded already.
        query = f"list-type=2&encoding-type=url&prefix={quote(job['prefix'])}&start-after={after}"
        connection.request("GET", f"/{job['source_bucket']}?{query}")
        pages.append(connection.getresponse().read())
        last = _LAST_KEY.match(pages[-1])
        after = last[1].decode() if last else ""
    connection.close()
    return pages


def wire(job: dict[str, Any]) -> Callable[[bytes], int]:
    """Return what the wire client does with a page."""
    from async_s3copy.s3.wire.listing_xml import ListingParser

    def parse(body: bytes) -> int:
        return len(ListingParser(job["source_bucket"], body).page().objects)

    return parse


def botocore(job: dict[str, Any]) -> Callable[[bytes], int]:
    """Return what botocore, and so every boto client, does with a page."""
    from botocore.handlers import decode_list_object_v2
    from botocore.parsers import create_parser
    from botocore.session import get_session

    model = get_session().get_service_model("s3").operation_model("ListObjectsV2")
    parser = create_parser("rest-xml")

    def parse(body: bytes) -> int:
        answer = {"status_code": 200, "headers": {}, "body": body}
        page = parser.parse(answer, model.output_shape)
        decode_list_object_v2(page, {})
        return len(page["Contents"])

    del job
    return parse


def main() -> None:
    """Record, parse each page a few times, and tell how many keys a second of CPU time gives."""
    job = common.job()
    parse = (wire if "wire" in sys.argv[2:] else botocore)(job)
    pages = record(job)
    if sum(map(parse, pages)) != job["objects"]:
        sys.exit("the pages do not hold the keys that are there")
    started = time.process_time()
    keys = sum(parse(page) for _ in range(_PASSES) for page in pages)
    spent = time.process_time() - started
    common.tell(keys_per_cpu_s=keys / spent, parsed=keys, page_ms=1_000 * spent / keys * 1_000)


if __name__ == "__main__":
    main()
