"""What slower processors add to the time per unit, read from the CPU time that the same work takes.

On a shared machine a run is slowed by what others do on the same hardware, and then its own work
takes more CPU time too: the host's pauses and slower caches are counted as the program's. What a
run's CPU time exceeds the usual by, less the delays it was given, says how much it was disturbed,
without a look at its time per unit. Taking out what that explains is analysis of covariance (Fisher
1932; as a means to smaller experiments: Deng, Xu, Kohavi and Walker 2013). How much it explains is
learnt from undelayed runs only, and where it explains little, or there is little to explain,
nothing is taken out. Where a single lane computes all the time there is nothing to learn: a second
of CPU takes a second.

It rests on slowed runs doing the same work on CPU as others, delays apart. That is not so for code
that asks again and again whether it may go on, and does so less often or more often while other
code is delayed: then CPU time differs by up to the delays themselves, and what would be taken out
is the effect that is looked for. So it is used only for code whose delays are seen, over all runs
of the investigation, not to do that. Where there is a single lane, and its own CPU time is known,
code may ask less often but not more often: there what slowed runs take more is what delaying costs
beyond what was counted, and is taken out as well. Among many lanes it may be where nothing waits
for it: arms that plainly take more there are compared as measured (`bisector.measurements`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

LEAST_RUNS = 6
"""Undelayed runs from which on a dependence is believed."""

LEAST_NOISE, LEAST_NOISE_ALONE = 0.015, 0.005
"""Noise of one run below which nothing is taken out, since there is little to gain; the same where
a single lane does all, whose CPU time can be nobody else's."""

LEAST_EXPLAINED, LEAST_BY_LANES = 0.6, 0.35
"""Share of the variance of undelayed runs that CPU time must explain, that of all processes or that
of the threads which do the units,"""

TRIMS, OUTLYING, LEAST_KEPT = 3, 4.0, 0.8
"""Runs this many standard deviations off are left out, again and again so many times, and this
share of them is kept at least."""

SURELY = 4.0
"""and standard errors that the slope must be above zero."""

STEEPEST = 1.0
"""Seconds per unit that a second of CPU in it adds at most, where the CPU time is that of the
threads which do the units: they cannot wait for more of it than there was. A single run that was
slow and off its cores as well would say otherwise, and all slow ones would be taken to be."""

BUSY = 0.97
"""Share of its time from which on a lane computes all the time."""

LEAST_LEFT = 0.3
"""Share of a time that is left of it at least."""

SAME_WORK = 20.0
"""Likelihood ratio at which delays are taken to leave CPU time as it is, against their changing it
by all of their length. Where the noise is known it is reached wrongly once in 20 times at most,
however often one looks (Ville 1939)."""

SAME_LANE_WORK = 4.0
"""The same where the CPU time is that of the threads that do the units: few of those ask again and
again whether they may go on."""

HARDLY = 0.1
"""Seconds of CPU by which a second of delay may change a run even where that is certain."""

LEAST_DOF = 4
"""Degrees of freedom from which on the noise of CPU time is."""

LEAST_BY_ITSELF = 0.01
"""Share of the variance of code's delays that delays elsewhere must not explain."""


