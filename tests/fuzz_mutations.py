"""Right answers, damaged in the ways that answers are: a grammar of mutations for Hypothesis."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final
from xml.etree import ElementTree as ET

from hypothesis import strategies as st

_TEXTS: Final = st.sampled_from(
    ["", " ", "true", "false", "0", "-1", "9" * 25, "&", "<", '"', "]]>", "\x85", "ü", "a+b%2F%"]
)
_NAMES: Final = st.sampled_from(
    ["ETag", "Key", "Contents", "Error", "Code", "IsTruncated", "Part", "UploadId", "Tag", "x"]
)

Damage = Callable[[st.DrawFn, ET.Element], ET.Element]


def _all_within(root: ET.Element) -> list[tuple[ET.Element, ET.Element]]:
    return [(parent, child) for parent in root.iter() for child in parent]


def _drop(draw: st.DrawFn, root: ET.Element) -> ET.Element:
    parent, child = draw(st.sampled_from(_all_within(root)))
    parent.remove(child)
    return root


def _duplicate(draw: st.DrawFn, root: ET.Element) -> ET.Element:
    parent, child = draw(st.sampled_from(_all_within(root)))
    parent.insert(draw(st.integers(0, len(parent))), copy.deepcopy(child))
    return root


def _nest(draw: st.DrawFn, root: ET.Element) -> ET.Element:
    parent, child = draw(st.sampled_from(_all_within(root)))
    parent.remove(child)
    ET.SubElement(parent, draw(_NAMES)).append(child)
    return root


def _rename(draw: st.DrawFn, root: ET.Element) -> ET.Element:
    draw(st.sampled_from(list(root.iter()))).tag = draw(_NAMES)
    return root


def _retext(draw: st.DrawFn, root: ET.Element) -> ET.Element:
    draw(st.sampled_from(list(root.iter()))).text = draw(_TEXTS)
    return root


def _wrap(draw: st.DrawFn, root: ET.Element) -> ET.Element:
    outer = ET.Element(draw(st.sampled_from(["Error", "ErrorResponse", "html", root.tag])))
    outer.append(root)
    return outer


_DAMAGES: Final[tuple[Damage, ...]] = (_drop, _duplicate, _nest, _rename, _retext, _wrap)

_REWRITES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "as it is": lambda body: body,
    "declared": lambda body: b'<?xml version="1.0" encoding="UTF-8"?>\n' + body,
    "kept waiting": lambda body: b'<?xml version="1.0" encoding="UTF-8"?>' + b" \r\n" * 9 + body,
    "a comment before": lambda body: b"<!-- < -->" + body,
    "a comment within": lambda body: body.replace(b"><", b"><!-- &x; --><", 1),
    "CDATA": lambda body: body.replace(b"ETag>", b"ETag><![CDATA[", 1).replace(
        b"</ETag", b"]]></ETag", 1
    ),
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "an instruction": lambda body: b"<?stylesheet x?>" + body,
    "a document type": lambda body: b"<!DOCTYPE x>" + body,
    "an entity": lambda body: b'<!DOCTYPE x [<!ENTITY e "v">]>' + body.replace(b"><", b">&e;<", 1),
    "an undeclared entity": lambda body: body.replace(b"><", b">&e;<", 1),
    "UTF-16": lambda body: body.decode("utf-8", "replace").encode("utf-16"),
    "another encoding, declared": lambda body: b'<?xml version="1.0" encoding="latin-1"?>' + body,
    "a namespace": lambda body: body.replace(b">", b' xmlns="urn:x">', 1),
    "a prefix": lambda body: body.replace(b"<", b"<s3:", 1),
    "an attribute": lambda body: body.replace(b">", b' a="1" b="&lt;">', 1),
    "an attribute twice": lambda body: body.replace(b">", b' a="1" a="2">', 1),
    "more after its end": lambda body: body + b"<a/>",
    "twice": lambda body: body + body,
    "a null byte": lambda body: body.replace(b"><", b">\0<", 1),
    "no UTF-8": lambda body: body.replace(b"><", b">\xff<", 1),
}


@st.composite
def damaged(draw: st.DrawFn, document: str) -> bytes:
    """Draw what a right answer may become: elements moved, texts changed, bytes lost.

    Args:
        draw: Hypothesis.
        document: A right answer, without document type.
    """
    root: Any = ET.fromstring(document)  # noqa: S314 - a sample of the tests
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    for damage in draw(st.lists(st.sampled_from(_DAMAGES), max_size=2)):
        root = damage(draw, root) if _all_within(root) else root
    body: bytes = ET.tostring(root, encoding="unicode").encode()
    body = _REWRITES[draw(st.sampled_from(sorted(_REWRITES)))](body)
    if draw(st.integers(0, 4)) == 0:
        first = draw(st.integers(0, len(body)))
        body = body[:first] + body[first + draw(st.integers(0, 9)) :]
    return body
