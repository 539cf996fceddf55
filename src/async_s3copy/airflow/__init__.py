"""The Airflow door: a deferrable operator and its trigger. The only folder that imports Airflow.

The names below load what they need on first use: importing this package imports no Airflow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from async_s3copy.airflow.operators import S3CopyOperator
    from async_s3copy.airflow.shards import split_prefix
    from async_s3copy.airflow.triggers import S3CopyTrigger

__all__ = ["S3CopyOperator", "S3CopyTrigger", "split_prefix"]

_HOME_OF = {
    "S3CopyOperator": "async_s3copy.airflow.operators",
    "S3CopyTrigger": "async_s3copy.airflow.triggers",
    "split_prefix": "async_s3copy.airflow.shards",
}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
