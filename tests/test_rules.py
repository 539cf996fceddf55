"""S3's rules on names, one test per rule; each refusal tells name, value and rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import ValidationError, rules

ALIAS = "my-ap-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias"


@pytest.mark.parametrize(
    "bucket",
    [
        "abc",
        "a" * 63,
        "123",
        "my-bucket",
        "my.bucket.example",
        "a-b.c-d",
        "1.2.3.4a",
        "1.2.3",
        "1.2.3.4.5",
        "xn-bucket",
        "bucket--x",
    ],
)
def test_ordinary_bucket_names_pass_unchanged(bucket: str) -> None:
    """A name inside S3's naming rules is returned as it is."""
    assert rules.check_bucket("source_bucket", bucket) == bucket


@pytest.mark.parametrize(
    "bucket, rule",
    [
        ("ab", "3 to 63 characters"),
        ("a" * 64, "3 to 63 characters"),
        ("My-bucket", "lowercase"),
        ("my_bucket", "lowercase"),
        ("my bucket", "lowercase"),
        ("my/bucket", "lowercase"),
        ("bücket", "lowercase"),
        ("bucket\n", "lowercase"),
        ("bucket٣", "lowercase"),  # ARABIC-INDIC DIGIT THREE is a digit, and not one of S3's
        ("-bucket", "begin and end"),
        ("bucket-", "begin and end"),
        (".bucket", "begin and end"),
        ("bucket.", "begin and end"),
        ("my..bucket", "two adjacent periods"),
        ("192.168.5.4", "IP address"),
        ("999.999.999.999", "IP address"),
        ("xn--bucket", "reserved prefix 'xn--'"),
        ("sthree-bucket", "reserved prefix 'sthree-'"),
        ("sthree-configurator", "reserved prefix 'sthree-'"),
        ("amzn-s3-demo-bucket", "reserved prefix 'amzn-s3-demo-'"),
        ("bucket-s3alias", "reserved suffix '-s3alias'"),
        ("bucket--ol-s3", "reserved suffix '--ol-s3'"),
        ("bucket.mrap", "reserved suffix '.mrap'"),
        ("bucket--x-s3", "reserved suffix '--x-s3'"),
        ("bucket--table-s3", "reserved suffix '--table-s3'"),
    ],
)
def test_each_bucket_naming_rule_refuses_and_says_which(bucket: str, rule: str) -> None:
    """Every rule of S3's bucket naming page is checked and named in the message."""
    with pytest.raises(ValidationError) as caught:
        rules.check_bucket("destination_bucket", bucket)
    assert caught.value.name == "destination_bucket"
    assert caught.value.value == bucket
    assert rule in caught.value.rule


@pytest.mark.parametrize("bucket", ["", None, 7, b"bucket", ["bucket"]])
def test_a_bucket_is_a_non_empty_string(bucket: object) -> None:
    """Nothing but a non-empty string is a bucket name."""
    with pytest.raises(ValidationError, match="be a non-empty bucket name"):
        rules.check_bucket("source_bucket", bucket)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/my-access-point",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint:my-access-point",
        "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/name",
        "arn:aws-us-gov:s3:us-gov-west-1:123456789012:accesspoint/name",
        "arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap",
        "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-01ac5d28a6a232904/accesspoint/name",
        "arn:aws:s3-outposts:us-west-2:123456789012:outpost:op-01ac5d28a6a232904:accesspoint:name",
    ],
)
def test_access_point_arns_are_buckets(arn: str) -> None:
    """Access-point ARNs of one Region, of many, and on Outposts are accepted as buckets."""
    assert rules.is_access_point_arn(arn)
    assert rules.check_bucket("source_bucket", arn) == arn


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:s3:::my-bucket",
        "arn:aws:s3:eu-west-1:12345:accesspoint/name",
        "arn:aws:s3:eu-west-1:123456789012:bucket/name",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/name/object",
        "arn:aws:iam::123456789012:role/name",
        "arn:aws:s3-object-lambda:eu-west-1:123456789012:accesspoint/name",
        "arn:",
    ],
)
def test_other_arns_are_refused(arn: str) -> None:
    """An ARN that names no access point is refused, and the message says what was expected."""
    assert not rules.is_access_point_arn(arn)
    with pytest.raises(ValidationError, match="access-point ARN"):
        rules.check_bucket("source_bucket", arn)


