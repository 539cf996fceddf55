"""Which keys and which versions a copy is about: the parameters' rules. Pure."""

from __future__ import annotations

from async_s3copy import rules
from async_s3copy.engine.checkpoint import Versions
from async_s3copy.errors import ValidationError


def check_range(start_after: object, up_to: object, *, recursive: bool) -> None:
    """Check the range of keys.

    Raises:
        ValidationError: A key breaks its rule, there is no listing to bound, or no key in between.
    """
    after = rules.check_key("start_after", start_after)
    until = rules.check_key("up_to", up_to)
    for name, value in (("start_after", after), ("up_to", until)):
        if value is not None and not recursive:
            raise ValidationError(name, value, "be None unless recursive=True")
    if until is not None and until <= (after or ""):
        raise ValidationError("up_to", until, f"be greater than start_after, {after!r}")


def check_versions(
    version_id: object,
    *,
    pin_versions: object,
    all_versions: object,
    recursive: bool,
    overwrite: bool,
) -> None:
    """Check that at most one choice of versions has been made, and that it can be kept.

    Raises:
        ValidationError: It cannot, or a value breaks its rule.
    """
    pinned = rules.check_bool("pin_versions", pin_versions)
    every = rules.check_bool("all_versions", all_versions)
    if version_id is not None:
        if not isinstance(version_id, str) or not version_id:
            raise ValidationError("version_id", version_id, "be a non-empty string, or None")
        if recursive or pinned or every:
            rule = "be None with recursive=True, pin_versions=True or all_versions=True"
            raise ValidationError("version_id", version_id, rule)
    if pinned and (every or not recursive):
        rule = "be False with all_versions=True, and unless recursive=True"
        raise ValidationError("pin_versions", True, rule)
    if every and not overwrite:
        rule = "be False with overwrite=False: every version but the first is written over another"
        raise ValidationError("all_versions", True, rule)


def versions_of(*, pin_versions: bool, all_versions: bool) -> Versions:
    """Return the name of a choice."""
    if all_versions:
        return "all"
    return "pinned" if pin_versions else "current"
