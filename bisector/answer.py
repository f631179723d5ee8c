"""What the engine knows, at any moment: frozen values, no formatting, no I/O.

The engine can give an `Answer` after every observation (anytime); the summary and every report are
made from it. Fractions are fractions (0.05 is 5 %), times are seconds unless the name says
otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bisector.discovery import Discovery

Verdict = Literal["sensitive", "insensitive", "inconclusive"]
StopReason = Literal["certified", "budget", "interrupted", "failed"]
Shape = Literal["linear", "sublinear", "threshold", "none"]
Kind = Literal["function", "native", "line", "subtree"]
PruneReason = Literal["measured", "cannot_matter", "not_called", "diffuse_remainder"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % confidence interval."""

    estimate: float
    lo: float
    hi: float

    @property
    def width(self) -> float:
        """From end to end."""
        return self.hi - self.lo


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One dose of a dose-response curve. Throughput is in the metric's own unit per second (or
    1/t)."""

    dose: float
    injected_ns_per_unit: float
    throughput: Interval


@dataclass(frozen=True, slots=True)
class Effect:
    """What slowing one set of functions did.

    ``gain`` = (t - t0) / dose / t0; ``drop`` = 1 - X/X0 at ``dose``; ``critical_fraction`` =
    increase of time per unit / injected time per unit, as counted (None where nothing was
    injected). ``dose`` is what the injector counted and what CPU time shows to have been given
    beyond that; ``counted_dose`` without the latter.
    """

    dose: float
    counted_dose: float
    delay_ns: float | None
    drop: Interval
    gain: Interval
    critical_fraction: Interval | None
    p_value: float
    runs: int
    delay_per_call_ns: float = 0.0
    shape: Shape = "none"
    slack_ns_per_unit: float | None = None
    curve: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A member of the minimal sensitive set: one function, or a subtree that matters only
    together."""

    target: str
    kind: Kind
    functions: tuple[str, ...]
    effect: Effect
    p_value_adjusted: float
    co_critical_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pruned:
    """A node that cannot matter, with the upper bound (95 %) on what it could gain and cost."""

    target: str
    functions: tuple[str, ...]
    reason: PruneReason
    gain_upper95: float
    drop_upper95: float


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A node about which nothing is claimed, and why."""

    target: str
    functions: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the fresh runs showed. ``None`` means: not tested (the budget ended, or nothing to
    test).

    ``explained`` is the share of the drop of ``*:*`` that the set alone reproduces;
    ``complement_drop_upper95`` bounds the throughput drop of everything except the set.
    """

    necessary: bool | None = None
    necessary_p_values: tuple[tuple[str, float], ...] = ()
    sufficient: bool | None = None
    explained: Interval | None = None
    complete: bool | None = None
    complement_drop_upper95: float | None = None
    complement_gain_upper95: float | None = None
    dose: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """The undelayed program: throughput (metric's unit, or units per second), its spread and
    runs."""

    throughput: Interval
    time_per_unit_s: float
    cv: float
    runs: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything known so far. ``failure`` is one sentence when ``stop_reason`` is ``failed``."""

    verdict: Verdict = "inconclusive"
    stop_reason: StopReason = "interrupted"
    baseline: Baseline | None = None
    discovery: Discovery | None = None
    root: Effect | None = None
    sensitive: tuple[Finding, ...] = ()
    insensitive: tuple[Pruned, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    certificate: Certificate = field(default_factory=Certificate)
    experiments: int = 0
    runs: int = 0
    failure: str | None = None
    warnings: tuple[str, ...] = ()
