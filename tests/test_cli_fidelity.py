"""The options of ``cp`` about fidelity: each reaches the operation, each mistake has its name."""

from __future__ import annotations

import base64
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from async_s3copy import CopyOptions, Overrides, Preserve, S3CopyOperation, ValidationError
from async_s3copy.cli import cp as command
from async_s3copy.cli import fidelity
from async_s3copy.cli.app import run

KEY = bytes(range(32))
PLACES = ("s3://source-bucket/in/", "s3://target-bucket/out/")


class Asked(Exception):  # noqa: N818 - carries what was asked for
    """Ends a command line where the copy would begin."""


def asked_for(monkeypatch: pytest.MonkeyPatch, *options: str) -> S3CopyOperation:
    """Return the operation that a command line asks for."""

    def stop(operation: S3CopyOperation, *_: object, **__: object) -> int:
        raise Asked(operation)

    monkeypatch.setattr(command, "execute", stop)
    with pytest.raises(Asked) as asked:
        run(["cp", *PLACES, "--recursive", "--quiet", *options])
    operation = asked.value.args[0]
    assert isinstance(operation, S3CopyOperation)
    return operation


def test_nothing_asked_for_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain command line copies with the library's own defaults."""
    assert asked_for(monkeypatch).options == CopyOptions()


OVERRIDES: dict[str, tuple[list[str], Any]] = {
    "content_type": (["--content-type", "a/b"], "a/b"),
    "content_encoding": (["--content-encoding", "gzip"], "gzip"),
    "content_language": (["--content-language", "de"], "de"),
    "content_disposition": (["--content-disposition", "inline"], "inline"),
    "cache_control": (["--cache-control", "no-store"], "no-store"),
    "expires": (["--expires", "0"], "0"),
    "metadata": (["--metadata", "a=1=2", "--metadata", "b="], {"a": "1=2", "b": ""}),
    "tags": (["--tag", "a=1", "--tag", "b=2"], {"a": "1", "b": "2"}),
    "storage_class": (["--storage-class", "GLACIER"], "GLACIER"),
    "checksum_algorithm": (["--checksum-algorithm", "SHA256"], "SHA256"),
    "encryption": (["--sse", "AES256"], "AES256"),
    "kms_key_id": (["--sse-kms-key-id", "k"], "k"),
    "bucket_key_enabled": (["--sse", "aws:kms", "--no-bucket-key"], False),
    "website_redirect": (["--website-redirect", "/x"], "/x"),
    "lock_mode": (
        ["--lock-mode", "GOVERNANCE", "--lock-retain-until", "2030-01-01T00:00:00Z"],
        "GOVERNANCE",
    ),
    "lock_retain_until": (
        ["--lock-mode", "COMPLIANCE", "--lock-retain-until", "2030-01-01T00:00:00Z"],
        datetime(2030, 1, 1, tzinfo=UTC),
    ),
    "legal_hold": (["--legal-hold"], True),
    "acl": (["--acl", "private"], "private"),
    "grants": (["--grant", 'read=id="a"'], {"read": 'id="a"'}),
}


def test_every_override_has_an_option() -> None:
    """A field that is added to ``Overrides`` must be added to the command line."""
    assert OVERRIDES.keys() == {each.name for each in fields(Overrides)}


