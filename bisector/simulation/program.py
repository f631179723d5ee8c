"""A synthetic program: functions in a tree, and what delaying some of them does to a unit of work.

The time per unit is the undelayed time and what each `Part` adds. A part is a group of functions
whose delays meet: one after the other (a lane), the longest of them (stages side by side), or
the shortest (the first to finish wins); with a slack that hides the first of it. What is in no part
is hidden however much it is slowed. The unit of time is the undelayed time per unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bisector.discovery import Discovery, Function
from bisector.observations import Delivered, RunObserved, RunRequest
from strategies.decision import Decision

Meet = Literal["sum", "max", "min"]

UNITS = 100
"""Units of work in a run."""


@dataclass(frozen=True, slots=True)
class Part:
    """Functions whose delays meet, and how what is left of them reaches the time per unit."""

    functions: tuple[int, ...]
    meet: Meet = "sum"
    critical: float = 1.0
    """Share of the delay beyond the slack that reaches the time per unit."""
    slack: float = 0.0
    ceiling: float = math.inf
    """What it adds at most."""

    def adds(self, delays: NDArray[np.float64]) -> float:
        """What delays (of all functions, per unit) add to the time per unit here."""
        here = delays[list(self.functions)]
        met = float(getattr(here, self.meet)())
        return min(self.critical * max(met - self.slack, 0.0), self.ceiling)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a program consists of, and the answer that a search should come to.

    ``own`` is per unit. ``truth``: the sets that have to be found, each exactly.
    """

    names: tuple[str, ...]
    own: NDArray[np.float64]
    parts: tuple[Part, ...]
    truth: tuple[frozenset[str], ...]


class SyntheticProgram:
    """Carries out the engine's requests at once; an `Executor`."""

    def __init__(self, blueprint: Blueprint, noise: Iterator[float]) -> None:
        self.blueprint = blueprint
        self.elapsed_s = 0.0
        self._noise = noise
        self._index = {name: i for i, name in enumerate(blueprint.names)}

    def time_per_unit(self, targets: frozenset[str], dose: float) -> float:
        """Without noise."""
        delays = np.zeros(len(self.blueprint.names))
        chosen = self._chosen(targets)
        delays[chosen] = dose * self.blueprint.own[chosen]
        return 1.0 + sum(part.adds(delays) for part in self.blueprint.parts)

    def gain(self, targets: frozenset[str], dose: float) -> float:
        """The truth of what an experiment at this dose estimates."""
        return (self.time_per_unit(targets, dose) - 1.0) / dose

    def run(self, request: RunRequest) -> RunObserved:
        """One run. The discovery run does not count as a measurement and has no noise. Decisions
        cost nothing: nobody is there to decide, and the default search goes on."""
        if not request.is_run:
            decision = Decision("delegate")
            return RunObserved(request.seq, "ok", self.elapsed_s, 0.0, decision=decision)
        if request.purpose == "discover":
            t = 1.0
        else:
            t = self.time_per_unit(request.targets, request.dose) * math.exp(next(self._noise))
        self.elapsed_s += t
        return RunObserved(
            request.seq,
            "ok",
            self.elapsed_s,
            t,
            value=1.0 / t,
            time_per_unit_s=t,
            processes=1,
            delivered=self._delivered(request),
            discovery=self._discovery() if request.purpose == "discover" else None,
        )

    def _chosen(self, targets: frozenset[str]) -> NDArray[np.int64]:
        if len(targets) == len(self.blueprint.names):
            return np.arange(len(targets))
        index = self._index
        return np.fromiter((index[t] for t in targets), np.int64, len(targets))

    def _delivered(self, request: RunRequest) -> dict[str, Delivered]:
        own, index = self.blueprint.own, self._index
        per_s = request.dose * UNITS * 1e9
        return {t: Delivered(UNITS, UNITS, own[index[t]] * per_s) for t in request.targets}

    def _discovery(self) -> Discovery:
        print_ = self.blueprint
        functions = (
            Function(name, "program.py", i + 1, 1.0, own, 0.0, 0.0)
            for i, (name, own) in enumerate(zip(print_.names, print_.own.tolist(), strict=True))
        )
        return Discovery(functions=tuple(functions))
