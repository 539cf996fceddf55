"""The parts an object was uploaded in: discovered with as few HEADs as tell, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import CopyOptions, Preserve
from async_s3copy.engine.layout import has_layout, read_layout, source_layout
from async_s3copy.engine.plan import PartPlan, explicit_parts
from async_s3copy.errors import RetryableS3Error
from async_s3copy.model import S3Object
from async_s3copy.options import MAX_PART_BYTES, MAX_PARTS, MIB, MIN_PART_BYTES
from async_s3copy.s3.values import ObjectHead
from tests.fake_server import Call, FakeS3, Fault, Phase
from tests.fakes import LONG_AGO
from tests.harness import fast_options, transfer_of

MD5 = "0" * 32
sizes = st.lists(st.integers(MIN_PART_BYTES, MAX_PART_BYTES), min_size=1, max_size=30)


class Parts:
    """A source of one object whose parts need no bytes: the fake's heads, with sizes of our own."""

    def __init__(self, part_sizes: Sequence[int], etag_policy: str = "best_effort") -> None:
        self.server = FakeS3()
        self.sizes = list(part_sizes)
        self.server.put("source-bucket", "in/k", b"")
        options = fast_options(preserve=Preserve(etag=etag_policy))  # type: ignore[arg-type]
        self.told: dict[str, Any] = {}
        self.connect(options)

    def connect(self, options: CopyOptions) -> None:
        self.transfer = transfer_of(self.server, options=options)
        self.transfer.source.head_object = self.head_object  # type: ignore[method-assign, assignment]

    @property
    def head(self) -> ObjectHead:
        etag = f"{MD5}-{len(self.sizes)}"
        item = S3Object("source-bucket", "in/k", sum(self.sizes), LONG_AGO, etag)
        return ObjectHead(object=item, content_length=item.size)

    @property
    def asked(self) -> list[int | None]:
        return [call.part for call in self.server.made("HeadObject")]

    async def head_object(self, bucket: str, key: str, *, part_number: int, **_: Any) -> ObjectHead:
        call = Call("HeadObject", "source", bucket, key, part=part_number)
        told = {"content_length": self.sizes[part_number - 1], "part_count": len(self.sizes)}
        return await self.server.answer(call, lambda: replace(self.head, **told | self.told))

    async def layout(self) -> PartPlan | None:
        return await source_layout(self.transfer, self.head)


@given(sizes, st.integers(1, MIN_PART_BYTES))
def test_explicit_parts_are_exactly_those(body: list[int], last: int) -> None:
    """Any legal sizes make a plan with these parts, in order, without gap or overlap."""
    wanted = [*body, last]
    plan = explicit_parts(sum(wanted), wanted)
    assert plan is not None
    ranges = list(plan.ranges())
    assert [each.size for each in ranges] == list(plan.part_sizes()) == wanted
    assert (ranges[0].first, ranges[-1].last) == (0, sum(wanted) - 1)
    assert all(one.last + 1 == other.first for one, other in pairwise(ranges))
    assert plan.count == len(wanted)
    assert plan.part_bytes == max(wanted)


@given(st.integers(MIN_PART_BYTES, MAX_PART_BYTES), st.integers(0, 30), st.data())
def test_equal_parts_make_the_plan_of_equal_parts(
    part: int, count: int, drawn: st.DataObject
) -> None:
    """Sizes that are equal but for a shorter last one are no plan of a kind of its own."""
    last = drawn.draw(st.integers(1, part))
    wanted = [part] * count + [last]
    size = sum(wanted)
    assert explicit_parts(size, wanted) == PartPlan(size, part if count else last)


@pytest.mark.parametrize(
    "wanted",
    [
        [],
        [0],
        [5 * MIB, 0],
        [5 * MIB - 1, 5 * MIB],
        [MAX_PART_BYTES + 1],
        [5 * MIB, MAX_PART_BYTES + 1],
        [5 * MIB] * (MAX_PARTS + 1),
    ],
)
def test_parts_that_s3_does_not_take_are_no_plan(wanted: list[int]) -> None:
    """No parts, empty ones, too small, too large, too many."""
    assert explicit_parts(sum(wanted), wanted) is None


@pytest.mark.parametrize("error_bytes", [-1, 1])
def test_parts_that_are_not_the_object_are_no_plan(error_bytes: int) -> None:
    """Sizes that do not add up to the object's."""
    assert explicit_parts(12 * MIB + error_bytes, [5 * MIB, 7 * MIB]) is None


async def test_equal_parts_are_told_by_the_first() -> None:
    """One HEAD, whatever the number of parts."""
    source = Parts([6 * MIB] * 9 + [1])
    assert await source.layout() == PartPlan(9 * 6 * MIB + 1, 6 * MIB)
    assert source.asked == [1]


async def test_required_makes_sure_of_the_last() -> None:
    """A second HEAD, because the ETag has to stay."""
    source = Parts([6 * MIB] * 9 + [1], "required")
    assert await source.layout() == PartPlan(9 * 6 * MIB + 1, 6 * MIB)
    assert sorted(source.asked, key=str) == [1, 10]


