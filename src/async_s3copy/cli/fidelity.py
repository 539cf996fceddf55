"""The options of ``cp`` about what travels with the bytes, and what they mean together."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias, get_args

import typer

from async_s3copy.errors import ValidationError
from async_s3copy.options import Archived
from async_s3copy.options import Verify as Proofs
from async_s3copy.preserve import (
    GRANTS,
    CannedAcl,
    ChecksumAlgorithm,
    Encryption,
    LockMode,
    Overrides,
    Policy,
    Preserve,
)

_POLICIES: Final = get_args(Policy)
_PROPERTIES: Final = tuple(each.name for each in fields(Preserve))
_ALL: Final = "all"
_RAW_KEY_BYTES: Final = 32


def _one_of(choices: object) -> str:
    return "|".join(get_args(choices))


def _text(metavar: str, text: str) -> Any:
    return typer.Option(metavar=metavar, help=text)


PreserveOption: TypeAlias = Annotated[
    list[str] | None,
    _text(
        "PROPERTY=POLICY",
        f"How much it matters that a property arrives: {', '.join(_POLICIES)}; may be repeated. "
        f"Properties: {', '.join(_PROPERTIES)}, or all. PROPERTY alone means best_effort.",
    ),
]
ContentType: TypeAlias = Annotated[str | None, _text("TYPE", "Content-Type to write instead.")]
ContentEncoding: TypeAlias = Annotated[
    str | None, _text("ENCODING", "Content-Encoding to write instead.")
]
ContentLanguage: TypeAlias = Annotated[
    str | None, _text("LANGUAGE", "Content-Language to write instead.")
]
ContentDisposition: TypeAlias = Annotated[
    str | None, _text("VALUE", "Content-Disposition to write instead.")
]
CacheControl: TypeAlias = Annotated[str | None, _text("VALUE", "Cache-Control to write instead.")]
Expires: TypeAlias = Annotated[str | None, _text("VALUE", "Expires to write instead.")]
Metadata: TypeAlias = Annotated[
    list[str] | None,
    _text("NAME=VALUE", "User metadata to write instead of the source's; may be repeated."),
]
Tag: TypeAlias = Annotated[
    list[str] | None,
    _text("NAME=VALUE", "Tag to write instead of the source's tags; may be repeated."),
]
StorageClass: TypeAlias = Annotated[str | None, _text("CLASS", "Storage class to write instead.")]
Checksum: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--checksum-algorithm",
        metavar=_one_of(ChecksumAlgorithm),
        help="Algorithm of the checksum that S3 keeps.",
    ),
]
Sse: TypeAlias = Annotated[
    str | None, _text(_one_of(Encryption), "Encryption to write with; the bucket's by default.")
]
KmsKeyId: TypeAlias = Annotated[
    str | None,
    typer.Option("--sse-kms-key-id", metavar="KEY", help="KMS key to encrypt with."),
]
BucketKey: TypeAlias = Annotated[
    bool | None,
    typer.Option("--bucket-key/--no-bucket-key", help="Whether SSE-KMS uses an S3 Bucket Key."),
]
WebsiteRedirect: TypeAlias = Annotated[
    str | None, _text("PLACE", "Where a website redirects requests for the objects.")
]
Lock: TypeAlias = Annotated[
    str | None,
    typer.Option("--lock-mode", metavar=_one_of(LockMode), help="Object-lock mode."),
]
RetainUntil: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--lock-retain-until",
        metavar="DATE",
        help="Until when objects are locked: ISO 8601 with a time zone.",
    ),
]
LegalHold: TypeAlias = Annotated[
    bool | None,
    typer.Option("--legal-hold/--no-legal-hold", help="Whether objects are under a legal hold."),
]
Acl: TypeAlias = Annotated[str | None, _text(_one_of(CannedAcl), "Canned ACL; none by default.")]
Grant: TypeAlias = Annotated[
    list[str] | None,
    _text(
        "PERMISSION=GRANTEES",
        f'Grant of an ACL ({", ".join(GRANTS)}), such as full_control=id="..."; may be repeated.',
    ),
]
Verify: TypeAlias = Annotated[
    str,
    _text(
        _one_of(Proofs),
        "How the arrival of each object is proven: etag compares what is told anyway, checksum "
        "asks for checksums or sizes (one or two requests an object), none compares nothing.",
    ),
]
ArchivedOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--archived",
        metavar=_one_of(Archived),
        help="What becomes of objects in S3 Glacier that are not restored.",
    ),
]
RequesterPays: TypeAlias = Annotated[
    bool, typer.Option("--requester-pays", help="Pay for requests to buckets that ask for it.")
]
SourceOwner: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--source-bucket-owner", metavar="ACCOUNT", help="Account id that must own SRC's bucket."
    ),
]
DestOwner: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--dest-bucket-owner", metavar="ACCOUNT", help="Account id that must own DST's bucket."
    ),
]
SourceKeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--source-customer-key-file",
        metavar="FILE",
        help="File with the key that SRC's objects are encrypted with (SSE-C): 32 bytes or base64.",
    ),
]
DestKeyFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--dest-customer-key-file",
        metavar="FILE",
        help="File with the key that DST's objects are to be encrypted with (SSE-C).",
    ),
]
VersionId: TypeAlias = Annotated[
    str | None, typer.Option("--version-id", metavar="VERSION", help="Copy this version of SRC.")
]
AllVersions: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--all-versions", help="Copy every version, oldest first, and delete markers, too."
    ),
]
PinVersions: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--pin-versions",
        help="Copy each object in the version the listing shows, though it is overwritten later.",
    ),
]


def read_preserve(given: Sequence[str] | None) -> Preserve:
    """Return the policies that ``--preserve`` asks for; the later of two wins.

    Raises:
        ValidationError: An unknown property or policy.
    """
    chosen: dict[str, Any] = {}
    for text in given or ():
        name, _, policy = text.partition("=")
        name, policy = name.replace("-", "_"), policy.replace("-", "_") or "best_effort"
        if name not in (*_PROPERTIES, _ALL):
            rule = f"name one of {', '.join(_PROPERTIES)}, all"
            raise ValidationError("--preserve", text, rule)
        if policy not in _POLICIES:
            raise ValidationError("--preserve", text, f"end in one of {', '.join(_POLICIES)}")
        chosen |= dict.fromkeys(_PROPERTIES if name == _ALL else (name,), policy)
    return Preserve(**chosen)


def read_overrides(given: Mapping[str, Any]) -> Overrides:
    """Return what is written instead of the source's own.

    Args:
        given: Values of ``Overrides`` by name; pairs are texts such as ``NAME=VALUE``.

    Raises:
        ValidationError: A value breaks its rule; named by its option.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for name in ("metadata", "tags", "grants"):
        if name in values:
            values[name] = dict(_pair(name, text) for text in values[name])
    try:
        return Overrides(**values)
    except ValidationError as error:
        raise ValidationError(option_of(error.name), error.value, error.rule) from None


