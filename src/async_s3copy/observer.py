"""Progress hooks: what a program sees of a copy while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from async_s3copy.model import OperationState, Outcome

if TYPE_CHECKING:
    from async_s3copy.metrics import TransferMetrics


class Observer:
    """Watch one operation; override the hooks you need.

    Hooks are plain functions called on the event loop, in order of time: keep them short and never
    block. An exception in a hook is logged once and does not disturb the copy.
    """

    def state_changed(self, state: OperationState) -> None:
        """Learn the operation's new state."""

    def resumed(self, metrics: TransferMetrics) -> None:
        """Learn what earlier runs of the operation did, when it goes on from a checkpoint.

        The increments told afterwards add to these numbers.
        """

    def objects_listed(self, count: int, size_bytes: int) -> None:
        """Learn of ``count`` more objects found, ``size_bytes`` together."""

    def listing_completed(self) -> None:
        """Learn that every object has been found: totals are final from here on."""

    def bytes_copied(self, size_bytes: int) -> None:
        """Learn of ``size_bytes`` more bytes written: an increment, per object or per part.

        Bytes of an object that fails later, or is started again, are not taken back here; the
        metrics count whole objects only.
        """

    def object_finished(self, outcome: Outcome) -> None:
        """Learn how one object ended: ``Copied``, ``Skipped`` or ``Failed``."""

    def notice(self, text: str) -> None:
        """Learn what a user should know once, such as why bytes travel through this process."""
