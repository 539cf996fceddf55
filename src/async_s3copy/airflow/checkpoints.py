"""Where checkpoints live: in XCom while a try runs, in the task state store between two tries."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Protocol

import anyio
import anyio.to_thread
from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.execution_time.xcom import XCom
from asgiref.sync import sync_to_async

from async_s3copy.engine.tasks import uninterrupted
from async_s3copy.errors import S3CopyError

logger = logging.getLogger("async_s3copy")

CHECKPOINT_KEY: Final = "async_s3copy_checkpoint"
"""Under this key both places keep a task's checkpoint. A task that runs two copies of its own on a
worker gives each of them another one."""

_SAVE_TIMEOUT_S: Final = 60.0
"""A multipart upload waits for a checkpoint before it begins: not for ever. Two thousand times what
a save takes on an idle triggerer, three times what its very first request took on a busy machine.
"""
_GRACE_S: Final = 2.0
"""A cancelled save has so long to end: seventy times what one takes on an idle triggerer."""
_TASK_STATE_STORE: Final = "task_state_store"
_TASK_RUNNER: Final = "airflow.sdk.execution_time.task_runner"


class CheckpointNotSavedError(S3CopyError):
    """Report a checkpoint that could not be stored; says why, never what it holds."""


class CheckpointStore(Protocol):
    """Keep the newest checkpoint of one try of one task."""

    async def load(self) -> dict[str, Any] | None:
        """Return the newest one; ``None`` where there is none."""

    async def save(self, checkpoint: Mapping[str, Any]) -> None:
        """Store one in place of the one before."""


class TaskInstance(Protocol):
    """What is read of Airflow's task instances, of which there are several kinds."""

    @property
    def id(self) -> Any:
        """Unique identifier of this try; a retry or a clear gives the task another one."""

    @property
    def dag_id(self) -> str:
        """The DAG's id."""

    @property
    def task_id(self) -> str:
        """The task's id."""

    @property
    def run_id(self) -> str:
        """The DAG run's id."""

    @property
    def map_index(self) -> int | None:
        """Which of the mapped tasks; -1 or ``None`` where it is not mapped."""


class XComCheckpoints:
    """Keep a try's checkpoint in XCom, the only place a trigger can write to.

    It survives the death of the triggerer, and is cleared when the next try begins. A trigger of
    an earlier try that is still ending may write after that: the try's id is stored as well, and
    another try's checkpoint is not read.

    The checkpoint is stored as a JSON text in ASCII: it comes back unchanged whatever characters
    the keys have (PostgreSQL's JSON refuses U+0000) and whatever Airflow makes of nested values.

    Args:
        task_instance: Whose checkpoint.
        xcom: Airflow's XCom, with the backend of the configuration.
    """

    def __init__(self, task_instance: TaskInstance, xcom: Any = XCom) -> None:
        self._try_id = str(task_instance.id)
        self._xcom = xcom
        index = task_instance.map_index
        self._where: dict[str, Any] = {
            "key": CHECKPOINT_KEY,
            "dag_id": task_instance.dag_id,
            "task_id": task_instance.task_id,
            "run_id": task_instance.run_id,
            "map_index": -1 if index is None else index,
        }

    async def load(self) -> dict[str, Any] | None:
        """Return this try's newest checkpoint; ``None`` where there is none, or none readable.

        Costs a question to the triggerer's supervisor: some 20 ms, seconds on its first.
        """
        try:
            # As long as it takes, like the connections that are looked up next.
            value = await self._ask(self._request("aget_one", "get_one", **self._where), math.inf)
        except Exception as error:
            # Without it the copy is slower, not wrong. What the error says may quote a key.
            logger.warning("checkpoint.not_loaded: %s", type(error).__name__)
            return None
        return self._read(value)

    async def save(self, checkpoint: Mapping[str, Any]) -> None:
        """Store this try's checkpoint; some 30 ms of the triggerer's supervisor.

        A cancellation meanwhile waits for the answer, two seconds at most: in Airflow 3.1 an
        answer that nobody awaits is taken for the next one, which may be another trigger's.

        Raises:
            CheckpointNotSavedError: Airflow did not store it.
        """
        value = json.dumps({"try_id": self._try_id, "checkpoint": dict(checkpoint)})
        try:
            request = self._request("aset", "set", value=value, **self._where)
            await self._ask(request, _SAVE_TIMEOUT_S)
        except Exception as error:
            reason = f"XCom did not take the checkpoint: {type(error).__name__}"
            raise CheckpointNotSavedError(reason) from None

    def _request(self, name: str, blocking_name: str, **arguments: Any) -> Callable[[], Any]:
        ask = getattr(self._xcom, name, None)
        if ask is not None and not _may_block(self._xcom):
            return partial(ask, **arguments)
        # Airflow's own bridge: in 3.1 the answer must be read on the triggerer's loop.
        return partial(sync_to_async(getattr(self._xcom, blocking_name)), **arguments)

    async def _ask(self, request: Callable[[], Any], timeout_s: float) -> Any:
        return await uninterrupted(partial(_answer, request, timeout_s), _GRACE_S)

    def _read(self, value: object) -> dict[str, Any] | None:
        try:
            stored = json.loads(value) if isinstance(value, str) else {}
        except ValueError:
            return None
        is_ours = isinstance(stored, dict) and stored.get("try_id") == self._try_id
        checkpoint = stored.get("checkpoint") if is_ours else None
        return checkpoint if isinstance(checkpoint, dict) else None