def read_customer_key(option: str, file: Path | None) -> bytes | None:
    """Return the key in a file: 32 bytes as they are, or base64 and white space around it.

    Raises:
        ValidationError: There is no such file, or no key in it; what it holds is not shown.
    """
    if file is None:
        return None
    try:
        raw = file.read_bytes()
        if len(raw) != _RAW_KEY_BYTES:
            raw = base64.b64decode(raw.strip(), validate=True)
    except OSError as error:
        raise ValidationError(option, str(file), f"be a readable file ({error.strerror})") from None
    except ValueError:
        raw = b""
    if len(raw) != _RAW_KEY_BYTES:
        raise ValidationError(option, str(file), "hold 32 bytes, or their base64")
    return raw


def checked_owner(option: str, account_id: str | None) -> str | None:
    """Return an account id, which has 12 digits.

    Raises:
        ValidationError: It has not.
    """
    if account_id is not None and not (len(account_id) == 12 and account_id.isdecimal()):
        raise ValidationError(option, account_id, "be an AWS account id of 12 digits")
    return account_id


def option_of(name: str) -> str:
    """Return the option that stands for a field of ``Overrides``."""
    base = name.partition("[")[0]
    special: Mapping[str, str] = {
        "tags": "--tag",
        "grants": "--grant",
        "encryption": "--sse",
        "kms_key_id": "--sse-kms-key-id",
        "bucket_key_enabled": "--bucket-key",
    }
    return special.get(base, f"--{base.replace('_', '-')}")


def _pair(name: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValidationError(option_of(name), text, "be NAME=VALUE")
    return key, value