class Disturbance:
    """The dependence of the time per unit on a run's CPU time, learnt from undelayed runs, and what
    delays do to CPU time, learnt from all."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._cpu: list[float] = []
        self._runs: list[tuple[int, float, NDArray[np.float64], float]] = []
        """(block, CPU seconds without delays, delays by column, and all of them together)."""
        self._columns: dict[str, int] = {}
        self._inside: dict[frozenset[str], list[float]] = {}
        """By functions that were asked about: how long they were delayed, by run."""
        self._same: dict[frozenset[str], bool] = {}
        self.noise = self.left = 0.0
        """Standard deviation of undelayed log times, as measured and with CPU time taken out."""
        self._of_lanes = False
        self.lanes = 0
        """How many there are, 0 while that is not known."""
        self.slope = self.slope_se = self.usual_s = 0.0
        """Seconds per unit for each second of CPU; usual CPU time of an undelayed run."""

    @property
    def cpu_s(self) -> float | None:
        """CPU seconds of an undelayed run, or unit, on average; None while there are none."""
        return sum(self._cpu) / len(self._cpu) if self._cpu else None

    @property
    def version(self) -> int:
        """Grows with what is known."""
        return len(self._runs)

    def learn(
        self,
        block: int,
        time_per_unit_s: float,
        cpu_s: float | None,
        delays_s: Mapping[str, float] | None = None,
        of_lanes: bool = False,
    ) -> None:
        """Take in a run.

        Args:
            block: runs of one block are compared with each other.
            cpu_s: without its delays; None where unknown.
            delays_s: in all its processes, by target; None or empty for an undelayed run.
            of_lanes: whether the CPU time is that of the threads that do the units.
        """
        if cpu_s is None or cpu_s <= 0.0:
            return
        self._of_lanes = of_lanes
        delays = {self._column(target): delay_s for target, delay_s in (delays_s or {}).items()}
        row = np.zeros(len(self._columns))
        row[list(delays)] = list(delays.values())
        self._runs.append((block, cpu_s, row, float(row.sum())))
        self._same.clear()
        if delays_s:
            return
        self._times.append(time_per_unit_s)
        self._cpu.append(cpu_s)
        self.slope = 0.0
        if len(self._times) >= LEAST_RUNS:
            self._fit()

    @property
    def matters(self) -> bool:
        """Whether anything is taken out."""
        return self.slope > 0.0

    def excess_s(self, cpu_s: float) -> float:
        """What a run's own CPU time adds to its time per unit, by what is known now."""
        return self.slope * (cpu_s - self.usual_s)

    def without(self, time_per_unit_s: float, excess_s: float) -> float:
        """The time per unit of a run without that."""
        return max(time_per_unit_s - excess_s, LEAST_LEFT * time_per_unit_s)

    def is_same_work(self, targets: frozenset[str]) -> bool:
        """Whether delays in these functions are seen to leave the work on CPU as it is."""
        known = self._same.get(targets)
        if known is None:
            known = self._same[targets] = self._sees_same_work(targets)
        return known

    def _sees_same_work(self, targets: frozenset[str]) -> bool:
        """Least squares of CPU time on the delays in these functions and on those in all others,
        within blocks."""
        inside = self._delays_inside(targets)
        _, block = np.unique([run[0] for run in self._runs], return_inverse=True)
        size = np.bincount(block)
        together = np.array([run[3] for run in self._runs])
        table = np.array([inside, together - inside, [run[1] for run in self._runs]])
        means = np.array([np.bincount(block, column) / size for column in table])
        here, elsewhere, cpu = table - means[:, block]
        dof = len(cpu) - len(size) - 2
        others = float(elsewhere @ elsewhere)
        shared = float(here @ elsewhere) / others if others > 0.0 else 0.0
        alone = here - shared * elsewhere
        variance = float(alone @ alone)
        if dof < LEAST_DOF or variance <= LEAST_BY_ITSELF * float(here @ here):
            return False
        slope = float(alone @ cpu) / variance
        rest = cpu - slope * alone
        if others > 0.0:
            rest = rest - float(rest @ elsewhere) / others * elsewhere
        # Of noise that is itself estimated: the variance of Student's t.
        noise = float(rest @ rest) / (dof - 2) / variance
        least = math.log(SAME_LANE_WORK if self._of_lanes else SAME_WORK) * noise
        if slope > 0.0 and self._of_lanes and self.lanes == 1:
            return 0.5 * (1.0 + slope) ** 2 > least
        return 0.5 - abs(slope) > least and abs(slope) < max(HARDLY, 2.0 * math.sqrt(noise))

    def _delays_inside(self, targets: frozenset[str]) -> NDArray[np.float64]:
        """How long these functions were delayed, by run."""
        known = self._inside.setdefault(targets, [])
        new = self._runs[len(known) :]
        columns = [self._columns[target] for target in targets if target in self._columns]
        at = np.array(columns, np.int64)
        known += (float(delays[at[at < len(delays)]].sum()) for _, _, delays, _ in new)
        return np.array(known)

    def _column(self, target: str) -> int:
        return self._columns.setdefault(target, len(self._columns))

    def _fit(self) -> None:
        t, c = np.array(self._times), np.array(self._cpu)
        steepest = STEEPEST if self._of_lanes else math.inf
        kept = _undisturbed_otherwise(t, c, steepest)
        t, c = t[kept], c[kept]
        usual, mean = float(np.mean(c)), float(np.mean(t))
        around = c - usual
        spread = float(around @ around)
        total = float((t - mean) @ (t - mean))
        if spread <= 0.0 or total <= 0.0:
            return
        is_busy = self._of_lanes and self.lanes == 1 and usual >= BUSY * mean
        slope = 1.0 if is_busy else min(float(around @ t) / spread, steepest)
        left = t - mean - slope * around
        rest = max(float(left @ left), 1e-12 * total)
        variance = rest / (len(t) - 2)
        se = 0.0 if is_busy else math.sqrt(variance / spread)
        self.noise = math.sqrt(total / (len(t) - 1)) / mean
        self.left = math.sqrt(variance) / mean
        explained = 1.0 - rest / total
        least = LEAST_BY_LANES if self._of_lanes else LEAST_EXPLAINED
        noise = LEAST_NOISE_ALONE if self.lanes == 1 else LEAST_NOISE
        is_seen = self.noise >= noise and explained >= least and slope > SURELY * se
        if is_busy or is_seen:
            self.slope, self.slope_se, self.usual_s = slope, se, usual

    def sentence(self) -> str | None:
        """For people: what was taken out, if it is worth a word."""
        if not self.matters or self.noise < LEAST_NOISE_ALONE:
            return None
        explained = 1.0 - (self.left / self.noise) ** 2
        how = "mostly" if explained >= LEAST_EXPLAINED else "in part"
        return (
            f"undelayed runs vary by {self.noise:.1%}, {how} because the same work takes more CPU "
            "time at some times than at others: what that explains was taken out of all runs, "
            f"which leaves {self.left:.1%}"
        )


def _undisturbed_otherwise(
    t: NDArray[np.float64], c: NDArray[np.float64], steepest: float
) -> NDArray[np.bool_]:
    """Runs but for the few that took long for another reason (they were off their cores): those
    would hide what CPU time explains of the rest. All of them where they are not few."""
    kept = np.ones(len(t), dtype=bool)
    for _ in range(TRIMS):
        around = c - np.mean(c[kept])
        spread = float(around[kept] @ around[kept])
        slope = min(float(around[kept] @ t[kept]) / spread, steepest) if spread > 0.0 else 0.0
        rest = t - slope * around
        rest -= np.median(rest[kept])
        usual = 1.4826 * float(np.median(np.abs(rest[kept])))
        kept = np.abs(rest) <= OUTLYING * usual
        if np.sum(kept) < max(LEAST_RUNS, LEAST_KEPT * len(t)):
            return np.ones(len(t), dtype=bool)
    return kept
