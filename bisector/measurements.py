"""The runs of one stage with what they measured, and the fit of them all.

This is where a run's CPU time meets its time per unit (see `bisector.disturbance`); the fit itself
is `bisector.statistics.fit`, on times that no longer know of it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from bisector.disturbance import Disturbance
from bisector.statistics import CONTROL, Fit, fit, t_tail

SAME_WORK = 0.02
"""Error probability at which an arm's runs are taken to do the same work on CPU as undelayed runs:
that their CPU time differs by less than half of the delays they were given."""


@dataclass(frozen=True, slots=True)
class _Run:
    arm: Hashable
    group: Hashable
    block: int
    time_s: float
    cpu_s: float | None
    delayed_s: float


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
        self._fit: Fit | None = None
        self._fitted_at = 0

    def add(
        self,
        arm: Hashable,
        block: int,
        time_per_unit_s: float,
        cpu_s: float | None = None,
        delayed_s: float = 0.0,
        group: Hashable = None,
    ) -> None:
        """Record one run.

        Args:
            time_per_unit_s: positive and finite.
            cpu_s: of all its processes, without what delays were given there; None where unknown.
            delayed_s: all delays, in all its processes.
            group: what its arm has in common with those that slow the same code.
        """
        if not (time_per_unit_s > 0.0 and math.isfinite(time_per_unit_s)):
            raise ValueError(f"time per unit must be positive and finite, not {time_per_unit_s!r}")
        known = cpu_s if cpu_s is not None and cpu_s > 0.0 else None
        self._runs.append(_Run(arm, group, block, time_per_unit_s, known, delayed_s))
        self._fit = None

    def count(self, arm: Hashable) -> int:
        """Runs of an arm so far."""
        return sum(1 for run in self._runs if run.arm == arm)

    def fit(self) -> Fit:
        """The current fit; needs at least two runs of some arm for a variance."""
        if self._fit is None or self._fitted_at != self._disturbance.runs:
            self._fit = self._undisturbed() if self._disturbance.matters else self._as_measured()
            self._fitted_at = self._disturbance.runs
        return self._fit

    def _as_measured(self) -> Fit:
        return fit([(run.arm, run.block, math.log(run.time_s)) for run in self._runs], *self.noise)

    def _undisturbed(self) -> Fit:
        """With what disturbed each run taken out, and the doubt about that in the covariance."""
        measured, disturbance = self._as_measured(), self._disturbance
        others = self._not_seen_to_do_the_same()
        if CONTROL in others:
            return measured
        rows, excess = [], []
        for run in self._runs:
            excess_s = 0.0 if run.cpu_s is None else disturbance.excess_s(run.cpu_s)
            time_s = disturbance.without(run.time_s, excess_s)
            rows.append((run.arm, run.block, math.log(time_s)))
            excess.append(excess_s / time_s)
        found = fit(rows, *self.noise)
        of_arm = [
            float(np.mean([e for run, e in zip(self._runs, excess, strict=True) if run.arm == arm]))
            for arm in found.arms
        ]
        of_slope = np.array(of_arm) * disturbance.slope_se / disturbance.slope
        found = replace(found, covariance=found.covariance + np.outer(of_slope, of_slope))
        return _with_effects_of(measured, found, others)

    def _not_seen_to_do_the_same(self) -> set[Hashable]:
        """The arms that are not known to do the same work on CPU as undelayed runs, delays apart;
        among them the control where there is too little to tell anything."""
        rows = [
            (run.arm, run.block, math.log(run.cpu_s)) for run in self._runs if run.cpu_s is not None
        ]
        arms = {row[0] for row in rows}
        unknown = {run.arm for run in self._runs} - arms
        if arms == {CONTROL}:
            return unknown
        if CONTROL not in arms or len(rows) <= len(arms):
            return {CONTROL}
        # Two quiet runs must not make a disturbed one look like other work, nor hide it.
        disturbance = self._disturbance
        found, same = fit(rows, disturbance.cpu_noise, disturbance.runs - 1.0), set()
        usual_s = found.level(CONTROL).value
        groups = {run.arm: run.group for run in self._runs}
        for arm in arms - {CONTROL}:
            delayed_s = float(np.mean([run.delayed_s for run in self._runs if run.arm == arm]))
            shift = found.effect(arm)
            room = 0.5 * delayed_s / usual_s - abs(shift.value)
            if t_tail(room / max(shift.se, 1e-12), shift.dof) < SAME_WORK:
                same.add(groups[arm])
        return unknown | {arm for arm in arms - {CONTROL} if groups[arm] not in same}


def _with_effects_of(measured: Fit, found: Fit, arms: set[Hashable]) -> Fit:
    """``found`` with the effects of these arms against the control, and what is known of them, as
    in ``measured``; both have the same arms in the same order."""
    taken = [index for index, arm in enumerate(found.arms) if arm in arms]
    if not taken:
        return found
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
