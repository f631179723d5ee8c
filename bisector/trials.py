"""The runs of one stage, read as gains: which set was slowed by how much, and what it did to t.

An `Arm` is a set of targets at a dose. Effects come from `statistics.Fit`; the dose is not the one
asked for but the one *delivered*, as counted by the injector, since callbacks cost time of their
own and tiny delays are paid in instalments.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from bisector.answer import CurvePoint, Effect, Interval
from bisector.columns import Counts
from bisector.disturbance import Disturbance
from bisector.measurements import Measurements
from bisector.observations import RunObserved
from bisector.own_time import OwnTime
from bisector.response import Point, respond
from bisector.statistics import (
    CONTROL,
    Estimate,
    Fit,
    fit,
    ratio_interval,
    sequence_p_value,
    sequence_radius,
)

TOLD_APART = 0.35
"""Standard error, relative to what a straight line predicts, at which half of that is told from
nothing (wrongly once in 13 times, which is why the certificate looks again)."""

SHARES_APART = 0.3
"""What tells the share of a set that does all from that of one that lacks a part."""

LEAK = 0.2
"""Critical fraction of hidden code that is still put down to waits that are sometimes too short
for their delay, and to the cost of watching."""

MOST_UNEVEN = 20.0
"""Times by which doses inside one arm are taken to differ at most."""

LEAST_WORKED = 2
"""Runs of each arm from which on the work they do is compared."""


@dataclass(frozen=True, slots=True, eq=False)
class Arm:
    """A set of targets slowed at a dose (a multiple of ``--delay`` in classic mode).

    Without ``waits`` only what they compute is slowed: such arms have trials of their own, whose
    `OwnTime` is made of `Function.computing`.
    """

    targets: frozenset[str]
    dose: float
    waits: bool = True

    def __eq__(self, other: object) -> bool:
        """Sets compare all they have with themselves, too; arms are compared again and again."""
        if not isinstance(other, Arm) or (self.dose, self.waits) != (other.dose, other.waits):
            return False
        return self.targets is other.targets or self.targets == other.targets

    def __hash__(self) -> int:
        return hash((self.targets, self.dose, self.waits))


class Trials:
    """Observations of one stage and what they say about each arm."""

    def __init__(
        self,
        own: OwnTime,
        noise: tuple[float, float] = (0.0, 0.0),
        disturbance: Disturbance | None = None,
    ) -> None:
        self.own = own
        self.measurements = Measurements(noise, disturbance)
        self.failures: dict[Arm, list[str]] = {}
        self._work: list[tuple[Hashable, int, float]] = []
        """(arm, block, log of the seconds that the calls of a run take undelayed)."""
        self._counts: dict[Arm, Counts] = {}
        """What was counted in all runs of an arm together."""
        self._units: dict[Arm, float] = {}
        self._doses: dict[Arm, tuple[float, float]] = {}
        """By arm: how much slower processors were taken to be, and the dose by that."""

    def add(self, arm: Arm | None, block: int, observed: RunObserved, time_s: float) -> None:
        """Record one run; ``arm`` None is a control."""
        if arm is None:
            self.measurements.add(CONTROL, block, time_s, observed.own_cpu_s)
            return
        counts = Counts.of(observed.delivered, self.own.roster)
        delay_s = float(counts.spun_s.sum())
        if math.isnan(delay_s):
            delay_s = float(counts.delayed_s.sum())
        self.measurements.add(
            *(arm, block, time_s, observed.own_cpu_s, arm.targets),
            delay_s / observed.units,
            self.own.callbacks(counts) / observed.units,
        )
        self._units[arm] = self._units.get(arm, 0.0) + observed.units
        self._counts[arm] = self._counts[arm].plus(counts) if arm in self._counts else counts
        self._doses.pop(arm, None)
        if (work_s := self.own.work_s(counts)) > 0.0:
            self._work.append((arm, block, math.log(work_s)))

    def fail(self, arm: Arm, reason: str) -> None:
        """Record that a run of this arm failed."""
        self.failures.setdefault(arm, []).append(reason)

    def count(self, arm: Hashable) -> int:
        """Successful runs of an arm."""
        return self.measurements.count(arm)

    def arms(self, targets: frozenset[str]) -> list[Arm]:
        """These targets at the doses they were slowed by."""
        return [arm for arm in self._counts if arm.targets == targets]

    def fit(self) -> Fit:
        """The current fit over all arms of the stage."""
        return self.measurements.fit()

    def dose(self, arm: Arm) -> float:
        """The dose as delivered: counted delays over own time of the calls they fell on."""
        slower = self.own.slower
        known = self._doses.get(arm)
        if known is None or known[0] != slower:
            counts = self._counts.get(arm)
            known = slower, self._dose(counts, arm.dose) if counts else 0.0
            self._doses[arm] = known
        return known[1]

    def missed(self, arm: Arm) -> frozenset[str]:
        """The targets of an arm of which not one call was there to be delayed."""
        roster, counts = self.own.roster, self._counts.get(arm)
        if counts is None:
            return arm.targets
        called = counts.places[counts.calls > 0.0]
        missed = np.setdiff1d(roster.places(arm.targets), called, assume_unique=True)
        return frozenset(roster.targets[place] for place in missed.tolist())

    def dose_of(self, targets: frozenset[str], arm: Arm) -> float:
        """The dose that some of an arm's targets were given."""
        counts = self._counts.get(arm)
        some = counts and counts.within(self.own.roster.places(targets))
        return self._dose(some, arm.dose) if some else 0.0

    def _dose(self, counts: Counts, asked: float) -> float:
        expected_s = self.own.expected_s(counts, asked)
        return float(counts.delayed_s.sum()) / expected_s if expected_s > 0.0 else 0.0

    def work_lost(self, arm: Arm, than: Arm) -> Estimate | None:
        """How much less work runs of ``arm`` do than those of another, as a share of theirs; None
        while there is too little to tell."""
        rows = [row for row in self._work if row[0] in (arm, than)]
        if min(sum(1 for row in rows if row[0] == each) for each in (arm, than)) < LEAST_WORKED:
            return None
        more = fit(rows, 0.0, 0.0).effect(arm, than)
        return replace(more, value=-more.value)

    def _per_call_ns(self, arm: Arm) -> float:
        counts = self._counts.get(arm)
        calls = float(counts.calls.sum()) if counts else 0.0
        return 1e9 * float(counts.delayed_s.sum()) / calls if counts and calls else 0.0

    def injected_s(self, arm: Arm) -> float:
        """Injected time per unit of work, as counted."""
        return self.dose(arm) * self.own.per_unit_s(arm.targets)

    def _counted_s(self, arm: Arm) -> float:
        """The same by the units and calls of its own windows: a program's work may change."""
        if not self.own.of_window:
            return self.injected_s(arm)
        counts = self._counts.get(arm)
        delayed_s = float(counts.delayed_s.sum()) if counts else 0.0
        return delayed_s / max(self._units.get(arm, 0.0), 1e-12)

    def gain(self, arm: Arm) -> Estimate | None:
        """(t - t0) / dose / t0 with its standard error; None while nothing was delivered, or no
        undelayed run is there to compare with."""
        dose = self.dose(arm)
        if dose <= 0.0 or self.count(arm) == 0 or self.count(CONTROL) == 0:
            return None
        effect = self.fit().effect(arm)
        return Estimate(effect.value / dose, effect.se / dose, effect.dof)

    def scale(self, arm: Arm, threshold: float) -> float:
        """The effect (on t/t0 - 1) that confidence sequences are tuned to.

        Any value fixed beforehand keeps their guarantee; about the noise of one run, or the effect
        of the smallest gain of interest where that is larger, keeps them narrow.
        """
        return max(self.measurements.noise[0], threshold * arm.dose, 1e-5)

    def bounds(self, arm: Arm, alpha: float, threshold: float) -> Interval | None:
        """Anytime-valid interval of the gain with total error ``alpha``."""
        gain = self.gain(arm)
        if gain is None:
            return None
        radius = sequence_radius(gain, alpha, self.scale(arm, threshold) / self.dose(arm))
        return Interval(gain.value, gain.value - radius, gain.value + radius)

    def share(self, part: Arm, whole: Arm, alpha: float = 0.05) -> Interval:
        """Effect of ``part`` over that of ``whole``, with an anytime-valid interval of total error
        ``alpha``, as it would be if all were given the same dose: tiny functions get more than they
        are meant to."""
        if part == whole:
            return Interval(1.0, 1.0, 1.0)
        fit = self.fit()
        small, large = fit.effect(part), fit.effect(whole)
        if large.value <= 0.0:
            return Interval(0.0, 0.0, 1.0)
        covariance = fit.effect_covariance(part, whole)
        ratio, lo, hi = ratio_interval(small, large, covariance, 1.0)
        unit = replace(small, value=ratio, se=0.5 * (hi - lo))
        radius = sequence_radius(unit, alpha, SHARES_APART, (1.0,))
        inside = self.dose_of(part.targets, whole)
        scale = inside / max(self.dose(part), 1e-12)
        rest = self.dose_of(whole.targets - part.targets, whole)
        uneven = min(max(inside / rest, 1.0 / MOST_UNEVEN), MOST_UNEVEN) if rest > 0.0 else 1.0
        shares = (ratio * scale, (ratio - radius) * scale, (ratio + radius) * scale)
        return Interval(*(_at_even_doses(share, uneven) for share in shares))

    def effect(self, arm: Arm, threshold: float, curve_arms: tuple[Arm, ...] = ()) -> Effect | None:
        """Everything the summary says about an arm, with 95 % anytime-valid intervals.

        ``curve_arms``: arms of the same targets at other doses in these trials, for shape and
        curve.
        """
        gain = self.bounds(arm, 0.05, threshold)
        if gain is None:
            return None
        dose = self.dose(arm)
        raw = self.fit().effect(arm)
        injected = self._counted_s(arm)
        t0 = self.fit().level(CONTROL).value
        fraction = None
        if injected > 0.0:
            factor = dose * t0 / injected
            fraction = Interval(gain.estimate * factor, gain.lo * factor, gain.hi * factor)
        uncounted = self.measurements.uncounted(arm)
        more = 1.0 + uncounted.value * t0 / injected if injected > 0.0 else 1.0
        added = gain.estimate * dose + uncounted.value
        radius = math.hypot(
            0.5 * gain.width * dose, sequence_radius(uncounted, 0.05, self.scale(arm, threshold))
        )
        drop = Interval(_drop(added), _drop(added - radius), _drop(added + radius))
        arms = tuple(dict.fromkeys((*curve_arms, arm)))
        response = respond(self.points(arms))
        return Effect(
            dose=more * dose,
            counted_dose=dose,
            delay_ns=self.own.delay_ns,
            delay_per_call_ns=more * self._per_call_ns(arm),
            drop=drop,
            gain=gain,
            critical_fraction=fraction,
            p_value=sequence_p_value(raw, self.scale(arm, threshold)),
            runs=self.count(arm),
            shape=response.shape,
            slack_ns_per_unit=response.slack if response.slack > 0.0 else None,
            curve=self.curve(arms),
        )

    def is_unlikely(self, arm: Arm, threshold: float) -> bool:
        """Whether the gain is below ``threshold`` by a standard error: a hint, not a bound."""
        gain = self.gain(arm)
        return gain is not None and gain.value + gain.se < threshold

    def leaks(self, arm: Arm, limit: float) -> bool:
        """Whether this is probably hidden code that leaks a little: its gain is below ``limit``,
        and most of its own time does not matter."""
        gain = self.gain(arm)
        if gain is None:
            return False
        own = self.own.per_unit_s(arm.targets) / max(self.fit().level(CONTROL).value, 1e-12)
        return gain.value + gain.se < min(limit, LEAK * own)

    def bears_out(self, low: Arm, high: Arm, apart: float = TOLD_APART) -> bool | None:
        """Whether a small dose shows at least half of what a straight line to a coarse one says.

        None while noise could say either. Hidden code whose slack lies between the doses shows
        nothing at the small one. ``apart`` is the relative standard error that is enough.
        """
        small, coarse = self.gain(low), self.gain(high)
        if small is None or coarse is None or coarse.value <= 0.0:
            return None
        if self.count(low) < 2 or small.se > apart * coarse.value:
            return None
        return small.value >= 0.5 * coarse.value

    def points(self, arms: tuple[Arm, ...]) -> list[Point]:
        """Dose-response points: x is injected ns per unit, y the effect on t/t0 - 1."""
        fit = self.fit()
        made = []
        for arm in arms:
            if self.count(arm) and self.dose(arm) > 0.0:
                effect = fit.effect(arm)
                made.append(Point(self.injected_s(arm) * 1e9, effect.value, effect.se))
        return made

    def curve(self, arms: tuple[Arm, ...]) -> tuple[CurvePoint, ...]:
        """Throughput at each dose, the control first, with 95 % intervals."""
        fit = self.fit()
        made = []
        for arm in (None, *sorted(arms, key=lambda a: a.dose)):
            key = CONTROL if arm is None else arm
            if key not in fit.counts:
                continue
            level = fit.level(key)
            radius = sequence_radius(
                Estimate(0.0, level.se / level.value, level.dof), 0.05, max(fit.sigma, 1e-4)
            )
            x = 1.0 / level.value
            made.append(
                CurvePoint(
                    0.0 if arm is None else self.dose(arm),
                    0.0 if arm is None else self.injected_s(arm) * 1e9,
                    Interval(x, x * (1.0 - radius), x * (1.0 + radius)),
                )
            )
        return tuple(made)


def _at_even_doses(share: float, uneven: float) -> float:
    """A part's share of an effect whose rest was given ``1 / uneven`` times the part's dose, if
    both had been given the same: what the rest adds is ``uneven`` times as much."""
    return share / (share + (1.0 - share) * uneven) if 0.0 < share < 1.0 else share


def _drop(effect: float) -> float:
    """Throughput drop 1 - X/X0 from an effect t/t0 - 1."""
    return effect / (1.0 + effect) if effect > -0.99 else -99.0