@pytest.mark.parametrize(
    "bucket",
    [
        ALIAS,
        "bucket-base--usw2-az1--x-s3",
        "a--euw1-az3--x-s3",
    ],
)
def test_names_s3_gives_out_itself_pass(bucket: str) -> None:
    """Access-point aliases and directory buckets bear reserved suffixes, and are addressable."""
    assert rules.check_bucket("source_bucket", bucket) == bucket


def test_a_directory_bucket_in_a_local_zone_passes() -> None:
    """The zone id of a Local Zone holds a hyphen more: ``usw2-lax1-az1``."""
    bucket = "bucket-base--usw2-lax1-az1--x-s3"
    assert rules.check_bucket("source_bucket", bucket) == bucket


@pytest.mark.parametrize(
    "bucket",
    [
        "-bucket--usw2-az1--x-s3",
        "bucket-----usw2-az1--x-s3",
        "Bucket--usw2-az1--x-s3",
        "bucket.a--usw2-az1--x-s3",
        "bucket--usw2--x-s3",
    ],
)
def test_malformed_directory_bucket_names_are_refused(bucket: str) -> None:
    """The reserved suffix alone does not make a directory bucket."""
    with pytest.raises(ValidationError):
        rules.check_bucket("source_bucket", bucket)


@pytest.mark.parametrize("prefix", ["xn--", "sthree-", "amzn-s3-demo-"])
def test_directory_buckets_do_not_start_with_reserved_prefixes(prefix: str) -> None:
    """The reserved prefixes of general purpose buckets are reserved for directory buckets, too."""
    with pytest.raises(ValidationError, match="reserved prefix"):
        rules.check_bucket("bucket", f"{prefix}bucket--usw2-az1--x-s3")


@pytest.mark.parametrize("length", [64, 200])
def test_directory_bucket_names_are_at_most_63_characters_long(length: int) -> None:
    """The suffix with the zone counts: 3 to 63 characters in all."""
    suffix = "--usw2-az1--x-s3"
    assert rules.check_bucket("bucket", "a" * (63 - len(suffix)) + suffix)
    with pytest.raises(ValidationError, match="3 to 63"):
        rules.check_bucket("bucket", "a" * (length - len(suffix)) + suffix)


def test_an_access_point_alias_is_at_most_63_characters_long() -> None:
    """S3 gives out no longer alias, and no shorter metadata part."""
    with pytest.raises(ValidationError):
        rules.check_bucket("bucket", "a" * 40 + ALIAS[5:])
    with pytest.raises(ValidationError):
        rules.check_bucket("bucket", "my-ap-short-s3alias")


@given(st.text(max_size=70))
def test_whatever_passes_is_a_legal_host_label_or_an_arn(bucket: str) -> None:
    """No text outside S3's alphabet and length passes, whatever it is."""
    try:
        rules.check_bucket("bucket", bucket)
    except ValidationError:
        return
    assert bucket.startswith("arn:") or 3 <= len(bucket) <= 63
    assert set(bucket) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-:/")


def test_none_stands_for_the_whole_bucket() -> None:
    """``None`` passes as it is; only ``None`` asks for everything."""
    assert rules.check_key("source_key", None) is None


@pytest.mark.parametrize(
    "key",
    ["a", "/", "//", ".", "..", "a//b", "%2F", "?versionId=x", "\x01", " ", "é" * 512, "𐍈" * 256],
)
def test_keys_are_opaque(key: str) -> None:
    """A key of 1 to 1,024 bytes passes unchanged, whatever it holds."""
    assert rules.check_key("source_key", key) == key


