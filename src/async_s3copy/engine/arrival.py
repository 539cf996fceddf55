"""Has what was copied arrived? The strongest proof there is without reading data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from async_s3copy.engine.asking import ask_destination, ask_part_count, ask_source
from async_s3copy.engine.evidence import (
    Comparison,
    Difference,
    Facts,
    compare,
    of_head,
    of_listed,
    of_written,
    stronger,
    tells,
)
from async_s3copy.engine.layout import has_layout
from async_s3copy.engine.plan import PartPlan
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.trust import EtagTrust
from async_s3copy.engine.verify import (
    md5_etag,
    multipart_etag,
    part_count,
    same_etag,
    tells_of_bytes,
)
from async_s3copy.errors import IntegrityError
from async_s3copy.model import Proof, S3Location, S3Object, unquoted
from async_s3copy.s3.values import CompletedPart, ObjectHead, Written

_NAMES = {
    Difference.CHECKSUM: "checksums",
    Difference.SIZE: "sizes",
    Difference.PARTS: "numbers of parts",
    Difference.ETAG: "ETags",
}


async def prove_arrival(
    transfer: Transfer,
    item: S3Object,
    target: S3Location,
    written: Written,
    *,
    head: ObjectHead | None = None,
    parts: PartPlan | None = None,
    completed: Sequence[CompletedPart] = (),
    hashed: Proof = Proof.NONE,
) -> Proof:
    """Compare what was written with what was to be copied, as ``options.verify`` wants it.

    ``"etag"`` costs no request, except for the first two ETags of a run that differ and should not.
    ``"checksum"`` costs a HEAD of the source, and one of the destination unless the answer to the
    write held a checksum to compare.

    Args:
        transfer: The operation's shared state.
        item: The object as it was copied.
        target: Where it is now.
        written: What S3 said of it.
        head: The source's head, where it has been read; it is not read again.
        parts: The parts it was written in; ``None`` for a single request.
        completed: The same parts, as S3 answered to them.
        hashed: For relayed objects, what the bytes were proven by on their way.

    Raises:
        IntegrityError: What arrived is not what was there; names both sides. Nothing is removed.
        S3Error: What has to be compared cannot be read, for a reason that may pass.
    """
    verify = transfer.options.verify
    if verify == "none":
        return hashed
    if verify == "etag" and head is None and parts is None and hashed is Proof.NONE:
        at_once = _at_once(transfer.trust.copies, item, written)
        if at_once is not None:
            return at_once
    arrival = _Arrival(transfer, item, target, written, head, parts, completed, hashed)
    proof = await (arrival.by_checksum() if verify == "checksum" else arrival.by_etag())
    return stronger(hashed, proof)


def _at_once(trust: EtagTrust, item: S3Object, written: Written) -> Proof | None:
    """Decide about one CopyObject by its two ETags; ``None`` where they differ and should not.

    The hot path: it runs for every small object.
    """
    if not written.etag_is_md5:
        return Proof.NONE
    listed, etag = unquoted(item.etag), written.etag
    if listed == etag and tells(etag):
        if item.size:
            trust.equal_seen = True
        return Proof.ETAG
    # Of other lengths they are of no one form, such as that of a single request and of parts.
    comparable = md5_etag(listed) and md5_etag(etag) if len(listed) == len(etag) else None
    return None if comparable and not trust.means_nothing() else Proof.NONE


@dataclass(slots=True)
class _Arrival:
    """One object that was written, and all that is known of it without asking."""

    transfer: Transfer
    item: S3Object
    target: S3Location
    written: Written
    head: ObjectHead | None
    parts: PartPlan | None
    completed: Sequence[CompletedPart]
    hashed: Proof
    is_a_replay: bool = False

    async def by_etag(self) -> Proof:
        """Compare what is known already; ask only about a difference that is not understood."""
        return await self._decide(await self._known(), self._source)

    async def by_checksum(self) -> Proof:
        """Compare full-object checksums, and what is left where there are none in common."""
        known = await self._known()
        source = await self._ask_source()
        if source is None or self._is_another(source):
            self._count_unverified("the source cannot be asked for its checksums")
            return await self._decide(known, self._source)
        answered = self._compare(source, self._answered)
        has_any = bool(source.checksums or source.composite_checksums)
        if answered.proof is Proof.CHECKSUM or (answered.proof is Proof.ETAG and not has_any):
            return await self._decide(answered, source)
        destination = await self._ask_destination_fully()
        if destination is None:
            self._count_unverified("the destination may not be read")
            return await self._decide(answered, source)
        return self._judge(source, destination)

    async def _known(self) -> Comparison:
        """Compare without asking, once it is clear that the parts became the object."""
        formula_holds = await self._check_completion()
        self.is_a_replay = formula_holds and await self._repeats_the_layout()
        return self._compare(self._source, self._answered)

    async def _decide(self, comparison: Comparison, source: Facts) -> Proof:
        if comparison.difference is Difference.NOTHING:
            if comparison.proof is Proof.ETAG and self.item.size:
                self._trust.equal_seen = True
            return comparison.proof
        if comparison.difference is not Difference.ETAG:
            raise _mismatch(comparison.difference, source, self._answered)
        return await _settled(self._trust, comparison.proof, self._look_into_difference)

    async def _check_completion(self) -> bool:
        """Tell whether the object's ETag is the one that its parts make.

        Raises:
            IntegrityError: It should be, and is another: the server completed something else.
        """
        expected = multipart_etag(self.completed) if self.completed else None
        tells = not self._answered.etag_is_opaque and part_count(self.written.etag)
        if expected is None or not tells:
            return False
        trust = self.transfer.trust.completions
        if same_etag(expected, self.written.etag):
            trust.equal_seen = True
            return True

        async def look_into() -> Proof:
            destination = await self._ask_destination()
            if destination is None or destination.etag_is_opaque:
                trust.opaque = True
            elif destination.etag == self.written.etag and (self._is_aws or trust.equal_seen):
                sent = Facts(url="what was sent", etag=expected, parts=len(self.completed))
                raise _mismatch(Difference.ETAG, sent, self._answered)
            else:
                trust.doubted = True
            return Proof.SIZE

        await _settled(trust, Proof.SIZE, look_into)
        return False

    async def _repeats_the_layout(self) -> bool:
        """Tell whether the ETags of source and destination are of parts of the same sizes.

        No request where they are equal, or of other numbers of parts, or known to be opaque.
        """
        head, parts = self.head, self.parts
        if head is None or parts is None or not tells_of_bytes(head) or self._is_relayed:
            return False
        if part_count(head.object.etag) != parts.count or self._trust.means_nothing():
            return False
        if same_etag(head.object.etag, self.written.etag):
            return True
        return bool(parts.sizes) or await has_layout(self.transfer, head, parts)

    async def _ask_source(self) -> Facts | None:
        return await ask_source(self.transfer, self.item, self.head)

    async def _ask_destination(self) -> Facts | None:
        return await ask_destination(self.transfer, self.target, self.written)

    async def _ask_destination_fully(self) -> Facts | None:
        told = await self._ask_destination()
        if told is not None and told.size_bytes is None:
            raise IntegrityError(f"{self.target} is not there after {self.item} was copied to it")
        if told is not None and self.parts is not None and told.parts is None:
            return replace(told, parts=await ask_part_count(self.transfer, self.target))
        return told

    async def _look_into_difference(self) -> Proof:
        # A relayed object's bytes have hashed to the source's ETag.
        source = self._source if self._is_relayed else await self._ask_source()
        destination = await self._ask_destination()
        if destination is None and self._is_aws:
            destination = self._answered  # which tells of its encryption
        if source is None or destination is None:
            self._trust.opaque = True
        elif not self._is_another(source) and destination.etag == self.written.etag:
            return self._judge(source, destination)
        self._count_unverified("its ETag is another than the source's, and why cannot be read")
        return Proof.SIZE if self.parts else Proof.NONE

    def _is_another(self, source: Facts) -> bool:
        """Tell whether the source has been overwritten or deleted since it was copied."""
        return bool(self.item.etag) and not same_etag(source.etag, self.item.etag)

    def _judge(self, source: Facts, destination: Facts) -> Proof:
        """Decide about what both sides say when they are asked.

        Raises:
            IntegrityError: They differ.
        """
        comparison = self._compare(source, destination)
        if comparison.difference is Difference.NOTHING:
            if source.etag_is_opaque or destination.etag_is_opaque:
                self._trust.opaque = True
            return comparison.proof
        certain = self._is_aws or self._trust.equal_seen or self.is_a_replay
        if comparison.difference is not Difference.ETAG or certain:
            raise _mismatch(comparison.difference, source, destination)
        self._trust.doubted = True
        self.transfer.recorder.degraded(
            "verified_by_size",
            f"the ETag of {self.target} is not that of {self.item}: this server's ETags seem to be "
            "no MD5s, so they prove nothing",
        )
        return Proof.SIZE

    def _compare(self, source: Facts, destination: Facts) -> Comparison:
        if self._is_relayed and self.hashed is not Proof.ETAG:
            source = replace(source, etag_is_opaque=True)  # the bytes did not hash to it
        count = self.parts.count if self.parts else None
        return compare(source, destination, parts=count, same_layout=self.is_a_replay)

    def _count_unverified(self, reason: str) -> None:
        self.transfer.recorder.degraded("unverified", f"{self.target} is not proven: {reason}")

    @property
    def _is_relayed(self) -> bool:
        return self.hashed is not Proof.NONE

    @property
    def _is_aws(self) -> bool:
        return self.transfer.destination.endpoint.is_aws

    @property
    def _trust(self) -> EtagTrust:
        trust = self.transfer.trust
        return trust.relays if self._is_relayed else trust.copies

    @property
    def _source(self) -> Facts:
        head = self.head
        if head is None or (self.item.etag and not same_etag(head.object.etag, self.item.etag)):
            return of_listed(self.item)
        return of_head(head)

    @property
    def _answered(self) -> Facts:
        return of_written(self.target, self.written)


async def _settled(
    trust: EtagTrust, accepted: Proof, look_into: Callable[[], Awaitable[Proof]]
) -> Proof:
    """Look into a difference, unless one like it has turned out to mean nothing."""
    if trust.means_nothing():
        return accepted
    if trust.equal_seen:
        return await look_into()
    # Of many at a time the first one asks; the others go by what it finds.
    async with trust.settling:
        return accepted if trust.means_nothing() else await look_into()


def _mismatch(difference: Difference, source: Facts, destination: Facts) -> IntegrityError:
    return IntegrityError(
        f"the {_NAMES[difference]} differ: {source} was copied, {destination} arrived; "
        "nothing was removed"
    )
