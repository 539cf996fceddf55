"""Tools to try and test copies without an AWS account.

- ``seaweedfs``: a real S3 server on this machine; needs the ``demo`` extra.
- ``fault_proxy``: a proxy before any S3 server that fails by script.

Nothing in ``async_s3copy`` outside the demo uses this package. The names below load what they need
on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from async_s3copy.testing.exchange import Exchange, ProxyError
    from async_s3copy.testing.fault_script import ALL_FAULTS, PASSING_FAULTS, RandomFaults
    from async_s3copy.testing.faults import (
        BackwardsPage,
        Delay,
        Drip,
        Fault,
        Hold,
        IgnoreParameters,
        KeepAliveThenError,
        LostAnswer,
        OkThenBroken,
        OkWithError,
        RepeatedPage,
        ResetAfter,
        ResetBefore,
        Status,
        TruncatedBody,
    )
    from async_s3copy.testing.proxy import FaultProxy, fault_proxy
    from async_s3copy.testing.refusals import ExpiredToken, Redirect, Skewed, WrongRegion
    from async_s3copy.testing.seen import Seen

__all__ = [
    "ALL_FAULTS",
    "PASSING_FAULTS",
    "BackwardsPage",
    "Delay",
    "Drip",
    "Exchange",
    "ExpiredToken",
    "Fault",
    "FaultProxy",
    "Hold",
    "IgnoreParameters",
    "KeepAliveThenError",
    "LostAnswer",
    "OkThenBroken",
    "OkWithError",
    "ProxyError",
    "RandomFaults",
    "Redirect",
    "RepeatedPage",
    "ResetAfter",
    "ResetBefore",
    "Seen",
    "Skewed",
    "Status",
    "TruncatedBody",
    "WrongRegion",
    "fault_proxy",
]

_FAULTS: Final = "async_s3copy.testing.faults"
_HOME_OF: Final = {
    "ALL_FAULTS": "async_s3copy.testing.fault_script",
    "PASSING_FAULTS": "async_s3copy.testing.fault_script",
    "Exchange": "async_s3copy.testing.exchange",
    "ExpiredToken": "async_s3copy.testing.refusals",
    "FaultProxy": "async_s3copy.testing.proxy",
    "ProxyError": "async_s3copy.testing.exchange",
    "RandomFaults": "async_s3copy.testing.fault_script",
    "Redirect": "async_s3copy.testing.refusals",
    "Seen": "async_s3copy.testing.seen",
    "Skewed": "async_s3copy.testing.refusals",
    "WrongRegion": "async_s3copy.testing.refusals",
    "fault_proxy": "async_s3copy.testing.proxy",
}
"""Where each name lives; every other public name is a fault."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF.get(name, _FAULTS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
