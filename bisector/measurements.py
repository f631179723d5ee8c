"""The runs of one stage with what they measured, and the fit of them all.

This is where a run's CPU time meets its time per unit (see `bisector.disturbance`); the fit itself
is `bisector.statistics.fit`, on times that no longer know of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bisector.answer import Baseline, Interval
from bisector.disturbance import LEAST_LEFT, Disturbance
from bisector.statistics import CONTROL, Estimate, Fit, fit, t_quantile
from bisector.uncounted import weighed

TREND = 0.1
TREND_EXPLAINED = 0.6
TREND_RUNS = 12
"""A drift of log times from the first run to the last that is worth a warning, the share of their
variance it has to explain, and how many runs there have to be."""


PLAINLY_SE = 2.0
"""Standard errors by which runs take more CPU time than undelayed ones where that is plain."""


@dataclass(frozen=True, slots=True)
class _Run:
    arm: Hashable
    block: int
    time_s: float
    cpu_s: float | None
    targets: frozenset[str]
    delay_s: float
    callbacks: float


class Measurements:
    """Runs of one stage, by arm and block. `fit` is recomputed only when something was added.

    ``noise``: what is known of one run's noise beforehand, as (standard deviation of log t, degrees
    of freedom), from runs that are not repeated here.
    """

    def __init__(
        self, noise: tuple[float, float] = (0.0, 0.0), disturbance: Disturbance | None = None
    ) -> None:
        self.noise = noise
        self._disturbance = disturbance or Disturbance()
        self._runs: list[_Run] = []
        self._counts: Counter[Hashable] = Counter()
        self._fit: Fit | None = None
        self._fitted_at = 0
        self._more_cpu: dict[Hashable, Estimate] | None = None

    def add(
        self,
        arm: Hashable,
        block: int,
        time_per_unit_s: float,
        cpu_s: float | None = None,
        targets: frozenset[str] = frozenset(),
        delay_s: float = 0.0,
        callbacks: float = 0.0,
    ) -> None:
        """Record one run.

        Args:
            time_per_unit_s: positive and finite.
            cpu_s: of all its processes, without what delays were given there; None where unknown.
            targets: what was slowed.
            delay_s: by how much, per unit, as counted.
            callbacks: how many there were, per unit.
        """
        if not (time_per_unit_s > 0.0 and math.isfinite(time_per_unit_s)):
            raise ValueError(f"time per unit must be positive and finite, not {time_per_unit_s!r}")
        known = cpu_s if cpu_s is not None and cpu_s > 0.0 else None
        self._runs.append(_Run(arm, block, time_per_unit_s, known, targets, delay_s, callbacks))
        self._counts[arm] += 1
        self._fit = self._more_cpu = None

    def repeat_into(self, other: Measurements) -> None:
        """Count these runs in another stage too."""
        for run in self._runs:
            other.add(run.arm, run.block, run.time_s, run.cpu_s)

    def count(self, arm: Hashable) -> int:
        """Runs of an arm so far."""
        return self._counts[arm]

    def cpu_s(self, arm: Hashable) -> float | None:
        """CPU time of an arm's runs without their delays, on average; None where unknown."""
        known = [run.cpu_s for run in self._runs if run.arm == arm]
        return None if None in known or not known else float(np.mean(np.array(known)))

    def trend(self, arm: Hashable) -> float | None:
        """By how much an arm's runs took longer at the end than at the beginning, as a share, where
        that is plain: a straight line through log times explains most of how they differ. None
        where it does not, or there are few."""
        runs = [run for run in self._runs if run.arm == arm]
        if len(runs) < TREND_RUNS:
            return None
        disturbance = self._disturbance
        log_times = np.array(
            [
                math.log(
                    disturbance.without(run.time_s, disturbance.excess_s(run.cpu_s))
                    if run.cpu_s is not None and disturbance.matters
                    else run.time_s
                )
                for run in runs
            ]
        )
        place = np.linspace(-0.5, 0.5, len(runs))
        slope = float(place @ log_times) / float(place @ place)
        rest = log_times - log_times.mean() - slope * place
        explained = 1.0 - float(rest @ rest) / max(float(np.var(log_times)) * len(runs), 1e-12)
        plain = explained >= TREND_EXPLAINED and abs(slope) >= TREND
        return math.exp(slope) - 1.0 if plain else None

    def fit(self) -> Fit:
        """The current fit; needs at least two runs of some arm for a variance."""
        if self._fit is None or self._fitted_at != self._disturbance.version:
            self._fit = self._undisturbed() if self._disturbance.matters else self._as_measured()
            self._fitted_at = self._disturbance.version
        return self._fit

    def _as_measured(self) -> Fit:
        known, dof = self.noise
        if self._disturbance.matters:  # what is known beforehand is the noise without it
            known = max(known, self._disturbance.noise)
        return fit(self._rows([run.time_s for run in self._runs]), known, dof)

    def _rows(self, times_s: Sequence[float]) -> list[tuple[Hashable, int, float]]:
        """What is fitted. Windows of one arm hold work that differs, and so do the delays that
        fall into them; what a delay more or less does is known from the arm itself."""
        even = list(times_s)
        by_arm: dict[Hashable, list[int]] = {}
        for i, run in enumerate(self._runs):
            by_arm.setdefault(run.arm, []).append(i)
        control = [times_s[i] for i in by_arm.pop(CONTROL, ())]
        for members in by_arm.values() if control else ():
            usual_s = float(np.mean([self._runs[i].delay_s for i in members]))
            if usual_s <= 0.0:
                continue
            added_s = float(np.mean([times_s[i] for i in members]) - np.mean(control))
            reached = min(max(added_s / usual_s, 0.0), 1.0)
            for i in members:
                excess_s = reached * (self._runs[i].delay_s - usual_s)
                even[i] = max(times_s[i] - excess_s, LEAST_LEFT * times_s[i])
        return [(r.arm, r.block, math.log(t)) for r, t in zip(self._runs, even, strict=True)]

    def _undisturbed(self) -> Fit:
        """With what disturbed each run taken out, and the doubt about that in the covariance."""
        measured, disturbance = self._as_measured(), self._disturbance
        others = {run.arm for run in self._runs if not self._can_be_adjusted(run)} - {CONTROL}
        if disturbance.lanes != 1:
            # In one lane that is what delaying costs beyond what was counted; among many it may be
            # where nothing waits for it, and to take it out would hide what the delays do.
            more = self._computing_more()
            others |= {arm for arm, each in more.items() if each.value > PLAINLY_SE * each.se}
        times, excess = [], []
        for run in self._runs:
            excess_s = 0.0 if run.cpu_s is None else disturbance.excess_s(run.cpu_s)
            times.append(disturbance.without(run.time_s, excess_s))
            excess.append(excess_s / times[-1])
        found = fit(self._rows(times), *self.noise)
        of_arm = [
            float(np.mean([e for run, e in zip(self._runs, excess, strict=True) if run.arm == arm]))
            for arm in found.arms
        ]
        of_slope = np.array(of_arm) * disturbance.slope_se / disturbance.slope
        found = replace(found, covariance=found.covariance + np.outer(of_slope, of_slope))
        return _with_effects_of(measured, found, others)

    def known(self) -> Baseline | None:
        """The undelayed program as far as it is known from these runs."""
        runs = self.count(CONTROL)
        if runs == 0:
            return None
        fit = self.fit()
        level = fit.level(CONTROL)
        x, t = 1.0 / level.value, level.value
        if runs == 1:
            return Baseline(Interval(x, x, x), t, 0.0, 1)
        radius = t_quantile(0.025, level.dof) * level.se / level.value
        cv = self._disturbance.noise if self._disturbance.matters else fit.sigma
        return Baseline(Interval(x, x * (1.0 - radius), x * (1.0 + radius)), t, cv, runs)

    def uncounted(self, arm: Hashable) -> Estimate:
        """What delaying cost an arm's runs beyond what was counted, and was taken out of its
        effect, as a share of undelayed time."""
        disturbance, more = self._disturbance, self._computing_more()
        refused = {run.arm for run in self._runs if not self._can_be_adjusted(run)}
        if not disturbance.matters or disturbance.lanes != 1 or arm in refused or arm not in more:
            return Estimate(0.0, 0.0, 1.0)
        callbacks = {
            known: float(np.mean([run.callbacks for run in self._runs if run.arm == known]))
            for known in more
        }
        found = weighed(
            {known: each for known, each in more.items() if known not in refused}, callbacks, arm
        )
        share = disturbance.slope * disturbance.usual_s / self.fit().level(CONTROL).value
        return replace(found, value=share * found.value, se=share * found.se)

    def _computing_more(self) -> dict[Hashable, Estimate]:
        """By arm what its runs take more CPU time than undelayed ones, delays apart, as a share."""
        if self._more_cpu is None:
            rows = [(r.arm, r.block, math.log(r.cpu_s)) for r in self._runs if r.cpu_s is not None]
            arms = {arm for arm, _, _ in rows}
            found = fit(rows, 0.0, 0.0) if CONTROL in arms else None
            self._more_cpu = {arm: found.effect(arm) for arm in arms - {CONTROL}} if found else {}
        return self._more_cpu

    def _can_be_adjusted(self, run: _Run) -> bool:
        return run.cpu_s is not None and self._disturbance.is_same_work(run.targets)


def _with_effects_of(measured: Fit, found: Fit, arms: set[Hashable]) -> Fit:
    """``found`` with the effects of these arms against the control, and what is known of them, as
    in ``measured``; both have the same arms in the same order."""
    taken = [index for index, arm in enumerate(found.arms) if arm in arms]
    if not taken or CONTROL not in found.arms:
        return measured if taken else found
    control = found.arms.index(CONTROL)
    means, k = found.means.copy(), found.covariance.copy()
    for i in taken:
        means[i] = means[control] + measured.means[i] - measured.means[control]
        k[i, :] = k[:, i] = found.covariance[control]
    r = measured.covariance
    for i in taken:
        for j in taken:
            of_effects = r[i, j] - r[i, control] - r[j, control] + r[control, control]
            k[i, j] = of_effects + found.covariance[control, control]
    return replace(found, means=means, covariance=k)
