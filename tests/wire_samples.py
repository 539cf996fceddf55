"""Answers in the shapes that S3 and servers like it give them, and documents made up at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from hypothesis import strategies as st

_NS: Final = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'
_MD5: Final = "0123456789abcdef0123456789abcdef"

# One object, "a b/ü", of 3 bytes; the page is truncated at it.
LISTINGS: Final = {
    "AWS": (
        f"{_DECLARATION}\n<ListBucketResult {_NS}><Name>bucket</Name><Prefix></Prefix>"
        "<NextContinuationToken>1x+/=</NextContinuationToken><KeyCount>1</KeyCount>"
        "<MaxKeys>1</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
        "<Contents><Key>a+b/%C3%BC</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified>"
        f"<ETag>&quot;{_MD5}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
        "<ChecksumType>FULL_OBJECT</ChecksumType><Size>3</Size><StorageClass>GLACIER</StorageClass>"
        "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
        "<RestoreExpiryDate>2024-02-01T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>"
        "</Contents></ListBucketResult>"
    ),
    "SeaweedFS": (
        f"{_DECLARATION}\n<ListBucketResult {_NS}><Name>bucket</Name><Prefix></Prefix>"
        "<MaxKeys>1</MaxKeys><IsTruncated>true</IsTruncated><Contents><Key>a%20b/%C3%BC</Key>"
        f"<ETag>&#34;{_MD5}&#34;</ETag><Size>3</Size><StorageClass>GLACIER</StorageClass>"
        "<LastModified>2024-01-02T03:04:05Z</LastModified></Contents>"
        "<NextContinuationToken>1x+/=</NextContinuationToken><EncodingType>url</EncodingType>"
        "<KeyCount>1</KeyCount></ListBucketResult>"
    ),
    "moto": (
        f'<?xml version="1.0" encoding="utf-8"?>\n<ListBucketResult {_NS}>'
        "<IsTruncated>true</IsTruncated><Contents><Key>a%20b/%C3%BC</Key>"
        "<LastModified>2024-01-02T03:04:05.000Z</LastModified>"
        f'<ETag>"{_MD5}"</ETag><Size>3</Size><StorageClass>GLACIER</StorageClass></Contents>'
        "<Name>bucket</Name><Prefix/><MaxKeys>1</MaxKeys><EncodingType>url</EncodingType>"
        "<KeyCount>1</KeyCount><NextContinuationToken>1x+/=</NextContinuationToken>"
        "</ListBucketResult>"
    ),
    "with owners, unencoded, indented": (
        f"{_DECLARATION}\n<ListBucketResult {_NS}>\n  <Name>bucket</Name>\n  <Contents>\n"
        "    <Key>a b/ü</Key>\n    <LastModified>2024-01-02T03:04:05.000Z</LastModified>\n"
        f"    <ETag>&quot;{_MD5}&quot;</ETag>\n    <Size>3</Size>\n"
        "    <Owner>\n      <ID>1</ID>\n      <DisplayName>o</DisplayName>\n    </Owner>\n"
        "    <StorageClass>GLACIER</StorageClass>\n  </Contents>\n"
        "  <IsTruncated>true</IsTruncated>\n"
        "  <NextContinuationToken>1x+/=</NextContinuationToken>\n</ListBucketResult>\n"
    ),
    "odd but well-formed": (
        f"<?xml version='1.0' encoding='UTF-8' standalone='yes'?><!-- page -->"
        "<s3:ListBucketResult xmlns:s3='http://s3.amazonaws.com/doc/2006-03-01/'>"
        "<s3:Contents a='1'><s3:Key><![CDATA[a b/]]>&#xFC;</s3:Key><s3:Size> 3 </s3:Size>"
        f'<s3:ETag>&#x22;{_MD5}<!-- -->"</s3:ETag><s3:StorageClass>GLACIER</s3:StorageClass>'
        "<s3:LastModified>2024-01-02T03:04:05+00:00</s3:LastModified></s3:Contents>"
        "<s3:IsTruncated>true</s3:IsTruncated><s3:EncodingType/>"
        "<s3:NextContinuationToken>1x+/=</s3:NextContinuationToken></s3:ListBucketResult>"
    ),
}

COPY_RESULTS: Final = {
    "AWS": (
        f"{_DECLARATION}\n<CopyObjectResult {_NS}>"
        f"<LastModified>2024-01-02T03:04:05.000Z</LastModified><ETag>&quot;{_MD5}&quot;</ETag>"
        "<ChecksumType>FULL_OBJECT</ChecksumType><ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME>"
        "</CopyObjectResult>"
    ),
    "AWS, kept waiting": (
        f"{_DECLARATION}\n{' ' * 40}\n\n<CopyObjectResult {_NS}>"
        f"<ETag>&quot;{_MD5}&quot;</ETag></CopyObjectResult>"
    ),
    "SeaweedFS": (
        f"{_DECLARATION}\n<CopyObjectResult><LastModified>2024-01-02T03:04:05.251Z</LastModified>"
        f"<ETag>{_MD5}</ETag></CopyObjectResult>"
    ),
    "moto": (
        f'<?xml version="1.0" encoding="utf-8"?>\n<CopyObjectResult {_NS}><ETag>"{_MD5}"</ETag>'
        "<LastModified>2024-01-02T03:04:05.000Z</LastModified></CopyObjectResult>"
    ),
}

_XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
ACL: Final = (
    f"{_DECLARATION}\n<AccessControlPolicy {_NS}><Owner><ID>o1</ID></Owner><AccessControlList>"
    f'<Grant><Grantee {_XSI} xsi:type="CanonicalUser"><ID>o1</ID><DisplayName>me</DisplayName>'
    "</Grantee><Permission>FULL_CONTROL</Permission></Grant>"
    f'<Grant><Grantee {_XSI} xsi:type="Group"><URI>http://acs.amazonaws.com/groups/g</URI>'
    "</Grantee><Permission>READ</Permission></Grant>"
    f'<Grant><Grantee {_XSI} xsi:type="CanonicalUser"><ID>o2</ID></Grantee>'
    "<Permission>READ</Permission></Grant>"
    f'<Grant><Grantee {_XSI} xsi:type="CanonicalUser"><ID>o2</ID></Grantee>'
    "<Permission>WRITE</Permission></Grant></AccessControlList></AccessControlPolicy>"
)


def version(key: str, version_id: str | None, second: int, *, latest: bool = False) -> str:
    """Return one version as a listing tells of it."""
    told = "" if version_id is None else f"<VersionId>{version_id}</VersionId>"
    return (
        f"<Version><Key>{key}</Key>{told}<IsLatest>{str(latest).lower()}</IsLatest>"
        f"<LastModified>2024-01-02T03:04:{second:02}.000Z</LastModified>"
        f"<ETag>&quot;{_MD5}&quot;</ETag><Size>{second}</Size>"
        "<StorageClass>STANDARD</StorageClass><Owner><ID>o</ID></Owner></Version>"
    )


def marker(key: str, version_id: str, second: int, *, latest: bool = False) -> str:
    """Return one delete marker as a listing tells of it."""
    return (
        f"<DeleteMarker><Key>{key}</Key><VersionId>{version_id}</VersionId>"
        f"<IsLatest>{str(latest).lower()}</IsLatest>"
        f"<LastModified>2024-01-02T03:04:{second:02}.000Z</LastModified></DeleteMarker>"
    )


def versions(*entries: str, members: str = "<IsTruncated>false</IsTruncated>") -> str:
    """Return a page of versions."""
    inner = f"<Name>bucket</Name>{members}{''.join(entries)}"
    return f"{_DECLARATION}\n<ListVersionsResult {_NS}>{inner}</ListVersionsResult>"


# "a b" has been deleted, and was an object before; "c" is older than versioning.
VERSIONS: Final = {
    "AWS": versions(
        marker("a+b", "v3", 5, latest=True),
        version("a+b", "v2", 4),
        marker("a+b", "v1", 3),
        version("a+b", "null", 2),
        version("c", "null", 1, latest=True),
        members="<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>",
    ),
    "delete markers apart": versions(
        version("a b", "v2", 4),
        version("a b", "null", 2),
        version("c", None, 1, latest=True),
        marker("a b", "v3", 5, latest=True),
        marker("a b", "v1", 3),
    ),
}

BOMB: Final = (
    '<?xml version="1.0"?><!DOCTYPE r ['
    + '<!ENTITY e0 "ha">'
    + "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 12))
    + "]><CopyObjectResult><ETag>&e11;</ETag></CopyObjectResult>"
)

REFUSED: Final = {
    "an entity bomb": BOMB,
    "a document type": "<!DOCTYPE a><CopyObjectResult><ETag>x</ETag></CopyObjectResult>",
    "an external entity": (
        '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        "<CopyObjectResult><ETag>&x;</ETag></CopyObjectResult>"
    ),
    "an undeclared entity": "<CopyObjectResult><ETag>&x;</ETag></CopyObjectResult>",
    "a processing instruction": "<?p i?><CopyObjectResult><ETag>x</ETag></CopyObjectResult>",
    "an unbound prefix": "<a:CopyObjectResult><ETag>x</ETag></a:CopyObjectResult>",
    "a second root": "<CopyObjectResult><ETag>x</ETag></CopyObjectResult><a/>",
    "text after the root": "<CopyObjectResult><ETag>x</ETag></CopyObjectResult>x",
    "text before the root": "x<CopyObjectResult><ETag>x</ETag></CopyObjectResult>",
    "crossed tags": "<CopyObjectResult><ETag>x</CopyObjectResult></ETag>",
    "a null": "<CopyObjectResult><ETag>x\0</ETag></CopyObjectResult>",
    "a control character": "<CopyObjectResult><ETag>x\x01</ETag></CopyObjectResult>",
    "a reference to one": "<CopyObjectResult><ETag>&#1;x</ETag></CopyObjectResult>",
    "an end of CDATA": "<CopyObjectResult><ETag>x]]></ETag></CopyObjectResult>",
    "a noncharacter": "<CopyObjectResult><ETag>x\uffff</ETag></CopyObjectResult>",
    "nothing": "",
    "blanks": " \r\n ",
    "half": "<CopyObjectResult><ETag>x</ETag>",
    "HTML": "<html><body>Bad Gateway<br></body></html>",
    "JSON": '{"ETag": "x"}',
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What one object of a made-up page shall look like."""

    fields: tuple[tuple[str, str], ...]
    extras: tuple[str, ...]

    def xml(self) -> str:
        """Return its XML: the fields, and between them what S3 may send besides."""
        spaced = [f"<{name}>{escape(text)}</{name}>" for name, text in self.fields]
        return f"<Contents>{''.join(self._mixed(spaced))}</Contents>"

    def _mixed(self, spaced: list[str]) -> list[str]:
        mixed = list(spaced)
        for number, extra in enumerate(self.extras):
            mixed.insert((number * 7 + len(extra)) % (len(mixed) + 1), extra)
        return mixed


