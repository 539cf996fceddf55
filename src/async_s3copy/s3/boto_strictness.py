"""Refuse what botocore would read, and nothing of S3's is: so both clients are equally strict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.etree.ElementTree import Element

from botocore.parsers import ResponseParserError

# Within a document no "<" stands for itself, so this is nothing that a key could hold.
_DOCUMENT_TYPE: Final = b"<!DOCTYPE"
# Their success is a document; botocore takes nothing at all for one in which nothing is set.
_DOCUMENTS: Final = frozenset(
    (
        "CompleteMultipartUpload",
        "CopyObject",
        "CreateMultipartUpload",
        "GetBucketVersioning",
        "GetObjectAcl",
        "GetObjectTagging",
        "ListMultipartUploads",
        "ListObjectVersions",
        "ListObjectsV2",
        "ListParts",
        "UploadPartCopy",
    )
)
# Told to read UTF-8, expat still reads UTF-16 where a document begins like it: every tag has these.
_NULL: Final = b"\0"


def refuse_odd_documents(events: Any) -> None:
    """Have a client refuse answers that are no document of S3's.

    Those are an empty one where there has to be one, one with a document type, and one in UTF-16,
    where that could hide.

    botocore reads XML by expat, which stops an avalanche of entities (since 2.4.1) and fetches no
    external ones, but does expand a few.

    Args:
        events: The client's event hooks.
    """
    events.register_first("before-parse.s3", _refuse, unique_id="async-s3copy-odd-documents")


def refuse_doubled_fields(answer: object) -> None:
    """Refuse an answer in which a field is there twice: nobody could say which one counts.

    botocore then gives a list of the XML's elements in place of a text.

    Raises:
        ResponseParserError: There is one.
    """
    if isinstance(answer, dict):
        for value in answer.values():
            refuse_doubled_fields(value)
    elif isinstance(answer, list):
        for value in answer:
            refuse_doubled_fields(value)
    elif isinstance(answer, Element):
        raise ResponseParserError(f"The answer holds more than one <{answer.tag}>.")


def _refuse(response_dict: Mapping[str, Any], operation_model: Any, **_: Any) -> None:
    body = response_dict.get("body")
    if not isinstance(body, bytes):
        return
    is_success = response_dict.get("status_code") == 200
    if is_success and operation_model.name in _DOCUMENTS and not body.strip():
        raise ResponseParserError("The answer is empty.")
    if _DOCUMENT_TYPE in body:
        raise ResponseParserError("The answer has a document type, which no answer of S3 has.")
    if _NULL in body:
        raise ResponseParserError("The answer has a null byte, which no XML in UTF-8 has.")
