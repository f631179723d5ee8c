"""What seeing the native calls of code adds to it, measured in windows before anything rests on it.

Where that slows code down (Python 3.11), it is part of each dose, and for loops it may be most of
it. Two looks at what the target does would tell, but they are short and lie apart, and processors
that others use too are faster in one than in the other. So targets are watched, and next to not
delayed, in windows between undelayed ones; what is added is CPU time, and that is counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median, stdev

from bisector.discovery import MOST_SLOWED, SLOWED_BY_SITES, Discovery
from bisector.dose import LEAST_DOSE, Universe, watched_s
from bisector.live_run import LiveRun
from bisector.window import Shape, Window

MARKED_SHARE = 0.1
"""Targets with this share of all own CPU time are watched by themselves; the others together, and
taken to be slowed alike; if all of them are less, what the looks say is good enough."""

PRECISE = 0.06
"""Standard error, as a share of own CPU time, with which what is added to it is well known."""

LEAST_ROUNDS, MOST_ROUNDS = 4, 30
SHARE = 0.08
"""Rounds of windows, undelayed and each watched: how many at least, and at most; the least where
they have taken this share of the budget."""


class Watching:
    """`measure` is repeated with each new target until it has the answer."""

    def __init__(self, budget_s: float) -> None:
        self._longest_s = SHARE * budget_s
        self._windows: list[Window] = []
        """Round by round, with an undelayed one at the end."""
        self._slowed: dict[str, float] | None = None
        """By target what watching adds to its CPU time, as a share; None until that is known."""

    @property
    def learnt(self) -> int:
        """Grows with what is known."""
        return len(self._windows)

    def measure(
        self, run: LiveRun, found: Discovery, universe: Universe, longest_s: float, shape: Shape
    ) -> None:
        """Find out, if that is not known.

        Args:
            found: what the target does.
            universe: how that is delayed; in force.
            longest_s: as it was made with.
            shape: of a window.

        Raises:
            TargetEnded: it ended before that; go on with another.
            NotMeasured: there is no progress.
        """
        if self._slowed is not None:
            return
        spent_s = watched_s(found, longest_s) if found.backend in SLOWED_BY_SITES else {}
        least_s = MARKED_SHARE * sum(function.gil_s for function in found.functions)
        groups = _groups({t: s for t, s in spent_s.items() if t in universe.entries}, least_s)
        watched = [sum(spent_s[target] for target in group) for group in groups]
        shares: list[list[float]] = [[] for _ in groups]
        while groups and not self._is_enough(shares):
            group = ((), *groups)[len(self._windows) % (1 + len(groups))]
            doses = universe.doses(group, LEAST_DOSE)
            self._windows.append(run.measure(doses, group, shape))
            shares = [
                [added_s / group_s for added_s in each]
                for each, group_s in zip(
                    _added(self._windows, len(groups), found.usual_cpu_s), watched, strict=True
                )
            ]
        self._slowed = {
            target: min(max(median(each), 0.0), MOST_SLOWED)
            for group, each in zip(groups, shares, strict=True)
            for target in (group if each else ())
        }

    def _is_enough(self, shares: Sequence[Sequence[float]]) -> bool:
        rounds, begun = divmod(len(self._windows), 1 + len(shares))
        if begun != 1 or rounds < LEAST_ROUNDS:
            return False
        is_precise = all(len(s) > 1 and stdev(s) <= PRECISE * math.sqrt(len(s)) for s in shares)
        spent_s = sum(window.wall_s for window in self._windows)
        return is_precise or rounds >= MOST_ROUNDS or spent_s > self._longest_s

    def applied(self, found: Discovery) -> Discovery:
        """The same with what was measured."""
        slowed = self._slowed
        if not slowed:
            return found
        functions = tuple(
            replace(
                function,
                codes=tuple(
                    replace(code, slowed=slowed[function.target]) for code in function.codes
                ),
            )
            if function.target in slowed
            else function
            for function in found.functions
        )
        return replace(found, functions=functions)


def _groups(spent_s: Mapping[str, float], least_s: float) -> tuple[tuple[str, ...], ...]:
    """What is watched together, of targets with these CPU seconds each."""
    marked = tuple((target,) for target, each_s in spent_s.items() if each_s >= least_s)
    others = tuple(target for target, each_s in spent_s.items() if each_s < least_s)
    if sum(spent_s[target] for target in others) < least_s:
        return marked
    return (*marked, others)


def _added(windows: Sequence[Window], groups: int, usual_cpu_s: float | None) -> list[list[float]]:
    """CPU seconds for each unit by group and round, on processors as fast as usual: there an
    undelayed unit takes ``usual_cpu_s`` in lanes. Compared with the undelayed windows around."""
    added: list[list[float]] = [[] for _ in range(groups)]
    step = groups + 1
    for first in range(0, len(windows) - step, step):
        around = windows[first], windows[first + step]
        bare_s, own_s = _mean(map(_cpu_s, around)), _mean(map(_own_s, around))
        if bare_s is None:
            continue
        slower = own_s / usual_cpu_s if own_s and usual_cpu_s else 1.0
        for group in range(groups):
            cpu_s = _cpu_s(windows[first + 1 + group])
            if cpu_s is not None:
                added[group].append((cpu_s - bare_s) / slower)
    return added


def _mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _own_s(window: Window) -> float | None:
    return None if window.own_cpu_s is None else window.own_cpu_s / window.units


def _cpu_s(window: Window) -> float | None:
    """CPU seconds of all processes for each unit, without delays; None where unknown."""
    if window.cpu_s is None:
        return None
    spun_ns = sum(each.spun_ns or 0.0 for each in window.delivered.values())
    return (window.cpu_s - spun_ns / 1e9) / window.units
