"""The words the engine and whoever executes its experiments speak: requests out, observations in.

The engine never spawns, sleeps, prints or reads a clock. It asks for one `RunRequest` at a time
and is told a `RunObserved`; both are plain frozen data that the journal stores, so that replaying
the observations of a journal rebuilds the engine's state exactly. An executor that starts one
process per request and one that switches windows inside a living process implement the same
`Executor`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from bisector.deciding.question import Question
from bisector.discovery import Discovery, timed_by
from strategies.decision import Decision

Purpose = Literal["discard", "discover", "baseline", "search", "sweep", "certificate", "decide"]
"""What a run is for; ``decide`` is none: a decision from outside is asked for, see `Question`."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run (or window) the engine wants.

    ``targets`` empty or ``dose`` 0 is a control. ``dose`` is the share of own time that is added
    (proportional), ``delay_ns`` the fixed delay per call instead (classic; None when proportional).
    Runs of one ``block`` are made under the same conditions (same hash seed). ``limit_s``: a run
    that lasts longer is stopped and reported as ``slow``.
    """

    seq: int
    purpose: Purpose
    block: int
    targets: frozenset[str] = frozenset()
    dose: float = 0.0
    delay_ns: float | None = None
    limit_s: float | None = None
    waits: bool = True
    """Whether waiting is lengthened too; without, only what the functions compute."""
    sites: bool = True
    """To discover: whether to find out also where in functions time is spent."""
    label: str = ""
    """What the run tests, for people: a pattern or a few names."""
    question: Question | None = None
    """To decide: what is asked."""

    @property
    def is_run(self) -> bool:
        """Whether it is to be measured, and not to be decided."""
        return self.purpose != "decide"


@dataclass(frozen=True, slots=True)
class Delivered:
    """What the injector counted for one target in one run, summed over processes."""

    calls: float
    delays: int
    delayed_ns: float
    spun_ns: float | None = None
    """What of it was spent on CPU; None where unknown."""

    def plus(self, other: Delivered) -> Delivered:
        """Both together."""
        spun_ns = None
        if self.spun_ns is not None and other.spun_ns is not None:
            spun_ns = self.spun_ns + other.spun_ns
        return Delivered(
            self.calls + other.calls,
            self.delays + other.delays,
            self.delayed_ns + other.delayed_ns,
            spun_ns,
        )


@dataclass(frozen=True, slots=True)
class RunObserved:
    """What came of one run.

    ``status`` ``ok``: ``value`` is the metric in its own unit and ``time_per_unit_s`` is derived
    from it. ``slow``: stopped at ``limit_s``; ``time_per_unit_s`` is a lower bound. ``failed``:
    ``reason`` says why in one sentence. ``elapsed_s`` is active time since the investigation
    began, at the end of this run: the engine's only notion of time. ``processes`` counts those
    that attached.
    """

    seq: int
    status: Literal["ok", "slow", "failed"]
    elapsed_s: float
    wall_s: float
    value: float | None = None
    time_per_unit_s: float | None = None
    reason: str | None = None
    processes: int = 0
    delivered: dict[str, Delivered] = field(default_factory=dict)
    calls_total: int = 0
    cpu_s: float | None = None
    """CPU seconds of all processes since they attached, or in the window; None where unknown."""
    lane_cpu_s: float | None = None
    """CPU seconds of the threads that do units, and of processes that do none, without delays; None
    where that is not told apart."""
    units: float = 1.0
    """How much work that CPU time and the counts are for: one run, or the units of a window."""
    discovery: Discovery | None = None
    decision: Decision | None = None
    """What was decided, where that was asked."""

    @property
    def own_cpu_s(self) -> float | None:
        """CPU time of a unit without that of its delays; None where either is unknown, or it was
        stopped."""
        if self.lane_cpu_s is not None:
            return self.lane_cpu_s / self.units
        spun_s = self.spun_s
        if self.cpu_s is None or self.status != "ok" or spun_s is None:
            return None
        return (self.cpu_s - spun_s) / self.units

    @property
    def spun_s(self) -> float | None:
        """CPU time of its delays; None where unknown."""
        spun = [delivered.spun_ns for delivered in self.delivered.values()]
        return None if None in spun else sum(filter(None, spun)) / 1e9


def effort(run: RunObserved) -> float:
    """What a run without delays took, in time and on CPU: disturbances only add to either."""
    time_s = run.time_per_unit_s or math.inf
    return time_s if run.cpu_s is None else math.sqrt(time_s * max(run.cpu_s, 1e-9))


def discovered(runs: Iterable[RunObserved]) -> Discovery | None:
    """What discovery runs have shown, of each kind the least disturbed.

    None without a run that looked for sites.
    """
    fastest: dict[bool, Discovery] = {}
    for run in sorted(runs, key=effort):
        if run.discovery is not None:
            fastest.setdefault(run.discovery.sites, run.discovery)
    placed, bare = fastest.get(True), fastest.get(False)
    return placed if placed is None or bare is None else timed_by(placed, bare)


class Executor(Protocol):
    """Carries out what the engine asks for: one process tree a run, or one window of a living
    one."""

    def run(self, request: RunRequest) -> RunObserved:
        """Carry out one request; a benchmark's failure is an observation, never an exception."""
        ...
