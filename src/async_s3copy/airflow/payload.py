"""CopyPayload: all that a copy needs and Airflow can store; from it the copy starts, anywhere."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from async_s3copy import rules
from async_s3copy.errors import ValidationError
from async_s3copy.options import CopyOptions
from async_s3copy.preserve import Overrides, Preserve
from async_s3copy.s3.account import Account

if TYPE_CHECKING:
    from async_s3copy.observer import Observer
    from async_s3copy.operation import S3CopyOperation

OnCheckpoint: TypeAlias = Callable[[dict[str, Any]], Awaitable[object]]

_NESTED: Final[Mapping[str, type[Preserve | Overrides]]] = {
    "preserve": Preserve,
    "overrides": Overrides,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPayload:
    """Hold the parameters of one copy as plain JSON: the keyword arguments of the trigger.

    Nothing is checked on construction, because Airflow builds triggers where any error but
    TypeError ends the whole triggerer: ``check()`` does it, before deferral and again in the run.
    The field names are stored in Airflow's database with every deferred task: public API.

    Attributes:
        source_bucket: Source bucket name or access-point ARN.
        source_key: Source key, or prefix where ``recursive``; ``None`` for the whole bucket.
        destination_bucket: Destination bucket name or access-point ARN.
        destination_key: Destination key or prefix; ``None`` for the bucket's root.
        source_aws_conn_id: Airflow connection of the source account; ``None`` is the default
            credential chain, as everywhere in the amazon provider. No default: which account
            copies is never left to chance.
        dest_aws_conn_id: Airflow connection of the destination account; likewise.
        recursive: Copy every key that starts with ``source_key``. Default ``False``.
        batch_size: Objects handed to the workers together. Default 100, as in ``S3CopyOperation``.
        overwrite: Replace existing objects. Default ``True``.
        start_after: Copy only keys after this one; ``None`` (default) from the first.
        up_to: Copy only keys up to this one, itself included; ``None`` (default) to the last.
        version_id: Version of the one object to copy; ``None`` (default) for the current one.
        all_versions: Copy every version, oldest first, and delete markers. Default ``False``.
        pin_versions: Copy each object in the version that the listing shows. Default ``False``.
        options: Fields of ``CopyOptions`` that differ from their defaults; ``preserve`` and
            ``overrides`` are mappings of theirs.
        region_name: Region of both buckets; ``None`` (default) takes the connections'.
        verify: TLS verification as the amazon provider has it; ``None`` takes the connections'.
        botocore_config: Arguments of a botocore ``Config``; ``None`` takes the connections'.
        checkpoint_interval_s: Seconds between two saved checkpoints, at most so much is copied
            again after a crash. Default 10: a save costs about 30 ms of the triggerer's supervisor.
        deadline: When the copy must have ended, in seconds of Unix time: it stays the same however
            often the trigger starts again. ``None`` (default) is never.
        resume_from: Checkpoint of an earlier try; ``None`` (default) starts from the beginning.
    """

    source_bucket: str
    source_key: str | None
    destination_bucket: str
    destination_key: str | None
    source_aws_conn_id: str | None
    dest_aws_conn_id: str | None
    recursive: bool = False
    batch_size: int = 100
    overwrite: bool = True
    start_after: str | None = None
    up_to: str | None = None
    version_id: str | None = None
    all_versions: bool = False
    pin_versions: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    region_name: str | None = None
    verify: bool | str | None = None
    botocore_config: Mapping[str, Any] | None = field(default=None, repr=False)
    checkpoint_interval_s: float = 10.0
    deadline: float | None = None
    resume_from: Mapping[str, Any] | None = field(default=None, repr=False)

    def check(self) -> None:
        """Check every parameter against its rule; no I/O.

        ``resume_from`` is left out: a checkpoint that does not fit is no error of the user's, see
        ``accepts``.

        Raises:
            ValidationError: The first one that breaks it.
        """
        for name in ("source_aws_conn_id", "dest_aws_conn_id", "region_name"):
            _check_name(name, getattr(self, name))
        if not isinstance(self.verify, bool):
            _check_name("verify", self.verify)
        _check_json_object("botocore_config", self.botocore_config)
        if self.deadline is not None:
            rules.check_seconds("deadline", self.deadline)
        self._bare_operation(None).check_parameters()

    def accepts(self, checkpoint: Mapping[str, Any]) -> bool:
        """Return whether a checkpoint is one of this copy; no I/O.

        It is not where the parameters were changed between two tries, or where another version
        wrote it: the copy then starts from the beginning.
        """
        try:
            self._bare_operation(checkpoint).check_parameters()
        except ValidationError as error:
            if error.name.startswith("resume_from"):
                return False
            raise
        return True

    def to_kwargs(self) -> dict[str, Any]:
        """Return every field by name, as plain JSON: ``CopyPayload(**kwargs)`` is the same."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    def operation(
        self,
        source: Account,
        destination: Account,
        *,
        on_checkpoint: OnCheckpoint | None = None,
        observer: Observer | None = None,
        resume_from: Mapping[str, Any] | None = None,
    ) -> S3CopyOperation:
        """Return the operation, ready to run.

        Args:
            source: What ``source_aws_conn_id`` stands for.
            destination: What ``dest_aws_conn_id`` stands for.
            on_checkpoint: Is awaited with every checkpoint; ``None`` (default) saves none.
            observer: Is told of progress.
            resume_from: Checkpoint to go on from; ``None`` (default) starts from the beginning.
                The payload's own one is not looked at: the caller may know a later one.

        Raises:
            ValidationError: An option breaks its rule.
        """
        # The triggerer loads this module on its loop, and the engine in a thread.
        from async_s3copy.operation import S3CopyOperation  # noqa: PLC0415

        return S3CopyOperation(
            self.source_bucket,
            self.source_key,
            self.destination_bucket,
            self.destination_key,
            recursive=self.recursive,
            source_aws_conn_id=self.source_aws_conn_id,
            dest_aws_conn_id=self.dest_aws_conn_id,
            batch_size=self.batch_size,
            overwrite=self.overwrite,
            source=source,
            destination=destination,
            options=read_options(self.options),
            observer=observer,
            start_after=self.start_after,
            up_to=self.up_to,
            version_id=self.version_id,
            all_versions=self.all_versions,
            pin_versions=self.pin_versions,
            resume_from=resume_from,
            on_checkpoint=on_checkpoint,
            checkpoint_interval_s=self.checkpoint_interval_s,
        )

    def _bare_operation(self, resume_from: Mapping[str, Any] | None) -> S3CopyOperation:
        # The default chain is not asked before the operation runs.
        return self.operation(Account(), Account(), resume_from=resume_from)


