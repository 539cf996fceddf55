"""XML as S3 sends it: read strictly, without document types, in bounded space. Pure.

Most answers are flat: a root and texts below it. One regular expression recognises those, whole;
whatever else there is goes to expat. Both give the same values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers import expat

NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*+"
# No ">", though XML allows it: so "]]>", which it does not, needs no thought.
TEXT: Final = (
    r"[^<&>\x00-\x1f]*+(?:&(?:lt|gt|amp|quot|apos|#34|#39|#x9|#xA|#xD);[^<&>\x00-\x1f]*+)*+"
)
BLANKS: Final = r"[ \t\r\n]*+"
_DECLARATION: Final = (
    r"""<\?xml version=(?:"1\.0"|'1\.0')(?: encoding=(?:"(?i:UTF-8)"|'(?i:UTF-8)'))?\?>"""
)
OPENING: Final = (
    rf"{BLANKS}(?:{_DECLARATION})?+{BLANKS}"
    rf'<(?P<root>{NAME})(?: xmlns="(?!http://www\.w3\.org)[^"<>&}}\x00-\x20]*+")?+>'
)
"""The start of a document, its root's tag included."""

_FLAT: Final = re.compile(
    rf"{OPENING}(?P<inner>(?:{BLANKS}<(?P<leaf>{NAME})>{TEXT}</(?P=leaf)>)++)"
    rf"{BLANKS}</(?P=root)>{BLANKS}"
)
_LEAF: Final = re.compile(rf"<({NAME})>([^<]*+)</")
# XML's own five entities, and the references that servers written in Go use.
_REFERENCES: Final = (
    ("&quot;", '"'),
    ("&#34;", '"'),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&apos;", "'"),
    ("&#39;", "'"),
    ("&#x9;", "\t"),
    ("&#xA;", "\n"),
    ("&#xD;", "\r"),
    # The last, or "&amp;lt;" would become "<".
    ("&amp;", "&"),
)
_MAX_DEPTH: Final = 16
# A thousand entries of fifty elements each. An element takes 250 bytes here, and 4 on the way.
_MAX_ELEMENTS: Final = 50_000
# expat looks at a tag or comment from its beginning with every further piece (CVE-2023-52425), and
# gives out all attributes of a tag at once: both are bounded by this. S3's tags have 60 bytes.
_MAX_TAG_BYTES: Final = 64 * 1024
_PIECE_BYTES: Final = 32 * 1024
# A thousand parts, the longest of these, take half of one MiB.
_MAX_BYTES: Final = 4 * 1024 * 1024

_PRINTED: Final = r"[ !#-%'-;=?-~]"  # printable ASCII that means nothing to XML
_ADDRESS: Final = r"[!#-%'-;=?-|~]"  # the same without what ends a namespace for somebody
_OTHER_FIELD: Final = rf"<(?!ETag>)([A-Za-z0-9]+)>{_PRINTED}*</\{{}}>"
_COPY_RESULT: Final = re.compile(
    (
        rf'{BLANKS}(?:<\?xml version="1\.0" encoding="(?:UTF|utf)-8"\?>)?{BLANKS}'
        rf'<(?P<root>[A-Za-z]+)(?: xmlns="(?!http://www\.w3\.org){_ADDRESS}*")?>'
        rf"(?:{_OTHER_FIELD.format(2)})*"
        rf'<ETag>(?:&quot;|&#34;|")?(?P<etag>{_PRINTED}+)(?:&quot;|&#34;|")?</ETag>'
        rf"(?:{_OTHER_FIELD.format(4)})*"
        rf"</(?P=root)>{BLANKS}"
    ).encode()
)


class XmlError(Exception):
    """Report a document that is damaged, or of a kind that S3 does not send."""


@dataclass(slots=True)
class Element:
    """One element; names are without their namespaces.

    Attributes:
        name: Name.
        content: The character data in it; not kept where there are elements, too.
        children: The elements in it, in order.
    """

    name: str
    content: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, name: str) -> Element | None:
        """Return the one child of that name, or ``None``.

        Raises:
            XmlError: There are two: nobody could say which one counts.
        """
        found = [child for child in self.children if child.name == name]
        if len(found) > 1:
            raise XmlError(f"<{self.name}> holds {len(found)} <{name}>")
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """Return the text of the one child of that name, or ``None``.

        Raises:
            XmlError: There are two, or it is more than text.
        """
        found = self.child(name)
        if found is None:
            return None
        if found.children:
            raise XmlError(f"<{name}> is more than text")
        return found.content


