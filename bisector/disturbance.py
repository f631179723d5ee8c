"""What slower processors add to the time per unit, read from the CPU time that the same work takes.

On a shared machine a run is slowed by what others do on the same hardware, and then its own work
takes more CPU time too: the host's pauses and slower caches are counted as the program's. What a
run's CPU time exceeds the usual by, less the delays it was given, says how much it was disturbed,
without a look at its time per unit. Taking out what that explains is analysis of covariance (Fisher
1932; as a means to smaller experiments: Deng, Xu, Kohavi and Walker 2013). How much it explains is
learnt from undelayed runs only, and where it explains little, or there is little to explain,
nothing is taken out.

It rests on slowed runs doing the same work on CPU as others, delays apart. That is not so for code
that asks again and again whether it may go on, and does so less often or more often while other
code is delayed. `bisector.measurements` looks at each arm, and compares as measured what is not
seen to do the same work.
"""

from __future__ import annotations

import math

import numpy as np

LEAST_RUNS = 6
"""Undelayed runs from which on a dependence is believed."""

LEAST_NOISE = 0.015
"""Noise of one run below which nothing is taken out: no machine is that quiet by accident."""

LEAST_EXPLAINED = 0.6
"""Share of the variance of undelayed runs that CPU time must explain,"""

SURELY = 4.0
"""and standard errors that the slope must be above zero."""

LEAST_LEFT = 0.3
"""Share of a time that is left of it at least."""


class Disturbance:
    """The dependence of the time per unit on a run's CPU time, learnt from undelayed runs."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._cpu: list[float] = []
        self.runs = 0
        self.noise = self.left = 0.0
        """Standard deviation of undelayed log times, as measured and with CPU time taken out."""
        self.cpu_noise = 0.0
        """Standard deviation of the log of undelayed runs' CPU time."""
        self.slope = self.slope_se = self.usual_s = 0.0
        """Seconds per unit for each second of CPU; usual CPU time of an undelayed run."""

    def learn(self, time_per_unit_s: float, cpu_s: float | None) -> None:
        """Take in an undelayed run."""
        if cpu_s is None or cpu_s <= 0.0:
            return
        self.runs += 1
        self._times.append(time_per_unit_s)
        self._cpu.append(cpu_s)
        self.slope = 0.0
        if self.runs >= LEAST_RUNS:
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

    def _fit(self) -> None:
        t, c = np.array(self._times), np.array(self._cpu)
        usual, mean = float(np.mean(c)), float(np.mean(t))
        around = c - usual
        spread = float(around @ around)
        total = float((t - mean) @ (t - mean))
        if spread <= 0.0 or total <= 0.0:
            return
        slope = float(around @ t) / spread
        rest = max(total - slope**2 * spread, 1e-12 * total)
        variance = rest / (self.runs - 2)
        se = math.sqrt(variance / spread)
        self.noise = math.sqrt(total / (self.runs - 1)) / mean
        self.cpu_noise = math.sqrt(spread / (self.runs - 1)) / usual
        self.left = math.sqrt(variance) / mean
        explained = 1.0 - rest / total
        if self.noise >= LEAST_NOISE and explained >= LEAST_EXPLAINED and slope > SURELY * se:
            self.slope, self.slope_se, self.usual_s = slope, se, usual

    def sentence(self) -> str:
        """For people: what was taken out."""
        return (
            f"undelayed runs vary by {self.noise:.1%}, mostly because the same work takes more CPU "
            f"time at some times than at others: what that explains was taken out of all runs, "
            f"which leaves {self.left:.1%}"
        )