_EXTRAS: Final = (
    "<ChecksumAlgorithm>SHA256</ChecksumAlgorithm>",
    "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>",
    "<ChecksumType>COMPOSITE</ChecksumType>",
    "<Owner><ID>1</ID><DisplayName>&amp;</DisplayName></Owner>",
    "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>",
    "<Unheard></Unheard>",
    "\n  ",
    "<!-- aside -->",
    "<Empty/>",
)
_xml_texts: Final = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
    min_size=1,
    max_size=20,
)
_keys: Final = _xml_texts | st.sampled_from(
    ["a+b", "%2B", "a%20b", "%C3%BC%F0%9F%9A%80", "%", "%zz", "%E6%97", "100%+", "a&b<c>\"'", "]]>"]
)
_dates: Final = st.sampled_from(
    ["2024-01-02T03:04:05.000Z", "2024-02-29T23:59:59Z", "2023-12-31T00:00:00.123Z"]
)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Draw one object: its fields in any order, all but the key optional."""
    fields = [("Key", draw(_keys))]
    optional = {
        "LastModified": _dates,
        "ETag": st.sampled_from([f'"{_MD5}"', _MD5, f'"{_MD5}-12"', "", "é'odd'"]),
        "Size": st.integers(0, 2**50).map(str),
        "StorageClass": st.sampled_from(["STANDARD", "GLACIER", ""]),
    }
    fields += [(name, draw(texts)) for name, texts in optional.items() if draw(st.integers(0, 9))]
    return Entry(
        tuple(draw(st.permutations(fields))),
        tuple(draw(st.lists(st.sampled_from(_EXTRAS), max_size=3))),
    )


@st.composite
def listings(draw: st.DrawFn) -> bytes:
    """Draw a page of a listing: alike objects mostly, members before and after them."""
    alike = draw(st.lists(entries(), max_size=3))
    contents = [entry.xml() for entry in alike for _ in range(draw(st.integers(1, 3)))]
    members = draw(
        st.lists(
            st.sampled_from(
                [
                    "<EncodingType>url</EncodingType>",
                    "<IsTruncated>true</IsTruncated>",
                    "<IsTruncated>false</IsTruncated>",
                    "<NextContinuationToken>a+%2B&amp;</NextContinuationToken>",
                    "<Name>bucket</Name>",
                    "<KeyCount>3</KeyCount>",
                    "<Prefix/>",
                    "<MaxKeys>1000</MaxKeys>",
                ]
            ),
            unique_by=lambda member: member[:6],
        )
    )
    split = draw(st.integers(0, len(members)))
    inner = "".join([*members[:split], *contents, *members[split:]])
    opening = draw(st.sampled_from([f"{_DECLARATION}\n", "", " \r\n"]))
    namespace = draw(st.sampled_from([f" {_NS}", "", " xmlns:x='y' x:z=''"]))
    return f"{opening}<ListBucketResult{namespace}>{inner}</ListBucketResult>".encode()


soup = st.lists(
    st.sampled_from(
        [
            *(b"<a>", b"</a>", b"<b>", b"</b>", b"<a/>", b"<b x='1'>", b"<!-- -->", b"<?p?>"),
            *(b"&amp;", b"&#34;", b"&#x1;", b"&x;", b"<![CDATA[", b"]]>", b"x", b" ", b"\r\n"),
            *(b"\xc3\xbc", b"\xff", b"\xef\xbf\xbf", b"\0", b"<", b">", b"<!DOCTYPE a>", b"<?xml"),
            b"<?xml version='1.0'?>",
        ]
    ),
    max_size=12,
).map(b"".join)
"""Pieces of XML in any order: nearly a document, often not one."""
