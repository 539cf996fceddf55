"""What one run has learnt of ETags: whether a difference between two of them means anything."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio


@dataclass(slots=True)
class EtagTrust:
    """What is known of the ETags of one kind of write.

    On AWS an ETag is the MD5 of the bytes unless SSE-KMS or SSE-C makes it opaque, which no listing
    tells. Other servers choose their ETags freely. So the first difference of a run is looked into;
    where it turns out to mean nothing, later ones are accepted without a request.

    Attributes:
        equal_seen: Whether an object with bytes had equal ETags: here ETags do tell.
        opaque: Whether a difference was explained by encryption, or neither side may be asked; so
            are the later ones, because asking for every object would cost more requests than
            copying them.
        doubted: Whether a difference was explained by nothing else than ETags that are no MD5s.
            Equal ones seen later take the doubt away.
        settling: Held while the first difference is looked into.
    """

    equal_seen: bool = False
    opaque: bool = False
    doubted: bool = False
    settling: anyio.Lock = field(default_factory=anyio.Lock)

    def means_nothing(self) -> bool:
        """Tell whether a difference is no reason to ask."""
        return self.opaque or (self.doubted and not self.equal_seen)


@dataclass(slots=True)
class Trust:
    """What one run has learnt of ETags.

    Attributes:
        copies: Of server-side copies: the source's and the destination's.
        relays: Of relayed objects: the source's and the destination's.
        completions: Of completed uploads: that of the parts as they were sent, and the object's.
    """

    copies: EtagTrust = field(default_factory=EtagTrust)
    relays: EtagTrust = field(default_factory=EtagTrust)
    completions: EtagTrust = field(default_factory=EtagTrust)
