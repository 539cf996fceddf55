"""Loading: what a copy needs beyond its trigger's class, beside the triggerer's event loop."""

from __future__ import annotations

import functools
import gc
import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from async_s3copy.airflow.attempt import CopyAttempt

_ATTEMPT: Final = "async_s3copy.airflow.attempt"
_SESSION: Final = "async_s3copy.s3.session"
_LOCK: Final = threading.Lock()


def loaded_attempt() -> type[CopyAttempt]:
    """Return ``CopyAttempt``, loading all that it needs on first use: call it in a thread.

    That is the amazon provider, boto3 and botocore's description of S3: a second and more, once in
    a process. What is alive then is set aside from Python's garbage collection (``gc.freeze``). In
    a triggerer these are some 400,000 objects, Airflow itself most of them, and looking through
    them stops every trigger of the process for a quarter of a second, again and again while
    objects are copied. Those among them that are no longer referred to are freed as before; only
    cycles among them are not found any more.
    """
    # Only an import waits for one that another trigger has begun; the rest would be done twice.
    with _LOCK:
        return _loaded()


@functools.cache
def _loaded() -> type[CopyAttempt]:
    with _no_collection():
        attempt: type[CopyAttempt] = importlib.import_module(_ATTEMPT).CopyAttempt
        importlib.import_module(_SESSION).practise()
        gc.freeze()
    # There is next to nothing left to look through; it makes later collections as small.
    gc.collect()
    return attempt


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector from looking, again and again, through what is being loaded."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
