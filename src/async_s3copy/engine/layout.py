"""The part layout that an object was uploaded in, so that it can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from async_s3copy.engine.plan import PartPlan, explicit_parts, replayed_parts
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.verify import part_count, tells_of_bytes
from async_s3copy.errors import S3Error
from async_s3copy.s3.values import ObjectHead

# One object must not take all the requests in flight: its parts' HEADs come before its copy.
_HEADS_AT_ONCE: Final = 16


async def source_layout(transfer: Transfer, head: ObjectHead) -> PartPlan | None:
    """Discover the part layout of an object, as far as ``options.preserve.etag`` is worth it.

    One HEAD with ``partNumber=1`` for a layout of equal parts, which is inferred from the first
    part's size and the number of parts. Where the policy is ``"required"`` the last part has to
    fit, too, which is a second HEAD; where it does not, the parts differ in size, and one HEAD for
    each of the others tells how. No request where the policy is ``"drop"``.

    Returns:
        The layout; ``None`` where the object was not uploaded in parts, its ETag is opaque, the
        layout cannot be told, or an upload cannot repeat it.

    Raises:
        S3Error: The source could not be asked, for a reason that may pass.
    """
    policy = transfer.options.preserve.etag
    if policy == "drop" or not tells_of_bytes(head):
        return None
    return await read_layout(transfer, head, exactly=policy == "required")


async def read_layout(
    transfer: Transfer, head: ObjectHead, *, exactly: bool = False
) -> PartPlan | None:
    """Discover the part layout of an object, whatever the policy.

    Args:
        transfer: The operation's shared state.
        head: The object's head.
        exactly: Whether a layout of different parts is worth one HEAD each.

    Returns:
        As ``source_layout``.

    Raises:
        S3Error: As ``source_layout``.
    """
    count, size_bytes = part_count(head.object.etag), head.object.size
    if count is None:
        return None
    ends = await _sizes(transfer, head, count, [1, count] if exactly else [1])
    if ends is None:
        return None
    uniform = replayed_parts(size_bytes, ends[0], count)
    if not exactly or (uniform and ends[-1] == size_bytes - (count - 1) * ends[0]):
        return uniform
    known = {1: ends[0], count: ends[-1]}
    sizes = await _sizes(transfer, head, count, range(1, count + 1), known)
    return explicit_parts(size_bytes, sizes) if sizes else None


async def has_layout(transfer: Transfer, head: ObjectHead, plan: PartPlan) -> bool:
    """Tell whether an object was uploaded in exactly the parts of a plan.

    Costs one HEAD a part, up to the first that differs; False where the layout cannot be told.

    Raises:
        S3Error: The source could not be asked, for a reason that may pass.
    """
    planned = tuple(plan.part_sizes())
    sizes = await _sizes(
        transfer,
        head,
        len(planned),
        range(1, len(planned) + 1),
        fits=lambda number, size_bytes: size_bytes == planned[number - 1],
    )
    return sizes is not None


async def _sizes(  # noqa: PLR0917 - one request in several forms
    transfer: Transfer,
    head: ObjectHead,
    count: int,
    numbers: Sequence[int],
    known: dict[int, int] | None = None,
    fits: Callable[[int, int], bool] = lambda _number, _size_bytes: True,
) -> list[int] | None:
    """Return the sizes of some parts; ``None`` as soon as one cannot be told or does not fit."""
    sizes = dict(known or {})
    wanted = iter(dict.fromkeys(number for number in numbers if number not in sizes))
    missed = False

    async def ask() -> None:
        nonlocal missed
        for number in wanted:
            size_bytes = await _part_size(transfer, head, number, count)
            if size_bytes is None or not fits(number, size_bytes):
                missed = True
            if missed or size_bytes is None:
                return
            sizes[number] = size_bytes

    async with task_group() as group:
        for _ in range(min(_HEADS_AT_ONCE, len(numbers))):
            group.start_soon(ask)
    return None if missed else [sizes[number] for number in numbers]


async def _part_size(transfer: Transfer, head: ObjectHead, number: int, count: int) -> int | None:
    """Return one part's size; ``None`` where the server does not tell it."""
    try:
        part = await transfer.head_source(head.object, part_number=number)
    except S3Error as error:
        if error.retryable:
            raise
        return None  # a server without HEAD ?partNumber
    if part.part_count not in (None, count):
        return None
    # The whole object for one of several parts: the part number was ignored.
    ignored = count > 1 and part.content_length >= head.object.size
    return None if ignored else part.content_length
