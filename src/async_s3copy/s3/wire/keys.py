"""KeySource: an account's keys as they are now, refreshed ahead of time while requests go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import anyio

from async_s3copy.errors import CredentialsError, S3CopyError, S3Error, Side
from async_s3copy.s3.boto_errors import translated
from async_s3copy.s3.wire.sigv4 import Keys

# Asking botocore costs a hundredth of a request; once a second is plenty for keys that live hours.
_LOOK_EVERY_S: Final = 1.0
_OTHER_REASON: Final = "S3 does not accept them any more, and there are no others"
_REASONS: Final = {
    "ExpiredToken": "the session token has expired, and there is no other to be had (ExpiredToken)",
    "InvalidToken": "S3 does not accept the session token (InvalidToken)",
}


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
    asked by one request at a time, too. So it is with keys that S3 has refused before their time:
    one request asks for others, and if there are none, the refused ones are not handed out again.

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
        self._refused: Keys | None = None
        self._refusal = ""

    @property
    def exist(self) -> bool:
        """Whether there are credentials at all."""
        return self._credentials is not None

    @property
    def renewable(self) -> bool:
        """Whether the credentials are of a kind that is renewed from time to time."""
        return hasattr(self._credentials, "refresh_needed")

    def current(self) -> Keys | None:
        """Return the keys if they need no look now; otherwise ``None``, and ``fetch`` is due."""
        return self._keys if self._clock() < self._look_at else None

    def put_away(self, refused: Keys, code: str) -> None:
        """Do not hand out keys again that S3 has refused; ``fetch`` asks for others.

        Args:
            refused: The keys; nothing happens where they have been replaced meanwhile.
            code: S3's code for the refusal.
        """
        if refused != self._keys or refused == self._refused:
            return
        self._refused, self._refusal = refused, code
        self._look_at = 0.0
        if _holds(self._credentials, refused):
            make_due(self._credentials)

    async def fetch(self) -> Keys:
        """Ask botocore for the keys; the same object as before where they have not changed.

        Raises:
            CredentialsError: There are none, or S3 has refused them and there are no others.
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
        if self._keys is None or needed is None or self._keys == self._refused:
            return False
        # botocore has no public name for the time from which on new keys are a must.
        return not needed(self._credentials._mandatory_refresh_timeout)

    async def _ask(self) -> Keys:
        if self._keys != self._refused:
            # Before the wait: the others need not look while this request does.
            self._look_at = self._clock() + _LOOK_EVERY_S
        question = _Question()
        # Not in place of another one: who may go on is answered without waiting for it.
        self._question = self._question or question
        try:
            question.keys = await self._accepted()
        except BaseException as error:
            self._look_at = 0.0
            question.error = error if isinstance(error, S3CopyError) else None
            raise
        finally:
            if self._question is question:
                self._question = None
            question.done.set()
        self._look_at = self._clock() + _LOOK_EVERY_S
        return question.keys

    async def _accepted(self) -> Keys:
        """Ask until there are keys that S3 has not refused, or no others than those."""
        refused_before = self._refused
        keys = await self._asked()
        if keys == self._refused and self._refused is not refused_before:
            # Refused while they were asked for: only from now on new ones are due.
            keys = await self._asked()
        if keys == self._refused:
            raise CredentialsError(self._side, _REASONS.get(self._refusal, _OTHER_REASON))
        if self._keys is None or keys != self._keys:
            self._keys = keys
        return self._keys

    async def _asked(self) -> Keys:
        frozen = await self._frozen()
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

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


def _holds(credentials: Any, keys: Keys) -> bool:
    """Tell whether credentials would still give these keys; the other side may share them."""
    frozen = getattr(credentials, "_frozen_credentials", None)
    return frozen is None or Keys(frozen.access_key, frozen.secret_key, frozen.token) == keys


def make_due(credentials: Any) -> None:
    """Let botocore renew credentials with the next question, though they say that they hold.

    botocore has no public way to ask for that.
    """
    if getattr(credentials, "_expiry_time", None) is not None:
        credentials._expiry_time = credentials._time_fetcher()
    # A role's keys are kept where they were fetched as well, and would come again from there.
    fetcher: Any = getattr(getattr(credentials, "_refresh_using", None), "__self__", None)
    with suppress(AttributeError, KeyError, TypeError, OSError):
        del fetcher._cache[fetcher._cache_key]
