"""Journal: what of an operation is done, kept small however many keys there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from async_s3copy.engine.checkpoint import Checkpoint, CopyScope, NotedUpload
from async_s3copy.engine.saver import CheckpointSaver
from async_s3copy.engine.spans import Coverage, Span
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import Copied, CopyMethod, EarlierRun, Failed, Outcome, Skipped

MAX_FAILED_KEYS: Final = 500
"""Failed keys a checkpoint remembers. When more fail, it stands still: what is copied after that is
copied again by the next run, so that none of the failures is lost and the checkpoint stays small.
"""


class Journal:
    """Keep what it takes to go on with an operation in another process.

    A listing is divided into spans of keys. A span counts as begun once workers have taken its
    objects; those among them that are not finished are named one by one. Whatever is neither
    remaining, nor named, is done.

    Args:
        scope: What is copied where.
        recorder: Its counts go into the checkpoints.
        resumed: The checkpoint the operation goes on from.
        saver: Stores checkpoints; ``None`` stores none.
    """

    def __init__(
        self,
        scope: CopyScope,
        recorder: MetricsRecorder,
        *,
        resumed: Checkpoint | None = None,
        saver: CheckpointSaver | None = None,
    ) -> None:
        self.scope = scope
        self.goes_on = resumed is not None
        """Whether an earlier run has copied some of it."""
        self._recorder = recorder
        self._saver = saver
        self._ranges: Sequence[Span] = (scope.bounds,) if scope.mapping.recursive else ()
        self._coverage = Coverage()
        # What is not in a range, and not finished; in order, as a set.
        self._unfinished = {} if scope.mapping.recursive else {scope.mapping.source.key or "": None}
        self._uploads: dict[NotedUpload, None] = {}
        if resumed is not None:
            self._ranges = resumed.remaining
            self._unfinished = dict.fromkeys((*resumed.failed, *resumed.pending))
            self._uploads = dict.fromkeys(resumed.uploads)
        self._failed: dict[str, None] = {}
        self._counted_again: Counter[str] = Counter()
        self._proofs_again: Counter[str] = Counter()
        self._in_hand: Callable[[], Iterable[str]] = tuple
        self._in_order = True
        self._stopped_at: Checkpoint | None = None

    @property
    def ranges(self) -> Sequence[Span]:
        """The ranges of keys to list, in order; none where everything has been listed."""
        return self._ranges

    @property
    def unfinished(self) -> Sequence[str]:
        """The keys that earlier runs left unfinished, each of which is tried again."""
        return tuple(self._unfinished)

    def watch(self, in_hand: Callable[[], Iterable[str]]) -> None:
        """Take what names the keys that workers have, finished ones excepted."""
        self._in_hand = in_hand

    def begun(self, span: Span) -> None:
        """Workers have taken all objects of a span."""
        self._coverage.add(span)

    def order_lost(self) -> None:
        """The listing is not in key order: nothing less than all of it is left to do."""
        self._in_order = False
        if self._stopped_at is not None:
            self._stopped_at = self._from_the_beginning()

    def all_taken(self) -> None:
        """Workers have taken every object there is to copy, whatever the order of the listing."""
        self._coverage.add(self.scope.bounds)
        self._in_order = True

    def finished(self, outcome: Outcome) -> None:
        """Account for an object that workers no longer have."""
        key = outcome.source.key
        self._unfinished.pop(key, None)
        if not isinstance(outcome, Failed):
            self._failed.pop(key, None)
        elif self._stopped_at is None:
            self._failed[key] = None
            if len(self._failed) >= MAX_FAILED_KEYS:
                self._stopped_at = self.checkpoint()

    def counted_again(self, outcomes: Iterable[Outcome]) -> None:
        """Leave versions out of the counts that go into checkpoints.

        A version of their key failed: the next run finds the key's versions anew, and counts all.
        """
        for outcome in outcomes:
            match outcome:
                case Copied():
                    self._proofs_again[outcome.proof.value] += 1
                    self._counted_again["files_copied_successfully"] += 1
                    self._counted_again["files_relayed"] += outcome.method is CopyMethod.RELAY
                    self._counted_again["total_bytes_transferred"] += outcome.source.size
                case Skipped():
                    self._counted_again["files_skipped"] += 1

    def gone(self, key: str) -> None:
        """An unfinished object is no longer there: a listing would not name it either."""
        self._unfinished.pop(key, None)

    async def upload_begins(self, key: str) -> None:
        """Note a multipart upload before it exists, so that no crash can leave it unknown.

        Where checkpoints are stored, waits until one that names it has been.

        Args:
            key: The destination key.
        """
        self._uploads[NotedUpload(key)] = None
        if self._saver is not None:
            await self._saver.save()

    def upload_named(self, key: str, upload_id: str) -> None:
        """Note the id S3 gave to an upload."""
        self._uploads.pop(NotedUpload(key), None)
        self._uploads[NotedUpload(key, upload_id)] = None

    def upload_ended(self, upload: NotedUpload) -> None:
        """Forget an upload: it is complete, aborted, or never came to be."""
        self._uploads.pop(upload, None)

    @property
    def uploads(self) -> Sequence[NotedUpload]:
        """The uploads that are open, or may be."""
        return tuple(self._uploads)

    def checkpoint(self) -> Checkpoint:
        """Return how far the operation is now."""
        if not self._in_order:
            return self._from_the_beginning()
        if self._stopped_at is not None:
            return replace(self._stopped_at, uploads=self.uploads)
        pending = dict.fromkeys((*self._unfinished, *self._in_hand()))
        return Checkpoint(
            scope=self.scope,
            remaining=self._coverage.remaining(self._ranges),
            pending=tuple(key for key in pending if key not in self._failed),
            failed=tuple(self._failed),
            uploads=self.uploads,
            earlier=self._earlier(),
        )

    def _earlier(self) -> EarlierRun:
        earlier, again = self._recorder.earlier(), self._counted_again
        if not again:
            return earlier
        left = {name: getattr(earlier, name) - count for name, count in again.items()}
        return replace(earlier, proofs=Counter(earlier.proofs) - self._proofs_again, **left)

    def _from_the_beginning(self) -> Checkpoint:
        return Checkpoint(
            scope=self.scope,
            remaining=(self.scope.bounds,),
            uploads=self.uploads,
            earlier=self._recorder.earlier().without_objects(),
        )