@pytest.mark.parametrize("name", OVERRIDES)
def test_each_override_reaches_the_operation(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value given on the command line is what will be written."""
    options, value = OVERRIDES[name]
    assert getattr(asked_for(monkeypatch, *options).options.overrides, name) == value


@pytest.mark.parametrize(
    "given, wanted",
    [
        (None, Preserve()),
        (["all"], Preserve.everything()),
        (["all=required"], Preserve.everything("required")),
        (["acl"], Preserve(acl="best_effort")),
        (["object-lock=required", "tags=drop"], Preserve(object_lock="required", tags="drop")),
        (
            ["tags=required", "all=drop", "acl"],
            replace(Preserve.everything("drop"), acl="best_effort"),
        ),
        (["tags=best-effort"], Preserve(tags="best_effort")),
    ],
)
def test_policies_are_read_in_order(given: list[str] | None, wanted: Preserve) -> None:
    """``all`` is every property, the later of two wins, and hyphens are underscores."""
    assert fidelity.read_preserve(given) == wanted


@pytest.mark.parametrize(
    "options, name, value",
    [
        (["--preserve", "acl=required"], "preserve", Preserve(acl="required")),
        (["--verify", "checksum"], "verify", "checksum"),
        (["--archived", "skip"], "archived", "skip"),
        (["--requester-pays"], "requester_pays", True),
        (["--source-bucket-owner", "0" * 12], "source_bucket_owner", "0" * 12),
        (["--dest-bucket-owner", "1" * 12], "destination_bucket_owner", "1" * 12),
    ],
)
def test_each_option_of_the_engine_reaches_it(
    options: list[str], name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command line says is in the operation's options."""
    assert getattr(asked_for(monkeypatch, *options).options, name) == value


@pytest.mark.parametrize("option", ["all-versions", "pin-versions"])
def test_the_switches_of_versions_reach_the_operation(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two switches is the operation's parameter of that name."""
    operation = asked_for(monkeypatch, f"--{option}")
    assert getattr(operation, option.replace("-", "_")) is True


# --------------------------------------------------------------------------------- customer keys


@pytest.mark.parametrize("content", [KEY, base64.b64encode(KEY), base64.b64encode(KEY) + b"\n"])
def test_a_customer_key_is_read_from_its_file(content: bytes, tmp_path: Path) -> None:
    """A key never stands on a command line, where others could read it: a file holds it."""
    file = tmp_path / "key"
    file.write_bytes(content)
    assert fidelity.read_customer_key("--source-customer-key-file", file) == KEY


def test_a_file_of_32_bytes_is_the_key_itself(tmp_path: Path) -> None:
    """32 bytes that end in white space are taken as they are, not stripped."""
    file = tmp_path / "key"
    file.write_bytes(KEY[:31] + b"\n")
    assert fidelity.read_customer_key("--dest-customer-key-file", file) == KEY[:31] + b"\n"


@pytest.mark.parametrize("content", [b"", b"sesame", b"=" * 44, base64.b64encode(KEY[:31])])
def test_what_is_no_key_is_refused_and_not_shown(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence names option, file and rule; what the file holds could be most of a key."""
    file = tmp_path / "key"
    file.write_bytes(content)
    assert run(["cp", *PLACES, "-r", "--source-customer-key-file", str(file)]) == 2
    said = capsys.readouterr().err
    assert "--source-customer-key-file=" in said
    assert "must hold 32 bytes, or their base64" in said
    assert not content or content.decode() not in said.replace(str(file), "")


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    "options, said",
    [
        (["--preserve", "colour"], "--preserve='colour' must name one of content_headers"),
        (["--preserve", "tags=maybe"], "--preserve='tags=maybe' must end in one of required"),
        (["--metadata", "a"], "--metadata='a' must be NAME=VALUE"),
        (["--metadata", "a b=c"], "--metadata='a b' must have names that are HTTP tokens"),
        (["--tag", "=x"], "--tag='=x' must be NAME=VALUE"),
        (["--grant", "write=x"], "--grant='write' must name one of full_control"),
        (["--sse", "rot13"], "--sse='rot13' must be one of AES256"),
        (["--sse", "AES256", "--sse-kms-key-id", "k"], "--sse-kms-key-id='k' must be None with"),
        (["--lock-mode", "GOVERNANCE"], "--lock-retain-until=None must be given together"),
        (["--lock-retain-until", "soon", "--lock-mode", "GOVERNANCE"], "ISO 8601"),
        (["--acl", "open"], "--acl='open' must be one of private"),
        (["--verify", "hope"], "--verify='hope' must be one of etag"),
        (["--archived", "thaw"], "--archived='thaw' must be one of fail"),
        (["--source-bucket-owner", "me"], "--source-bucket-owner='me' must be an AWS account id"),
        (["--dest-bucket-owner", "12"], "--dest-bucket-owner='12' must be an AWS account id"),
        (["--dest-customer-key-file", "/no/such"], "must be a readable file (No such file"),
        (["--version-id", "v", "--recursive"], "--version-id='v' must"),
        (["--all-versions", "--no-overwrite"], "--all-versions=True must"),
        (["--all-versions", "--pin-versions"], "must"),
    ],
)
def test_a_mistake_is_one_sentence_about_its_option(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, nothing on stdout, and a sentence with option, value and rule."""
    assert run(["cp", "s3://aaa/x", "s3://bbb/x", *options]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_an_unknown_override_is_still_named() -> None:
    """Names that differ between command line and library are translated, the others spelled."""
    with pytest.raises(ValidationError, match=r"^--content-type='' must"):
        fidelity.read_overrides({"content_type": ""})
    assert fidelity.option_of("metadata['a']") == "--metadata"
