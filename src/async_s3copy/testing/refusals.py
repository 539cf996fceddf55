"""Faults that S3 answers with a reason: expired keys, a wrong clock, a wrong Region, another host.

Those that a client can mend are lifted when it has: a request signed for the right Region, or by
the server's clock, passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final, Literal

from aiohttp import web

from async_s3copy.testing.faults import Fault
from async_s3copy.testing.resigning import Signed

if TYPE_CHECKING:
    from async_s3copy.testing.exchange import Exchange

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: RequestTimeTooSkewed
_TOLERANCE_S: Final = 900
_DATE: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class ExpiredToken(Fault):
    """Refuse the credentials as expired: temporary keys whose hour is over in mid-run."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Refuse."""
        return await exchange.refuse(400, "ExpiredToken", "The provided token has expired.")


@dataclass(frozen=True, slots=True)
class Skewed(Fault):
    """Be a server whose clock is some seconds ahead, and refuse what is 15 minutes off.

    A client that takes the server's time from the answer gets through: its request goes on, and
    with the right time again where the proxy has ``credentials``.

    Attributes:
        seconds: How far the server's clock is ahead; negative when it is behind.
        clock: Seconds since the epoch; a test's clock.
    """

    seconds: float
    clock: Callable[[], float] = field(default=time.time, compare=False, repr=False)

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Refuse, unless the request is dated by this clock."""
        now = self.clock()
        theirs = datetime.fromtimestamp(now + self.seconds, UTC)
        sent = _sent(exchange.seen.headers.get("x-amz-date", ""), default=now)
        if abs(theirs.timestamp() - sent) > _TOLERANCE_S:
            return await self._refuse(exchange, theirs)
        if not exchange.knows_signer():
            return await exchange.untouched()
        ours = datetime.fromtimestamp(sent - self.seconds, UTC)
        return await exchange.untouched(exchange.dated(ours.strftime(_DATE)))

    async def _refuse(self, exchange: Exchange, theirs: datetime) -> web.StreamResponse:
        return await exchange.refuse(
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            details={
                "RequestTime": exchange.seen.headers.get("x-amz-date", ""),
                "ServerTime": theirs.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "MaxAllowedSkewMilliseconds": str(_TOLERANCE_S * 1000),
            },
            headers={"Date": format_datetime(theirs, usegmt=True)},
        )


@dataclass(frozen=True, slots=True)
class WrongRegion(Fault):
    """Say that the bucket is in another Region, to every request that is not signed for that one.

    Attributes:
        region: Where the bucket is.
        header: Whether the answer has ``x-amz-bucket-region``, as S3's own has.
        status: 301 PermanentRedirect, or 400 AuthorizationHeaderMalformed.
    """

    region: str
    header: bool = True
    status: Literal[301, 400] = 301

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Refuse, unless the request is signed for the right Region."""
        signed = Signed.read(exchange.seen.headers)
        if signed is not None and signed.scope.region == self.region:
            return await exchange.untouched()
        headers = {"x-amz-bucket-region": self.region} if self.header else {}
        if self.status == 301:
            bucket = exchange.seen.bucket
            details = {"Bucket": bucket, "Endpoint": f"s3.{self.region}.amazonaws.com"}
            message = "The bucket you are attempting to access must be addressed elsewhere."
            return await exchange.refuse(
                301, "PermanentRedirect", message, details=details, headers=headers
            )
        message = f"The authorization header is malformed; expecting {self.region!r}."
        return await exchange.refuse(
            400,
            "AuthorizationHeaderMalformed",
            message,
            details={"Region": self.region},
            headers=headers,
        )


@dataclass(frozen=True, slots=True)
class Redirect(Fault):
    """Send the client to another host: what a hostile or compromised endpoint does.

    Attributes:
        url: Where to; a client must not send credentials there.
        status: HTTP status: 307, as S3's own TemporaryRedirect, or any other.
    """

    url: str
    status: int = 307

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Redirect."""
        return await exchange.refuse(
            self.status,
            "TemporaryRedirect",
            "Please re-send this request to the specified temporary endpoint.",
            details={"Endpoint": self.url.partition("://")[2], "Bucket": exchange.seen.bucket},
            headers={"Location": self.url},
        )


def _sent(timestamp: str, *, default: float) -> float:
    try:
        return datetime.strptime(timestamp, _DATE).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return default
