"""Templates render to text: what a bucket, key, number or switch of an operator means as text."""

from __future__ import annotations

import re
from typing import Any, Final

from async_s3copy.errors import ValidationError
from async_s3copy.model import S3Location

_SWITCHES: Final = {"true": True, "false": False}
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NONE: Final = "None"
_TEMPLATE: Final = re.compile(r"\{[{%]")


def location(side: str, bucket: str | None, key: str | None) -> S3Location:
    """Return where one side is, from bucket and key or from an ``s3://`` URL as the key.

    Args:
        side: ``"source"`` or ``"destination"``, for the error.
        bucket: Bucket name; ``None`` where ``key`` is a URL.
        key: Key or prefix (``None`` for the whole bucket), or ``s3://bucket/key``. The URL
            ``s3://bucket/`` is the whole bucket.

    Raises:
        ValidationError: Neither says which bucket, or both do, or the URL is none. An empty key is
            left for the operation to refuse.
    """
    is_url = isinstance(key, str) and key.startswith("s3://")
    if bucket is None:
        if not is_url:
            rule = f"be given, unless {side}_key is an s3:// URL"
            raise ValidationError(f"{side}_bucket", None, rule)
        return S3Location.parse(str(key), name=f"{side}_key")
    if is_url:
        raise ValidationError(f"{side}_key", key, f"be no s3:// URL where {side}_bucket is given")
    return S3Location(bucket, key)


def key_bound(name: str, value: Any, *, is_mapped: bool) -> Any:
    """Return a bound of a key range as it is; it is never rendered.

    Bounds are keys found in a bucket, and Airflow renders what ``expand_kwargs`` is given: a key
    that looks like a template would become another key, or read a connection.

    Args:
        name: The parameter, for the error.
        value: What was given.
        is_mapped: The task is one of a mapped one, so that the bound is a key found.

    Raises:
        ValidationError: The task is not mapped, and the value looks like a template: who wrote it
            expects another value.
    """
    if not is_mapped and isinstance(value, str) and _TEMPLATE.search(value):
        rule = "hold no template: it is not rendered, see expand_kwargs"
        raise ValidationError(name, value, rule)
    return value


def switch(value: Any) -> Any:
    """Return the boolean that a text such as ``"True"`` or ``"false"`` stands for.

    Anything else is returned as it is, for the operation to judge.
    """
    return _SWITCHES.get(value.lower(), value) if isinstance(value, str) else value


def integer(value: Any) -> Any:
    """Return the integer that a text such as ``"500"`` stands for; ``"None"`` is ``None``.

    Anything else is returned as it is, for the operation to judge.
    """
    if not isinstance(value, str):
        return value
    if value == _NONE:
        return None
    return int(value) if _INTEGER.fullmatch(value) else value


def number(value: Any) -> Any:
    """Return the number that a text such as ``"2.5"`` stands for; ``"None"`` is ``None``.

    Anything else is returned as it is, for the operation to judge.
    """
    whole = integer(value)
    return float(whole) if isinstance(whole, str) and _NUMBER.fullmatch(whole) else whole


def optional(value: Any) -> Any:
    """Return a text, or ``None`` for ``"None"``, where no text of that kind is ``"None"``."""
    return None if value == _NONE else value
