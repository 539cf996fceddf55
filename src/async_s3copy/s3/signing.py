"""Signing: what one side's requests are signed with, and what S3 has said of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from async_s3copy.errors import S3Error
from async_s3copy.s3.clock import SigningClock
from async_s3copy.s3.wire.keys import KeySource
from async_s3copy.s3.wire.sigv4 import Keys

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
EXPIRED: Final = frozenset(
    ("ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired")
)
"""Said of keys that were good before, and of the token that came with them."""

# Of temporary keys it may mean that they were revoked; of others, that this user is gone.
_UNKNOWN: Final = "InvalidAccessKeyId"


class Signing:
    """Hold one side's keys and clock; both clients of the side sign with them.

    Args:
        keys: Where keys come from.
        clock: The time that is signed.

    Attributes:
        keys: Where keys come from.
        clock: The time that is signed.
    """

    def __init__(self, keys: KeySource, clock: SigningClock) -> None:
        self.keys = keys
        self.clock = clock

    async def current_keys(self) -> Keys | None:
        """Return the keys that a request is about to be signed with; ``None`` where none are.

        Raises:
            CredentialsError: They were refused, and there are no others.
            S3Error: Whoever issues them could not be reached; a later attempt may succeed.
        """
        if not self.keys.exist:
            return None
        return self.keys.current() or await self.keys.fetch()

    @asynccontextmanager
    async def heeding(self, ask: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
        """Make one call in a block whose requests botocore signs, and learn from its refusal.

        Args:
            ask: Makes another call about the same, whose refusal has a body; it is made where a
                HEAD was refused in a way that may be about the token.

        Raises:
            CredentialsError: The keys were refused, and there are no others; nothing is called.
            ClockSkewError: The clock is too far off to be corrected.
            S3Error: Whatever the call raises, marked; or the issuer of keys cannot be reached.
        """
        used = await self.current_keys()
        try:
            yield
        except S3Error as error:
            if leaves_token_open(error, used):
                await self._find_out(ask, used)
            self.heed(error, used)
            raise

    async def _find_out(self, ask: Callable[[], Awaitable[object]], used: Keys | None) -> None:
        try:
            await ask()
        except S3Error as told:
            self.heed(told, used)
            if told.superseded:
                raise

    def heed(self, error: S3Error, used: Keys | None) -> None:
        """Learn from a refusal, and mark it where the next request will be signed otherwise.

        Args:
            error: The refusal.
            used: The keys that the request was signed with.

        Raises:
            ClockSkewError: The clock is too far off to be corrected.
        """
        if used is not None and self._is_about_keys(error):
            self.keys.put_away(used, error.code)
            error.superseded = True
        elif self.clock.heed(error):
            error.superseded = True

    def _is_about_keys(self, error: S3Error) -> bool:
        return error.code in EXPIRED or (error.code == _UNKNOWN and self.keys.renewable)


def leaves_token_open(error: S3Error, used: Keys | None) -> bool:
    """Tell whether a refusal may mean that the token has expired, and does not say so.

    The answer to a HEAD has no body: of ``ExpiredToken`` no more arrives than status 400, which a
    HEAD gets for an object with a key of its own (SSE-C) as well.
    """
    is_bare = error.operation == "HeadObject" and error.status == 400
    return is_bare and used is not None and used.session_token is not None
