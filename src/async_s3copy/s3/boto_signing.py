"""Have one botocore client sign with keys and a clock that can be corrected."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from botocore import UNSIGNED

from async_s3copy.errors import Side
from async_s3copy.s3.clock import SigningClock
from async_s3copy.s3.signing import Signing
from async_s3copy.s3.wire.keys import KeySource

_FORMAT: Final = "%Y%m%dT%H%M%SZ"


def boto_signing(client: Any, credentials: Any, side: Side) -> Signing:
    """Return what a client signs with, and have it sign by the clock in there.

    Args:
        client: An entered aiobotocore client; once only.
        credentials: botocore's credentials that it signs with; ``None`` where there are none.
        side: Whose they are.
    """
    is_unsigned = client.meta.config.signature_version is UNSIGNED
    signing = Signing(KeySource(None if is_unsigned else credentials, side), SigningClock(side))
    _sign_by(client, signing.clock)
    return signing


def _sign_by(client: Any, clock: SigningClock) -> None:
    """Let a client's signatures carry the time of a clock, wherever that was corrected.

    botocore asks the machine for the time in one function of a module, which all clients of the
    process share. So it is not touched: each signature's own object gets the time put right,
    between the moment when it has taken the machine's and the one when it signs.

    Args:
        client: An entered aiobotocore client.
        clock: The clock.
    """
    signer: Any = getattr(client, "_request_signer", None)
    if not hasattr(signer, "get_auth_instance"):
        return
    make = signer.get_auth_instance

    async def corrected(*args: Any, **kwargs: Any) -> Any:
        auth = await make(*args, **kwargs)
        prepare = getattr(auth, "_modify_request_before_signing", None)
        if clock.offset_s and prepare is not None:
            auth._modify_request_before_signing = _with_time(prepare, clock)
        return auth

    signer.get_auth_instance = corrected


def _with_time(prepare: Callable[[Any], None], clock: SigningClock) -> Callable[[Any], None]:
    def prepare_in_time(request: Any) -> None:
        request.context["timestamp"] = time.strftime(_FORMAT, time.gmtime(clock()))
        prepare(request)

    return prepare_in_time