async def test_required_asks_for_each_of_different_parts() -> None:
    """Parts of different sizes: each is asked for once, and the plan has exactly them."""
    wanted = [(5 + number % 3) * MIB for number in range(40)]
    source = Parts(wanted, "required")
    assert await source.layout() == PartPlan(sum(wanted), 7 * MIB, tuple(wanted))
    assert sorted(number or 0 for number in source.asked) == list(range(1, 41))


async def test_no_more_than_sixteen_are_asked_for_at_once() -> None:
    """One object leaves the others their share of the requests in flight."""
    source = Parts([(5 + number % 3) * MIB for number in range(60)], "required")
    options = fast_options(preserve=Preserve(etag="required"), max_concurrent_requests=100)
    source.connect(options)
    assert await source.layout() is not None
    assert source.server.most_in_flight == 16


async def test_best_effort_does_not_ask_for_each() -> None:
    """Different parts without need: one HEAD, and a layout only if the first explains all."""
    source = Parts([8 * MIB, 5 * MIB, 5 * MIB, 5 * MIB])
    assert await source.layout() is None
    assert source.asked == [1]


@pytest.mark.parametrize("policy", ["best_effort", "required"])
async def test_dropped_or_absent_layouts_cost_nothing(policy: str) -> None:
    """No request: the policy is "drop", the object has no parts, or its ETag is opaque."""
    dropped = Parts([6 * MIB] * 2, "drop")
    assert await dropped.layout() is None
    source = Parts([6 * MIB] * 2, policy)
    plain = S3Object("source-bucket", "in/k", 5, LONG_AGO, MD5)
    assert await source_layout(source.transfer, ObjectHead(object=plain)) is None
    opaque = replace(source.head, etag_is_md5=False)
    assert await source_layout(source.transfer, opaque) is None
    assert dropped.asked == source.asked == []


async def test_a_relay_reads_a_layout_whatever_the_policy() -> None:
    """Proving the bytes needs it, even where nobody wants it repeated."""
    source = Parts([6 * MIB] * 2, "drop")
    assert await read_layout(source.transfer, source.head) == PartPlan(12 * MIB, 6 * MIB)


@pytest.mark.parametrize("policy", ["best_effort", "required"])
@pytest.mark.parametrize(
    "told",
    [
        {"content_length": 12 * MIB, "part_count": None},  # the query was ignored
        {"part_count": 3},
        {"content_length": 0},
        {"content_length": 7 * MIB, "part_count": None},
    ],
)
async def test_servers_that_tell_nonsense_tell_no_layout(policy: str, told: dict[str, Any]) -> None:
    """The whole object for one part, another number of parts, sizes that do not add up."""
    source = Parts([6 * MIB] * 2, policy)
    source.told = told
    expected = PartPlan(12 * MIB, 7 * MIB) if told.get("content_length") == 7 * MIB else None
    found = await source.layout()
    assert found == (expected if policy == "best_effort" else None)


async def test_an_object_of_one_part_is_one_part() -> None:
    """An ETag that ends in -1: the part is the object, also where the query is ignored."""
    source = Parts([9])
    assert await source.layout() == PartPlan(9, 9)


@pytest.mark.parametrize("policy", ["best_effort", "required"])
async def test_small_parts_cannot_be_repeated(policy: str) -> None:
    """Parts below 5 MiB exist on other servers; an upload refuses them."""
    assert await Parts([1 * MIB] * 3, policy).layout() is None


@pytest.mark.parametrize("policy", ["best_effort", "required"])
async def test_a_server_without_part_numbers_tells_no_layout(policy: str) -> None:
    """A refusal is no failure of the object."""
    source = Parts([6 * MIB] * 2, policy)
    source.server.faults = [Fault("HeadObject", "NotImplemented", 501, times=9)]
    assert await source.layout() is None


async def test_a_failure_that_may_pass_is_one() -> None:
    """A server that is down says nothing about layouts: the object fails for now."""
    source = Parts([6 * MIB] * 2)
    source.server.faults = [Fault("HeadObject", "InternalError", 500, times=99)]
    with pytest.raises(RetryableS3Error):
        await source.layout()


async def test_a_layout_is_compared_up_to_the_first_difference() -> None:
    """Equal parts are found equal; a difference ends the asking."""
    source = Parts([5 * MIB] * 40)
    assert await has_layout(source.transfer, source.head, PartPlan(200 * MIB, 5 * MIB))
    assert sorted(number or 0 for number in source.asked) == list(range(1, 41))
    source.server.calls.clear()
    source.sizes[0] += 1
    source.sizes[1] -= 1
    assert not await has_layout(source.transfer, source.head, PartPlan(200 * MIB, 5 * MIB))
    assert len(source.asked) < 40


async def test_cancelled_heads_leave_nothing_behind() -> None:
    """The first failure ends the other HEADs of the object."""
    source = Parts([(5 + number % 3) * MIB for number in range(60)], "required")

    async def fail(call: Call, phase: Phase) -> None:
        if call.part == 7 and phase == "before":
            raise call.error("AccessDenied", 403)

    source.server.hook = fail
    assert await source.layout() is None
    assert source.server.in_flight == 0
    assert len(source.asked) < 60