def load(context: Mapping[str, Any], *, key: str = CHECKPOINT_KEY) -> dict[str, Any] | None:
    """Return the checkpoint that an earlier try of the task left; on a worker.

    Args:
        context: The task's context.
        key: Under which it was stored.

    Returns:
        ``None`` where there is none, or no task state store (before Airflow 3.3).
    """
    store = context.get(_TASK_STATE_STORE)
    if store is None:
        return None
    try:
        value = store.get(key)
    except Exception as error:
        logger.warning("checkpoint.not_loaded: %s", type(error).__name__)
        return None
    return dict(value) if isinstance(value, Mapping) else None


def store(
    context: Mapping[str, Any], checkpoint: Mapping[str, Any], *, key: str = CHECKPOINT_KEY
) -> bool:
    """Leave a checkpoint for the next try of the task; on a worker.

    Above 64 KiB (``[state_store] max_value_storage_bytes``) Airflow stores it all the same, and
    says so in the task's log.

    Args:
        context: The task's context.
        checkpoint: What ``checkpoint()`` returned.
        key: Under which to store it.

    Returns:
        Whether it was stored: it is not before Airflow 3.3. An error is logged, never raised: the
        task's own end matters more.
    """
    return _change(context, "stored", lambda state: state.set(key, dict(checkpoint)))


async def astore(
    context: Mapping[str, Any], checkpoint: Mapping[str, Any], *, key: str = CHECKPOINT_KEY
) -> bool:
    """Do what ``store`` does, in a thread; a cancellation waits for it."""
    return await anyio.to_thread.run_sync(partial(store, context, checkpoint, key=key))


def clear(context: Mapping[str, Any], *, key: str = CHECKPOINT_KEY) -> bool:
    """Forget the checkpoint of the task, which has succeeded; on a worker.

    Args:
        context: The task's context.
        key: Under which it was stored.

    Returns:
        Whether it was deleted; an error is logged, never raised.
    """
    return _change(context, "deleted", lambda state: state.delete(key))


def _change(context: Mapping[str, Any], done: str, change: Callable[[Any], object]) -> bool:
    state = context.get(_TASK_STATE_STORE)
    if state is None:
        return False
    try:
        change(state)
    except Exception as error:
        logger.warning("checkpoint.not_%s: %s", done, type(error).__name__)
        return False
    return True


async def _answer(request: Callable[[], Any], timeout_s: float) -> Any:
    """Return the answer of the triggerer's supervisor to a request."""
    if _is_closed():
        raise CheckpointNotSavedError("the triggerer is ending")
    try:
        with anyio.fail_after(timeout_s):
            return await request()
    except asyncio.CancelledError:
        # Who awaits an answer when the triggerer ends is cancelled by the reader, not by us.
        if _is_closed():
            raise CheckpointNotSavedError("the triggerer is ending") from None
        raise


def _is_closed() -> bool:
    """Return whether the triggerer has stopped reading answers, as it does first when it ends.

    A request would be sent, and its answer awaited in vain (Airflow 3.3). Other versions read
    answers in another way, and have no such task.
    """
    runner = sys.modules.get(_TASK_RUNNER)
    reader = getattr(getattr(runner, "SUPERVISOR_COMMS", None), "_reader_task", None)
    return reader is not None and reader.done()


def _may_block(xcom: Any) -> bool:
    """Return whether a backend of the user's own stores values elsewhere, and blocks for it."""
    return isinstance(xcom, type) and any(
        getattr(xcom, name) is not getattr(BaseXCom, name)
        for name in ("serialize_value", "deserialize_value")
    )
