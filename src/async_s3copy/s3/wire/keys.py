"""KeySource: an account's keys as they are now, refreshed ahead of time while requests go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import anyio

from async_s3copy.errors import CredentialsError, S3CopyError, S3Error, Side
from async_s3copy.s3.boto_errors import translated
from async_s3copy.s3.wire.sigv4 import Keys

# Asking botocore costs a hundredth of a request; once a second is plenty for keys that live hours.
_LOOK_EVERY_S: Final = 1.0


class _Question:
    """One look at the credentials, and what came of it, for all who wait for it."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.keys: Keys | None = None
        self.error: S3CopyError | None = None

    async def outcome(self) -> Keys | None:
        """Wait for the keys, or the error; ``None`` where who asked was cancelled."""
        await self.done.wait()
        if self.error is not None:
            raise self.error
        return self.keys


class KeySource:
    """Hand out keys without making requests wait for new ones.

    botocore's credentials (role, SSO, IMDS, ...) know when they expire. From 15 minutes before,
    the one request that finds out fetches new ones, while all others go on with the old ones; only
    within the last 10 minutes, when that has not succeeded, do they wait: for that one request,
    which fails for all of them if it fails. Credentials that do not tell when they expire are
    asked by one request at a time, too.

    Args:
        credentials: botocore's credentials; ``None`` where there are none.
        side: Whose they are.
        clock: Seconds; a test's clock.
    """

    def __init__(
        self, credentials: Any, side: Side, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._credentials = credentials
        self._side: Side = side
        self._clock = clock
        self._keys: Keys | None = None
        self._look_at = 0.0
        self._question: _Question | None = None

    def current(self) -> Keys | None:
        """Return the keys if they need no look now; otherwise ``None``, and ``fetch`` is due."""
        return self._keys if self._clock() < self._look_at else None

    async def fetch(self) -> Keys:
        """Ask botocore for the keys; the same object as before where they have not changed.

        Raises:
            CredentialsError: There are none, or they have expired and cannot be refreshed.
            S3Error: Whoever issues them could not be reached; a later attempt may succeed.
        """
        if self._credentials is None:
            raise CredentialsError(self._side, "none were found")
        while self._question is not None and not self._may_go_on():
            keys = await self._question.outcome()
            if keys is not None:
                return keys
        return await self._ask()

    def _may_go_on(self) -> bool:
        """Tell whether the keys are good for long enough, whatever becomes of a refresh."""
        needed = getattr(self._credentials, "refresh_needed", None)
        if self._keys is None or needed is None:
            return False
        # botocore has no public name for the time from which on new keys are a must.
        return not needed(self._credentials._mandatory_refresh_timeout)

    async def _ask(self) -> Keys:
        # Before the wait: the others need not look while this request does.
        self._look_at = self._clock() + _LOOK_EVERY_S
        question = _Question()
        # Not in place of another one: who may go on is answered without waiting for it.
        self._question = self._question or question
        try:
            frozen = await self._frozen()
            keys = Keys(frozen.access_key, frozen.secret_key, frozen.token)
            if self._keys is None or keys != self._keys:
                self._keys = keys
            question.keys = self._keys
        except BaseException as error:
            self._look_at = 0.0
            question.error = error if isinstance(error, S3CopyError) else None
            raise
        finally:
            if self._question is question:
                self._question = None
            question.done.set()
        return self._keys

    async def _frozen(self) -> Any:
        try:
            async with translated("GetCredentials", self._side, ""):
                return await self._credentials.get_frozen_credentials()
        except RuntimeError as error:  # botocore: the new ones have expired as well
            raise CredentialsError(self._side, str(error)) from error
        except S3Error as error:
            if error.retryable:
                raise
            raise CredentialsError(self._side, error.message) from error
