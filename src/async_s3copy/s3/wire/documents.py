"""The XML documents that requests carry. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from async_s3copy.errors import ValidationError
from async_s3copy.model import unquoted
from async_s3copy.s3.values import CompletedPart

_NAMESPACE: Final = "http://s3.amazonaws.com/doc/2006-03-01/"
# A carriage return written as it is would be read as a line feed.
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def tagging(tags: Mapping[str, str]) -> bytes:
    """Return the body of PutObjectTagging."""
    pairs = [
        f"<Tag><Key>{_text(name)}</Key><Value>{_text(value)}</Value></Tag>"
        for name, value in tags.items()
    ]
    return _document("Tagging", f"<TagSet>{''.join(pairs)}</TagSet>")


def completion(parts: Sequence[CompletedPart]) -> bytes:
    """Return the body of CompleteMultipartUpload."""
    listed = [
        f"<Part><PartNumber>{part.number}</PartNumber>"
        f'<ETag>"{_text(unquoted(part.etag))}"</ETag>{_checksums(part)}</Part>'
        for part in parts
    ]
    return _document("CompleteMultipartUpload", "".join(listed))


def _checksums(part: CompletedPart) -> str:
    return "".join(
        f"<Checksum{name.upper()}>{_text(value)}</Checksum{name.upper()}>"
        for name, value in part.checksums.items()
    )


def _document(root: str, inner: str) -> bytes:
    text = f'<{root} xmlns="{_NAMESPACE}">{inner}</{root}>'
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValidationError(root, inner, "be encodable as UTF-8") from None


def _text(text: str) -> str:
    return text.translate(_ESCAPES)
