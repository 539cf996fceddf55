"""SigningClock: the time that requests are signed with, corrected by S3's where it has to be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from async_s3copy.errors import ClockSkewError, S3Error, Side

logger = logging.getLogger("async_s3copy")

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_TOLD: Final = frozenset(("RequestTimeTooSkewed", "RequestExpired"))
# "The difference between the request time and the server's time is too large": 15 minutes.
_ACCEPTED_S: Final = 15 * 60.0
# What is left after a correction: the answer's way, and a Date in whole seconds.
_CLOSE_S: Final = 5 * 60.0
# A day covers every mistake about time zones. Beyond it whatever else the machine does by its
# clock, certificates included, cannot be right, and signatures of another day are not to be had.
_MAX_OFFSET_S: Final = 24 * 60 * 60.0
# Two corrections within it: what S3 says of its own time does not hold.
_CORRECTION_LASTS_S: Final = 120.0


class SigningClock:
    """Tell the time to sign with: this machine's, until S3 refuses it.

    A refusal carries the server's time; from then on it counts, for all requests of this side.
    The machine's clock is left alone.

    Args:
        side: Whose requests are signed.
        clock: Seconds since the epoch; a test's clock.
        monotonic: Seconds that never go back; a test's clock.

    Attributes:
        offset_s: Seconds added to this machine's time; 0 until S3 refuses it.
    """

    def __init__(
        self,
        side: Side,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._side: Side = side
        self._clock = clock
        self._monotonic = monotonic
        self._corrected_at: float | None = None
        self.offset_s = 0.0

    def __call__(self) -> float:
        """Return seconds since the epoch, as S3 counts them."""
        return self._clock() + self.offset_s

    def heed(self, error: S3Error) -> bool:
        """Correct the clock where a refusal is about it.

        The answer to a HEAD has no body and so no code: its ``Date`` alone tells.

        Returns:
            Whether the next request will be signed with another time than the refused one.

        Raises:
            ClockSkewError: It is about the clock, and cannot be corrected: the server does not
                tell its time, or one too far away, or another than a moment ago.
        """
        is_told = error.code in _TOLD
        if error.status != 403 and not is_told:
            return False
        if error.server_time is None:
            return self._uncorrectable(None) if is_told else False
        ahead_s = self() - error.server_time.timestamp()
        if abs(ahead_s) <= (_CLOSE_S if is_told else _ACCEPTED_S):
            # Told all the same, the request was signed before the correction.
            return is_told
        if not self._may_correct(ahead_s):
            return self._uncorrectable(ahead_s - self.offset_s) if is_told else False
        self._correct(ahead_s)
        return True

    def _may_correct(self, ahead_s: float) -> bool:
        now, last = self._monotonic(), self._corrected_at
        is_settled = last is None or now - last >= _CORRECTION_LASTS_S
        return is_settled and abs(self.offset_s - ahead_s) <= _MAX_OFFSET_S

    def _correct(self, ahead_s: float) -> None:
        self.offset_s -= ahead_s
        self._corrected_at = self._monotonic()
        logger.warning(
            "clock.corrected: requests of the %s side are signed with the server's time, "
            "which is %s %s this machine's",
            self._side,
            timedelta(seconds=round(abs(self.offset_s))),
            "ahead of" if self.offset_s > 0 else "behind",
        )

    def _uncorrectable(self, ahead_s: float | None) -> bool:
        raise ClockSkewError(self._side, ahead_s)
