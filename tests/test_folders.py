"""Folders in keys: what is asked to learn how a server sorts them."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from async_s3copy.engine.folders import FolderProbe, folder_probe, hidden_folders, in_folder
from async_s3copy.engine.order import FolderOrder
from async_s3copy.engine.spans import ALL_KEYS
from async_s3copy.model import S3Object
from async_s3copy.s3.values import ListPage
from tests.fakes import LONG_AGO
from tests.harness import all_idle


def page(*keys: str) -> ListPage:
    return ListPage([S3Object.reported("b", key, 1, LONG_AGO, "") for key in keys], None, False)


@pytest.mark.parametrize(
    "keys, prefix, folder",
    [
        ([], "in/", None),
        (["in/a", "in/b"], "in/", None),
        (["in/a", "in/b/c/d"], "in/", "in/b"),
        (["in/b/"], "in/", "in/b"),
        (["in/x"], "in", "in"),
        (["in/x"], "", "in"),
        (["in//x"], "in/", "in/"),
        (["in//x", "in/b/c"], "in/", "in/b"),
        (["/x"], "", ""),
    ],
)
def test_a_probe_is_made_of_the_first_key_in_a_folder(
    keys: Sequence[str], prefix: str, folder: str | None
) -> None:
    """Below the prefix; one without a name only where there is no other."""
    assert folder_probe(keys, prefix) == (None if folder is None else FolderProbe(folder))
    assert any(in_folder(key, prefix) for key in keys) == (folder is not None)


@pytest.mark.parametrize(
    "follows, passed",
    [(("a/b", "b"), True), (("a/",), True), (("b",), False), (("a.b",), False), ((), False)],
)
def test_a_server_passes_by_going_on_in_the_folder(follows: Sequence[str], passed: bool) -> None:
    """After all siblings that sort before what it holds, ``a.b`` among them."""
    probe = FolderProbe("a")
    assert all(sibling < probe.start_after < "a/" for sibling in ("a-b", "a.b", "a.é", "a!"))
    assert probe.passed_by(page(*follows)) is passed


@pytest.mark.parametrize(
    "after, opens, folders",
    [
        ("in/b", False, ["in/b"]),
        ("in/b/c-d", False, ["in/b"]),
        ("in/b-c.d", False, ["in/b-c.d"]),
        ("in/b-c.d", True, ["in/b-c.d", "in/b", "in/b-c"]),
        ("in/-", True, ["in/-", "in/"]),
    ],
)
def test_folders_that_a_key_may_hide(after: str, opens: bool, folders: list[str]) -> None:
    """Its own, that of its name, and for what nobody has listed before those it goes on from."""
    assert hidden_folders(after, "in/", opens=opens) == folders


@pytest.mark.parametrize("answer, holds", [("in/a/1", True), ("in/b", False)])
async def test_a_server_is_asked_once_and_pages_wait_for_its_answer(
    answer: str, holds: bool
) -> None:
    """Pages of several ranges that know of folders cost one request, whatever the answer."""
    asked: list[str | None] = []
    found: list[bool] = []
    answered = anyio.Event()

    async def read(prefix: str | None, after: str | None) -> ListPage:
        asked.append(after)
        await answered.wait()
        return page(answer)

    order = FolderOrder("in/", ALL_KEYS, [ALL_KEYS], is_reference=False, read=read)

    async def ask() -> None:
        found.append(await order.holds(["in/a/1"]))

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        group.start_soon(ask)
        await all_idle()
        assert await order.holds(["in/x"])
        assert found == []
        answered.set()
    assert found == [holds, holds]
    assert len(asked) == 1
    assert order.is_s3s is holds