@pytest.mark.parametrize(
    "key, rule",
    [
        ("", "not be empty"),
        ("a" * 1025, "at most 1,024 bytes"),
        ("é" * 512 + "a", "at most 1,024 bytes"),
        (7, "be a string, or None"),
        (b"key", "be a string, or None"),
        ("a\ud800", "encodable as UTF-8"),
    ],
)
def test_keys_that_cannot_be_are_refused(key: object, rule: str) -> None:
    """Empty, longer than 1,024 bytes of UTF-8, not text or not encodable: refused by name."""
    with pytest.raises(ValidationError, match=rule) as caught:
        rules.check_key("source_key", key)
    assert caught.value.name == "source_key"


@given(st.text(min_size=1, max_size=2_000))
def test_a_keys_length_counts_in_bytes(key: str) -> None:
    """The bound is on bytes of UTF-8, not on characters."""
    if len(key.encode()) <= 1_024:
        assert rules.check_key("key", key) == key
    else:
        with pytest.raises(ValidationError, match="1,024 bytes"):
            rules.check_key("key", key)


HEX = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    "etag", [HEX, f'"{HEX}"', HEX.upper(), f"{HEX}-1", f'"{HEX}-10000"', f"{HEX}-999"]
)
def test_etags_in_s3s_format_pass(etag: str) -> None:
    """32 hex digits, ``-N`` for 1 to 10,000 parts, quoted or not."""
    assert rules.check_etag("etag", etag) == etag


@pytest.mark.parametrize(
    "etag",
    [
        "",
        HEX[:-1],
        HEX + "0",
        f'"{HEX}',
        f'{HEX}"',
        f"{HEX}-",
        f"{HEX}-0",
        f"{HEX}-01",
        f"{HEX}-10001",
        f"{HEX}-x",
        "g" * 32,
        f"W/{HEX}",
        f"{HEX}\n",
        None,
        7,
    ],
)
def test_other_etags_are_refused(etag: object) -> None:
    """Anything else is no ETag of S3's."""
    with pytest.raises(ValidationError, match="be an S3 ETag"):
        rules.check_etag("etag", etag)


@pytest.mark.parametrize("value", [1, 100, 1_000])
def test_batch_sizes_of_1_to_1000_pass(value: int) -> None:
    """The bounds themselves are inside."""
    assert rules.check_int("batch_size", value, 1, rules.MAX_BATCH_SIZE) == value


@pytest.mark.parametrize("value", [0, -1, 1_001, True, 1.0, "100", None])
def test_other_batch_sizes_are_refused(value: object) -> None:
    """Outside 1 to 1,000, or no integer at all: refused with the bounds."""
    with pytest.raises(ValidationError, match=r"between 1 and 1,000") as caught:
        rules.check_int("batch_size", value, 1, rules.MAX_BATCH_SIZE)
    assert caught.value.value is value


def test_an_integer_may_have_no_upper_bound() -> None:
    """Without an upper bound only the lower one is named."""
    assert rules.check_int("n", 10**30, 1) == 10**30
    with pytest.raises(ValidationError, match=r"n=0 must be at least 1$"):
        rules.check_int("n", 0, 1)


@pytest.mark.parametrize("value", ["false", "True", 0, 1, None])
def test_a_switch_is_true_or_false(value: object) -> None:
    """The string "false" is true in Python, and an error here."""
    assert rules.check_bool("recursive", True) is True
    with pytest.raises(ValidationError, match="be True or False"):
        rules.check_bool("recursive", value)


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "1", None, True])
def test_durations_are_finite_and_positive(value: object) -> None:
    """Zero, negative, infinite, NaN and non-numbers are no durations."""
    assert rules.check_seconds("retry_max_s", 0.5) == 0.5
    with pytest.raises(ValidationError, match="seconds above 0"):
        rules.check_seconds("retry_max_s", value)
