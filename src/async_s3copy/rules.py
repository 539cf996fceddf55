"""S3's rules on names, and the one place that checks them.

Every check returns the value it was given and raises ``ValidationError`` with name, value and rule.
No I/O, no clock.
"""

from __future__ import annotations

import re
from typing import Final

from async_s3copy.errors import ValidationError

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES: Final = 1_024
# ListObjectsV2 returns at most 1,000 keys a page; a batch never needs to be larger.
MAX_BATCH_SIZE: Final = 1_000

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_RESERVED_PREFIXES: Final = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
# Names S3 itself gives out under the reserved suffixes; a copy may address them like buckets:
# access point aliases, and directory buckets (https://docs.aws.amazon.com/AmazonS3/latest/
# userguide/access-points-naming.html, .../directory-bucket-naming-rules.html).
_ACCESS_POINT_ALIAS = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,25})-[a-z0-9]{30,36}-s3alias")
_DIRECTORY_BUCKET = re.compile(
    r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?--[a-z0-9]+(?:-[a-z0-9]+)?-az\d+--x-s3"
)

# arn:aws:s3:eu-west-1:123456789012:accesspoint/name, a multi-Region one (no Region), or on Outposts
_ACCESS_POINT_ARN = re.compile(
    r"arn:aws(?:-[a-z-]+)?:"
    r"(?:"
    r"s3:[a-z0-9-]*:\d{12}:accesspoint[/:][a-zA-Z0-9][a-zA-Z0-9.-]{1,62}"
    r"|s3-outposts:[a-z0-9-]+:\d{12}:outpost[/:][a-zA-Z0-9-]+[/:]accesspoint[/:][a-zA-Z0-9-]{1,63}"
    r")"
)

# "The ETag may or may not be an MD5 digest": 32 hex digits, and "-N" for N parts, 1..10,000.
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
_ETAG = re.compile(r'(?P<quote>"?)[0-9a-fA-F]{32}(?:-(?:[1-9]\d{0,3}|10000))?(?P=quote)')


def is_access_point_arn(bucket: str) -> bool:
    """Tell whether a bucket name is an access-point ARN."""
    return _ACCESS_POINT_ARN.fullmatch(bucket) is not None


def check_bucket(name: str, bucket: object) -> str:
    """Check a bucket name against S3's naming rules; access-point ARNs and aliases pass.

    Raises:
        ValidationError: The name breaks a rule; the sentence says which.
    """
    if not isinstance(bucket, str) or not bucket:
        raise ValidationError(name, bucket, "be a non-empty bucket name")
    if bucket.startswith("arn:"):
        if not is_access_point_arn(bucket):
            raise ValidationError(
                name, bucket, "be an S3 access-point ARN if it starts with 'arn:'"
            )
        return bucket
    rule = _broken_bucket_rule(bucket)
    if rule:
        raise ValidationError(name, bucket, rule)
    return bucket


def _broken_bucket_rule(bucket: str) -> str:
    if not 3 <= len(bucket) <= 63:
        return "be 3 to 63 characters long (S3's bucket naming rules)"
    if not _BUCKET.fullmatch(bucket):
        return (
            "consist of lowercase letters, digits, '.' and '-', "
            "and begin and end with a letter or digit (S3's bucket naming rules)"
        )
    if ".." in bucket:
        return "not contain two adjacent periods (S3's bucket naming rules)"
    if _IP_ADDRESS.fullmatch(bucket):
        return "not be formatted as an IP address (S3's bucket naming rules)"
    for prefix in _RESERVED_PREFIXES:
        if bucket.startswith(prefix):
            return f"not start with the reserved prefix {prefix!r} (S3's bucket naming rules)"
    if _ACCESS_POINT_ALIAS.fullmatch(bucket) or _DIRECTORY_BUCKET.fullmatch(bucket):
        return ""
    for suffix in _RESERVED_SUFFIXES:
        if bucket.endswith(suffix):
            return f"not end with the reserved suffix {suffix!r} (S3's bucket naming rules)"
    return ""


def check_key(name: str, key: object) -> str | None:
    """Check a key or prefix: ``None`` (the whole bucket) or 1 to 1,024 bytes of UTF-8.

    An empty string is refused: a template that rendered to nothing must not copy a bucket.

    Raises:
        ValidationError: The key is empty, too long or not encodable as UTF-8.
    """
    if key is None:
        return None
    if not isinstance(key, str):
        raise ValidationError(name, key, "be a string, or None for the whole bucket")
    if not key:
        raise ValidationError(name, key, "not be empty (None stands for the whole bucket)")
    if key_bytes(name, key) > MAX_KEY_BYTES:
        raise ValidationError(name, key, f"be at most {MAX_KEY_BYTES:,} bytes of UTF-8")
    return key


def key_bytes(name: str, key: str) -> int:
    """Return a key's length in bytes of UTF-8.

    Raises:
        ValidationError: The key holds a lone surrogate, which UTF-8 cannot encode.
    """
    try:
        return len(key.encode())
    except UnicodeEncodeError:
        raise ValidationError(name, key, "be encodable as UTF-8") from None


def check_etag(name: str, etag: object) -> str:
    """Check an ETag against S3's format: 32 hex digits, ``-N`` for N parts, quoted or not.

    Raises:
        ValidationError: The value has another shape.
    """
    if not isinstance(etag, str) or not _ETAG.fullmatch(etag):
        raise ValidationError(
            name, etag, "be an S3 ETag: 32 hex digits, '-N' appended for N parts, quoted or not"
        )
    return etag


def check_int(name: str, value: object, low: int, high: int | None = None) -> int:
    """Check an integer against inclusive bounds; ``True`` and ``1.0`` are no integers here.

    Raises:
        ValidationError: Not an integer, or out of bounds.
    """
    bounds = f"between {low:,} and {high:,}" if high is not None else f"at least {low:,}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValidationError(name, value, f"be an integer {bounds}")
    if value < low or (high is not None and value > high):
        raise ValidationError(name, value, f"be {bounds}")
    return value


def check_bool(name: str, value: object) -> bool:
    """Check that a switch is ``True`` or ``False``: the string ``"false"`` is neither.

    Raises:
        ValidationError: The value is not a boolean.
    """
    if not isinstance(value, bool):
        raise ValidationError(name, value, "be True or False")
    return value


def check_seconds(name: str, value: object, *, above: float = 0.0) -> float:
    """Check a duration in seconds.

    Raises:
        ValidationError: Not a finite number above ``above``.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValidationError(name, value, f"be a number of seconds above {above:g}")
    if not above < value < float("inf"):
        raise ValidationError(name, value, f"be a finite number of seconds above {above:g}")
    return float(value)


def check_rate(name: str, value: object) -> float:
    """Check a rate in requests per second.

    Raises:
        ValidationError: Not a finite number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValidationError(name, value, "be a number of requests per second above 0")
    if not 0 < value < float("inf"):
        raise ValidationError(name, value, "be a finite number of requests per second above 0")
    return float(value)
