"""What a dose response says about making code faster: the fitted line, and where it leads.

Invariant: the line has the slope, shape and slack that the summary claims, so that what is drawn
or said of it is what was certified. The extrapolation is `bisector.response`'s; below zero it is
only as good as the straight line that it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bisector.response import Response
from bisector.schema import UNBOUNDED, EffectPart
from bisector.statistics import t_quantile

DOF = 30.0


@dataclass(frozen=True, slots=True)
class Level:
    """Time per unit in ns with its 95 % interval, when so much is added to it (negative: taken
    away)."""

    added_ns: float
    time_ns: float
    lo_ns: float
    hi_ns: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The line of one piece of code. ``own_ns``: its own time per unit, all that can be taken
    away."""

    response: Response
    base_ns: float
    own_ns: float

    def at(self, added_ns: float) -> Level:
        """The time per unit when so much is added."""
        effect, lo, hi = self.response.extrapolate(added_ns, DOF)
        times = (max(self.base_ns * (1.0 + each), 0.0) for each in (effect, lo, hi))
        return Level(added_ns, *times)

    def faster(self, share: float) -> Level:
        """The time per unit when the code takes so much less of its own time; 1: it is free."""
        return self.at(-share * self.own_ns)


def forecast(effect: EffectPart, base_ns: float) -> Forecast | None:
    """The line of an effect in a program that takes ``base_ns`` per unit; None where there are no
    doses to draw one through."""
    points = [p for p in effect.curve if p.dose > 0.0 and p.injected_ns_per_unit > 0.0]
    gain = effect.estimated_gain
    if not points or gain is None or max(map(abs, gain.ci95)) >= UNBOUNDED or base_ns <= 0.0:
        return None
    top = max(points, key=lambda p: p.injected_ns_per_unit)
    own_ns = top.injected_ns_per_unit / top.dose
    slope = gain.estimate / own_ns
    se = (gain.ci95[1] - gain.ci95[0]) / 2.0 / t_quantile(0.025, DOF) / own_ns
    slack = effect.slack_ns_per_unit or 0.0
    if effect.shape == "threshold" and 0.0 < slack < top.injected_ns_per_unit:
        slope = added(effect, base_ns)[-1].time_ns / base_ns - 1.0
        slope /= top.injected_ns_per_unit - slack
    return Forecast(Response(effect.shape, slope, se, slack), base_ns, own_ns)


def added(effect: EffectPart, base_ns: float) -> Sequence[Level]:
    """The doses that were measured, as time per unit, the undelayed program first."""
    points = sorted(effect.curve, key=lambda p: p.injected_ns_per_unit)
    base = next((p.throughput for p in points if p.dose == 0.0), None)
    if base is None:
        return []
    return [
        Level(
            p.injected_ns_per_unit,
            *(base_ns * base / x for x in (p.throughput, p.ci95[1], max(p.ci95[0], 1e-9 * base))),
        )
        for p in points
        if p.throughput > 0.0
    ]