def parse(body: bytes) -> Element:
    """Read a document; returns its root.

    Raises:
        XmlError: Not well-formed, or not of the plain kind that S3 sends.
    """
    if len(body) > _MAX_BYTES:
        raise XmlError(f"{len(body):,} bytes, more than any answer of S3 but a listing has")
    root = _flat(body)
    if root is not None:
        return root
    parser = DocumentParser()
    parser.feed(body)
    return parser.close()


def quick_etag(body: bytes, root: str) -> str | None:
    """Return the ETag, unquoted, of a copy's result in the form that S3 gives it.

    Every byte of the document is accounted for; for any other form ``parse`` takes a closer look.

    Args:
        body: The document.
        root: Name of its root.

    Returns:
        The ETag, or ``None`` where the document has another form.
    """
    found = _COPY_RESULT.fullmatch(body)
    if found is None or found["root"] != root.encode():
        return None
    return found["etag"].decode("ascii")


def unescaped(text: str) -> str:
    """Resolve the references that ``TEXT`` allows."""
    if "&" in text:
        for reference, character in _REFERENCES:
            text = text.replace(reference, character)
    return text


def decoded_text(body: bytes) -> str | None:
    """Return a document as text, or ``None`` where that takes a closer look."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    # The characters beyond ASCII that XML does not allow.
    return text if text.isascii() or not ("\ufffe" in text or "\uffff" in text) else None


def _flat(body: bytes) -> Element | None:
    text = decoded_text(body)
    found = _FLAT.fullmatch(text) if text is not None else None
    if found is None or found["inner"].count("</") > _MAX_ELEMENTS:
        return None
    leaves = [Element(name, unescaped(value)) for name, value in _LEAF.findall(found["inner"])]
    return Element(found["root"], "", leaves)


class DocumentParser:
    """Read a document piece by piece with expat."""

    def __init__(self) -> None:
        self._tree = _Tree()
        self._is_first = True
        self._fed_bytes = 0
        # A namespace separator lets expat check and resolve prefixes.
        self._expat = expat.ParserCreate("utf-8", " ")
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._tree.start
        self._expat.EndElementHandler = self._tree.end
        self._expat.CharacterDataHandler = self._tree.characters
        # Entities are declared in document types; without them nothing can expand or be fetched.
        self._expat.StartDoctypeDeclHandler = _refuse_doctype
        self._expat.ProcessingInstructionHandler = _refuse_instruction

    def feed(self, data: bytes) -> None:
        """Take in the next bytes.

        Raises:
            XmlError: Not well-formed, or not of the plain kind that S3 sends.
        """
        if b"\0" in data:
            # Told to read UTF-8, expat still reads UTF-16 where a document begins like it.
            raise XmlError("a null byte, which no XML in UTF-8 has")
        if self._is_first:
            # S3 keeps connections alive with blanks, other servers even before the declaration.
            data = data.lstrip(b" \t\r\n")
        self._is_first = self._is_first and not data
        for begin in range(0, len(data), _PIECE_BYTES):
            piece = data[begin : begin + _PIECE_BYTES]
            self._parse(piece, is_final=False)
            self._fed_bytes += len(piece)
            if self._fed_bytes - self._expat.CurrentByteIndex > _MAX_TAG_BYTES:
                raise XmlError("a longer tag than any answer of S3 has")

    def close(self) -> Element:
        """End the document; returns its root.

        Raises:
            XmlError: The document is not complete.
        """
        self._parse(b"", is_final=True)
        return self._tree.top.children[0]

    def _parse(self, data: bytes, *, is_final: bool) -> None:
        try:
            self._expat.Parse(data, is_final)
        except expat.ExpatError as error:
            raise XmlError(f"not well-formed XML: {error}") from None


class _Tree:
    """Elements as they come. It does not know its parser: neither needs a garbage collector."""

    def __init__(self) -> None:
        self.top = Element("")
        self._open = [self.top]
        self._elements = 0
        self._text: list[str] = []

    def start(self, name: str, _: object) -> None:
        self._elements += 1
        if self._elements > _MAX_ELEMENTS or len(self._open) > _MAX_DEPTH:
            raise XmlError("more elements than any answer of S3 has")
        if "}" in name:
            # ElementTree, and so botocore, ends a namespace there.
            raise XmlError("a namespace that no answer of S3 has")
        element = Element(name.rpartition(" ")[2])
        self._open[-1].children.append(element)
        self._open.append(element)
        self._text.clear()

    def end(self, _: str) -> None:
        ended = self._open.pop()
        if not ended.children:
            ended.content = "".join(self._text)
        self._text.clear()

    def characters(self, data: str) -> None:
        self._text.append(data)


def _refuse_doctype(*_: object) -> NoReturn:
    raise XmlError("a document type, which no answer of S3 has")


def _refuse_instruction(*_: object) -> NoReturn:
    raise XmlError("a processing instruction, which no answer of S3 has")
