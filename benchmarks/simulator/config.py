"""How the simulator behaves, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, get_args

FaultKind = Literal["500", "503", "reset", "error-in-200", "truncated"]
RateScope = Literal["bucket", "prefix"]

_NOT_NEGATIVE: Final = ("latency_ms", "latency_sigma", "list_latency_ms", "part_latency_ms")
_FIXED: Final = ("tls", "cpu")
_POSITIVE: Final = ("rate_per_s", "burst", "list_rate_per_s")


@dataclass(frozen=True, kw_only=True)
class FaultRule:
    """Let a fraction of an operation's requests go wrong.

    Attributes:
        operation: S3's name of it, such as ``CopyObject``; ``*`` for every one.
        kind: ``500`` and ``503`` refuse, ``error-in-200`` answers 200 with an ``<Error>`` inside,
            and ``reset`` resets the connection: all four before anything was done. ``truncated``
            does what was asked, sends half of the answer and closes the connection.
        fraction: Of the requests, 0 to 1.
        limit: At most so many requests; None for no end.
    """

    operation: str
    kind: FaultKind
    fraction: float = 1.0
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"kind={self.kind!r} is none of {', '.join(get_args(FaultKind))}")
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"fraction={self.fraction!r} is not between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class SimulatorConfig:
    """How the simulator behaves.

    Attributes:
        latency_ms: From a request's last byte to its answer's first; the median if log-normal.
        latency_sigma: Sigma of the log-normal distribution of all latencies; 0: they are fixed.
        list_latency_ms: The latency of listing pages; None: ``latency_ms``.
        part_latency_ms: The latency of UploadPart and UploadPartCopy; None: ``latency_ms``.
        rate_per_s: Object requests a destination bucket takes before it answers 503 SlowDown;
            None: any number.
        burst: What the token buckets hold; None: a tenth of a second's worth.
        rate_scope: One rate for each bucket, or for each first level of keys in it.
        list_rate_per_s: Listing pages each bucket gives before it answers 503 SlowDown.
        tls: HTTPS, with a certificate of an authority made for the occasion.
        faults: What goes wrong; the first rule that applies does.
        seed: Of the random numbers behind latencies and faults.
        cpu: The only processor to run on; None: any.
    """

    latency_ms: float = 0.0
    latency_sigma: float = 0.0
    list_latency_ms: float | None = None
    part_latency_ms: float | None = None
    rate_per_s: float | None = None
    burst: float | None = None
    rate_scope: RateScope = "bucket"
    list_rate_per_s: float | None = None
    tls: bool = False
    faults: tuple[FaultRule, ...] = ()
    seed: int = 0
    cpu: int | None = None

    def __post_init__(self) -> None:
        for name in _NOT_NEGATIVE:
            if (value := getattr(self, name)) is not None and value < 0:
                raise ValueError(f"{name}={value!r} is negative")
        for name in _POSITIVE:
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ValueError(f"{name}={value!r} is not positive")
        if self.rate_scope not in get_args(RateScope):
            raise ValueError(f"rate_scope={self.rate_scope!r} is neither bucket nor prefix")

    def changed(self, changes: Mapping[str, Any]) -> SimulatorConfig:
        """Return it with changes that are possible while a simulator runs.

        Raises:
            ValueError: A setting is fixed at the start, or a value is against its rule.
            TypeError: There is no such setting.
        """
        for name in _FIXED:
            if name in changes:
                raise ValueError(f"{name} cannot change while the simulator runs")
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SimulatorConfig:
        """Build it from what ``to_dict`` gave.

        Raises:
            ValueError: A name is unknown, or a value against its rule.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: the simulator has no such setting")
        rules = tuple(FaultRule(**rule) for rule in values.get("faults", ()))
        return cls(**{**values, "faults": rules})


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a destination holds, against what a copy of a source prefix should have put there.

    Attributes:
        expected: Source keys below the prefix.
        found: Destination keys with the object that belongs there.
        missing: Expected destination keys that were never written.
        wrong: Destination keys with another object than belongs there, or that belong nowhere.
        duplicates: Writes beyond the first of a destination key.
        examples: A few of the keys that are missing or wrong, for the error message.
    """

    expected: int
    found: int
    missing: int
    wrong: int
    duplicates: int
    examples: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every key is there and right, and nothing else is."""
        return self.found == self.expected and not self.missing and not self.wrong


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What a destination holds, object by object.

    Attributes:
        expected: Source keys below the prefix.
        right: Destination keys whose object belongs there: its bytes, part by part, and in a bucket
            named ``dst-worn-*`` its content headers, user metadata and tags as well.
        wrong: By destination key, why its object does not belong there.
        writes: How often any key was written.
    """

    expected: int
    right: frozenset[str]
    wrong: Mapping[str, str]
    writes: int
