"""``overwrite=False``: never replace an object, whatever the server makes of If-None-Match.

=========================  =================================================================
the server                 what is sent
=========================  =================================================================
AWS                        the write with ``If-None-Match: *``; atomic, nothing else
another one, not yet known HEAD; where the key is free, the write with the condition, twice: the
                           second must be refused, or the server ignores the condition. The
                           first object finds out for the whole run.
honours the condition      the write with ``If-None-Match: *``
ignores or rejects it      HEAD, then the write; counted as a degradation, because another
                           writer may slip in between
=========================  =================================================================

Completing a multipart upload cannot be tried twice, so on servers other than AWS a HEAD always goes
before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Literal

import anyio

from async_s3copy.engine.governor import Governor
from async_s3copy.errors import AccessDeniedError, NoSuchKeyError, PreconditionFailedError, S3Error
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import S3Location
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.values import ObjectHead, Written

Write = Literal["copy", "put", "complete"]
Send = Callable[[bool], Awaitable[Written]]
_REJECTIONS = ("NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed")


class _Support(Enum):
    UNKNOWN = auto()
    HONOURED = auto()
    IGNORED = auto()


class DestinationExists(Exception):  # noqa: N818 - an answer, not an error
    """The key is taken, and ``overwrite=False``."""


class OverwriteGuard:
    """Write objects so that none is replaced unless that was asked for.

    Args:
        destination: The client that writes.
        governor: Passes the HEADs.
        recorder: Counts where a server does not honour the condition.
        overwrite: ``True`` sends every write as it is.
    """

    def __init__(
        self,
        destination: S3Client,
        governor: Governor,
        recorder: MetricsRecorder,
        *,
        overwrite: bool,
    ) -> None:
        self._destination = destination
        self._governor = governor
        self._recorder = recorder
        self._overwrite = overwrite
        known = _Support.HONOURED if destination.endpoint.is_aws else _Support.UNKNOWN
        self._support: defaultdict[Write, _Support] = defaultdict(lambda: known)
        self._finding_out = anyio.Lock()

    async def write(self, kind: Write, target: S3Location, send: Send) -> Written:
        """Send a write under the guard.

        Args:
            kind: Which write; support for the condition differs between them.
            target: The key it writes.
            send: Sends it, with the condition or without; returns what S3 says of it.

        Returns:
            What S3 says of the object that was written.

        Raises:
            DestinationExists: The key is taken; nothing was written.
            S3Error: What the write raises; a 412 that cannot be about the destination passes.
        """
        if self._overwrite:
            return await send(False)
        if self._support[kind] is _Support.HONOURED:
            return await self._conditional(target, send)
        await self.refuse_if_taken(target)
        if self._support[kind] is _Support.IGNORED:
            return await self._unprotected(send)
        if kind == "complete":
            return await self._conditional_or_unprotected(kind, target, send)
        async with self._finding_out:
            if self._support[kind] is _Support.UNKNOWN:
                return await self._find_out(kind, target, send)
        return await self.write(kind, target, send)

    async def refuse_if_taken(self, target: S3Location) -> None:
        """Look before much work is done in vain: one HEAD, and none where everything is replaced.

        Raises:
            DestinationExists: The key is taken, and ``overwrite=False``.
            AccessDeniedError: The credentials may not look, and the server is not AWS, whose
                condition holds without looking.
        """
        if self._overwrite:
            return
        try:
            found = await self.existing(target)
        except AccessDeniedError:
            if not self._destination.endpoint.is_aws:
                raise
            return
        if found is not None:
            raise DestinationExists

    async def existing(self, target: S3Location) -> ObjectHead | None:
        """Return the head of the destination object; ``None`` where there is none.

        Raises:
            AccessDeniedError: The credentials may neither HEAD nor list the key.
        """
        key = target.key or ""
        try:
            return await self._governor.call(
                lambda: self._destination.head_object(target.bucket, key)
            )
        except NoSuchKeyError:
            return None
        except AccessDeniedError:
            return await self._listed(target, key)

    async def _listed(self, target: S3Location, key: str) -> ObjectHead | None:
        """Look by a listing: without s3:ListBucket, S3 answers 403 to the HEAD of a missing key."""
        try:
            page = await self._governor.call(
                lambda: self._destination.list_page(target.bucket, key, max_keys=1),
                kind="list",
                side="destination",
            )
        except AccessDeniedError as error:
            error.permission = "s3:GetObject or s3:ListBucket"
            error.message = (
                f"overwrite=False has to look first: the destination credentials need "
                f"{error.permission} on {target}"
            )
            raise
        return next((ObjectHead(object=o) for o in page.objects if o.key == key), None)

    async def _conditional(self, target: S3Location, send: Send) -> Written:
        try:
            return await send(True)
        except PreconditionFailedError as error:
            # The 412 may as well be about the source's ETag: look.
            if not error.after_unknown and await self.existing(target) is not None:
                raise DestinationExists from error
            raise

    async def _find_out(self, kind: Write, target: S3Location, send: Send) -> Written:
        written = await self._conditional_or_unprotected(kind, target, send)
        if self._support[kind] is _Support.UNKNOWN:
            try:
                written = await send(True)
            except PreconditionFailedError:
                self._support[kind] = _Support.HONOURED
            else:
                self._ignores(kind)
        return written

    async def _conditional_or_unprotected(
        self, kind: Write, target: S3Location, send: Send
    ) -> Written:
        try:
            return await self._conditional(target, send)
        except S3Error as error:
            if error.code not in _REJECTIONS:
                raise
            self._ignores(kind)
            return await self._unprotected(send)

    async def _unprotected(self, send: Send) -> Written:
        self._recorder.degraded(
            "unprotected_writes",
            "this server does not honour If-None-Match: existing objects are looked up before each "
            "write, but another writer could slip in between",
        )
        return await send(False)

    def _ignores(self, kind: Write) -> None:
        self._support[kind] = _Support.IGNORED