def plain_options(options: CopyOptions) -> dict[str, Any]:
    """Return the fields of the options that differ from their defaults: ``CopyPayload.options``."""
    return _differing(options, CopyOptions())


def as_plain(value: object) -> Any:
    """Return options, a policy or overrides as plain JSON; anything else as it is."""
    if isinstance(value, CopyOptions | Preserve | Overrides):
        return _differing(value, type(value)())
    return value


def read_options(plain: object) -> CopyOptions:
    """Return the options that ``plain_options`` wrote.

    Raises:
        ValidationError: A name that ``CopyOptions`` does not have, or a value that breaks its rule.
    """
    given = _known("options", plain, CopyOptions)
    for name, kind in _NESTED.items():
        if name in given and not isinstance(given[name], kind):
            given[name] = kind(**_known(name, given[name], kind))
    return CopyOptions(**given)


def _differing(value: Any, usual: Any) -> dict[str, Any]:
    chosen = {each.name: getattr(value, each.name) for each in fields(value)}
    return {
        name: _plain_value(name, each)
        for name, each in chosen.items()
        if each != getattr(usual, name)
    }


def _plain_value(name: str, value: Any) -> Any:
    if isinstance(value, Preserve | Overrides):
        return as_plain(value)
    if isinstance(value, datetime):
        # As the header says it; the other one is an instant that any form of ISO 8601 tells.
        in_http = name == "expires"
        return format_datetime(value.astimezone(UTC), usegmt=True) if in_http else value.isoformat()
    return dict(value) if isinstance(value, Mapping) else value


def _known(name: str, plain: object, kind: Any) -> dict[str, Any]:
    if not isinstance(plain, Mapping):
        rule = f"be a mapping of names of {kind.__name__} to values"
        raise ValidationError(name, plain, rule)
    known = {each.name for each in fields(kind)}
    for each in plain:
        if each not in known:
            raise ValidationError(name, each, f"hold names of {kind.__name__} only")
    return dict(plain)


def _check_name(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ValidationError(name, value, "be a non-empty string or None")


def _check_json_object(name: str, value: object) -> None:
    if value is None:
        return
    try:
        is_plain = isinstance(value, Mapping) and json.loads(json.dumps(_plain(value))) == value
    except (TypeError, ValueError):
        is_plain = False
    if not is_plain:
        # What it holds may be a proxy's password: only its type is shown.
        raise ValidationError(name, type(value).__name__, "be a mapping of plain JSON values")


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
