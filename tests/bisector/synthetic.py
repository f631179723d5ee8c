"""A synthetic program for engine tests: functions with own times, and how their delays add up.

Time per unit is the longest of its lanes: a lane is the functions whose time (own time plus delay)
is spent one after the other there. Hidden code is code of a lane that is not the longest.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace

from bisector.discovery import Discovery, Function
from bisector.engine import Engine
from bisector.observations import Delivered, RunObserved, RunRequest


@dataclass
class Program:
    """``lanes``: name -> {target: own seconds per unit}; a function may stand in several lanes."""

    lanes: dict[str, dict[str, float]]
    noise: float = 0.005
    seed: int = 0
    start_up_s: float = 0.2
    units: int = 100
    waits: dict[str, float] = field(default_factory=dict)
    outliers: float = 0.0
    spikes: tuple[float, float] = (0.0, 0.0)
    """Share of runs that something else slows, and by how much on average (exponential)."""
    failing: frozenset[str] = frozenset()
    refusing: frozenset[str] = frozenset()
    """Functions that cannot be slowed."""
    calls: float = 2.0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.elapsed_s = 0.0
        self.runs = 0

    @property
    def own(self) -> dict[str, float]:
        totals: dict[str, float] = {}
        for lane in self.lanes.values():
            for target, seconds in lane.items():
                totals[target] = totals.get(target, 0.0) + seconds
        return totals

    def time_per_unit_s(self, targets: frozenset[str], dose: float) -> float:
        return max(
            sum(s * (1.0 + (dose if t in targets else 0.0)) for t, s in lane.items())
            for lane in self.lanes.values()
        )

    def run(self, request: RunRequest) -> RunObserved:
        self.runs += 1
        t = self.time_per_unit_s(request.targets, request.dose)
        t *= math.exp(self.random.gauss(0.0, self.noise))
        if self.random.random() < self.outliers:
            t *= 1.5
        if self.random.random() < self.spikes[0]:
            t *= 1.0 + self.random.expovariate(1.0 / self.spikes[1])
        wall = self.start_up_s + self.units * t
        self.elapsed_s += wall
        if request.targets & self.failing:
            return RunObserved(
                request.seq, "failed", self.elapsed_s, wall, reason="it exited with status 1"
            )
        discovery = None
        if request.purpose == "discover":
            discovery = Discovery(
                functions=tuple(
                    Function(
                        *(t, "x.py", 1, self.calls, s, 0.0, 0.0),
                        unresolved="it has a long loop" if t in self.refusing else None,
                    )
                    for t, s in self.own.items()
                )
            )
        calls = int(self.units * self.calls)
        delivered = {
            target: Delivered(calls, calls, self.own[target] * request.dose * self.units * 1e9)
            for target in request.targets
        }
        return RunObserved(
            request.seq,
            "ok",
            self.elapsed_s,
            wall,
            value=1.0 / t,
            time_per_unit_s=t,
            processes=1,
            delivered=delivered,
            calls_total=calls * len(delivered),
            discovery=discovery,
        )


@dataclass
class Disturbed(Program):
    """A program on processors that others use too: for a few runs at a time, each by itself, they
    are slower, and the same work takes more CPU time there."""

    slower: float = 0.3
    """By how much, on average while they are."""
    device: frozenset[str] = frozenset()
    """Lanes that take no CPU time, and are never slower."""
    polling: frozenset[str] = frozenset()
    """Lanes that spend the time in which they have nothing to do on CPU, asking whether they do."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._others = random.Random(self.seed + 1)
        self._disturbed = dict.fromkeys(self.lanes, False)
        self._factors = dict.fromkeys(self.lanes, 1.0)

    def time_per_unit_s(self, targets: frozenset[str], dose: float) -> float:
        return max(self._busy_s(lane, targets, dose) for lane in self.lanes)

    def _busy_s(self, lane: str, targets: frozenset[str], dose: float) -> float:
        return sum(
            s * (self._factors[lane] + (dose if t in targets else 0.0))
            for t, s in self.lanes[lane].items()
        )

    def run(self, request: RunRequest) -> RunObserved:
        for lane in self.lanes:
            if self._others.random() < 0.3:
                self._disturbed[lane] = not self._disturbed[lane]
            more = self._others.uniform(0.3, 1.7) * self.slower * self._disturbed[lane]
            self._factors[lane] = 1.0 if lane in self.device else 1.0 + more
        observed = super().run(request)
        if observed.time_per_unit_s is None:
            return observed
        cpu_s = self.start_up_s + self.units * sum(
            observed.time_per_unit_s
            if lane in self.polling
            else self._busy_s(lane, request.targets, request.dose)
            for lane in self.lanes
            if lane not in self.device
        )
        delivered = {
            target: replace(each, spun_ns=each.delayed_ns)
            for target, each in observed.delivered.items()
        }
        return replace(observed, cpu_s=cpu_s, delivered=delivered)


def investigate(engine: Engine, program: Program, limit: int = 2000) -> Engine:
    """Drive an engine to its end."""
    for _ in range(limit):
        request = engine.ask()
        if request is None:
            return engine
        engine.tell(program.run(request))
    raise AssertionError(f"the engine still asks after {limit} runs")
