"""BotoCalls: one call at a time through aiobotocore, on a bucket's terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
from botocore import xform_name

from async_s3copy.errors import Side
from async_s3copy.s3 import boto_answers as answers
from async_s3copy.s3 import boto_requests as params
from async_s3copy.s3.boto_document import keep_answers
from async_s3copy.s3.boto_errors import translated
from async_s3copy.s3.boto_redirects import bound_redirects
from async_s3copy.s3.boto_sends import Count, count_sends, counting_more_than_one, nobody_counts
from async_s3copy.s3.boto_signing import boto_signing
from async_s3copy.s3.boto_strictness import refuse_doubled_fields, refuse_odd_documents
from async_s3copy.s3.endpoint import Endpoint
from async_s3copy.s3.heads import SERVERS_WITH_TAG_COUNT
from async_s3copy.s3.signing import Signing
from async_s3copy.s3.term_headers import TermHeaders
from async_s3copy.s3.terms import NO_TERMS, Terms
from async_s3copy.s3.wire.patience import TIMEOUTS_PER_ANSWER


class BotoCalls:
    """Make calls through an entered aiobotocore client.

    Args:
        client: The client; whoever opened it closes it.
        side: Whose credentials it signs with.
        session: The session it comes from.
        terms: On what terms buckets are spoken to.
        count: Counts a request that botocore sends besides the one of a call, such as one to
            another Region; called with whether it repeats another.

    Attributes:
        client: The aiobotocore client.
        side: Whose credentials it signs with.
        terms: Gives the headers that the terms add to a request.
    """

    def __init__(
        self,
        client: Any,
        side: Side,
        session: Any,
        terms: Terms = NO_TERMS,
        count: Count = nobody_counts,
    ) -> None:
        self.client = client
        self.side: Side = side
        self._session = session
        self._server = ""
        self._saw_tag_count = False
        meta = client.meta
        self._endpoint = Endpoint.from_url(meta.endpoint_url, meta.region_name, meta.partition)
        self.terms = TermHeaders(terms, side, self._endpoint)
        params.send_raw_headers(client.meta.events)
        keep_answers(client.meta.events)
        bound_redirects(client.meta.events)
        refuse_odd_documents(client.meta.events)
        count_sends(client.meta.events)
        self._count = count
        self._signing: Signing | None = None
        self._longest_answer_s = TIMEOUTS_PER_ANSWER * float(meta.config.read_timeout)

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go, as botocore resolved it."""
        return self._endpoint

    @property
    def reports_tag_count(self) -> bool:
        """Whether the server is known to count tags: by its name, or by having done so."""
        return self._saw_tag_count or self._server.startswith(SERVERS_WITH_TAG_COUNT)

    async def credentials(self) -> Any:
        """Return botocore's credentials, which refresh themselves; ``None`` for none."""
        return await self._session.get_credentials()

    async def signing(self) -> Signing:
        """Return the keys and the clock that requests are signed with."""
        credentials = None if self._signing else await self.credentials()
        # Another call may have been faster meanwhile.
        self._signing = self._signing or boto_signing(self.client, credentials, self.side)
        return self._signing

    async def _call(
        self,
        operation: str,
        bucket: str,
        key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        source_bucket: str = "",
        **parameters: Any,
    ) -> dict[str, Any]:
        if key is not None:
            parameters["Key"] = key
        terms = self.terms.of(operation, bucket, source_bucket)
        parameters[params.RAW_HEADERS] = {**terms, **(headers or {})}
        method = getattr(self.client, xform_name(operation))

        async def ask() -> None:
            async with translated("ListObjectsV2", self.side, bucket):
                raw = {params.RAW_HEADERS: self.terms.of("ListObjectsV2", bucket)}
                await self.client.list_objects_v2(Bucket=bucket, Prefix=key or "", MaxKeys=1, **raw)

        signing = await self.signing()
        with counting_more_than_one(self._count):
            async with signing.heeding(ask), translated(operation, self.side, bucket, key):
                # A body may take its time to be sent, and aiohttp watches that.
                with anyio.fail_after(None if "Body" in parameters else self._longest_answer_s):
                    answer: dict[str, Any] = await method(Bucket=bucket, **parameters)
                refuse_doubled_fields(answer)
        if not self._server:
            self._server = answers.headers(answer).get("server", "")
        return answer
