"""Own time of functions as doses multiply it: what a delay of any length is a dose of.

Discovery measured it once. Here it is brought to the processors as they are by now, and to the
calls that a run made; `bisector.trials` reads doses and gains from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from bisector.columns import Counts, Numbers, Roster
from bisector.discovery import MOST_DISTURBED, Discovery, Function
from bisector.dose import callbacks_of

WAITS_COUNT = 0.01
"""What a second of waiting counts for in the work of a run: enough where nothing else is done."""


class OwnTime:
    """Own time of the functions, on the scale doses multiply: seconds per unit and per call.

    In classic mode (``delay_ns``) a call's own time is replaced by the fixed delay, so that "dose
    1" is the delay asked for and a gain is the share of time per unit lost to it.

    ``of_window``: runs are windows, whose units are counted as their delays are.

    ``slower``: how many times as much CPU time the same work takes by now, on average, as when own
    times were measured. Processors that others use too change their speed for minutes.
    """

    def __init__(
        self,
        functions: Mapping[str, Function],
        delay_ns: float | None = None,
        found: Discovery | None = None,
        roster: Roster | None = None,
    ) -> None:
        self.roster = roster or Roster(functions)
        self.delay_ns = delay_ns
        self.of_window = found is not None and found.is_of_window
        self.slower = 1.0
        callback_s = found.callback_s if found else 0.0
        known = [functions.get(target) for target in self.roster.targets]

        def column(of: Callable[[Function], float]) -> Numbers:
            return np.array([0.0 if each is None else of(each) for each in known])

        self._waiting = np.zeros(len(known))
        """Share of own time that is spent waiting."""
        if delay_ns is None:
            self._per_unit = column(lambda each: each.own_s)
            self._per_call = column(lambda each: each.own_per_call_s)
            self._callbacks = column(lambda each: callbacks_of(each, callback_s))
            self._waiting = column(lambda each: each.wait_s) / np.maximum(self._per_unit, 1e-12)
        else:
            self._per_unit = column(lambda each: each.calls * delay_ns / 1e9)
            self._per_call = column(lambda _: delay_ns / 1e9)
            self._callbacks = column(lambda _: 1.0)

    def judge_speed(self, found: Discovery | None, usual_s: float | None) -> None:
        """How much slower processors are on average than when ``found`` was made.

        Of several discovery runs the least disturbed counts: what looks slower there than usual
        polls while it is watched, but a program does not compute for longer than its CPU time.

        Args:
            usual_s: CPU seconds of undelayed runs, or units, on average; None while unknown.
        """
        if found is not None and found.usual_cpu_s and usual_s:
            least = 1.0 / MOST_DISTURBED
            if not found.is_of_window:
                computing_s = (found.gil_s + found.nogil_s) / found.cpu_units
                least = min(1.0, usual_s / max(computing_s, 1e-12))
            self.slower = min(max(usual_s / found.usual_cpu_s, least), MOST_DISTURBED)

    def per_unit_s(self, targets: frozenset[str]) -> float:
        """Own time of a set per unit of work."""
        return float(self.by_target()[self.roster.places(targets)].sum())

    def by_target(self) -> Numbers:
        """Own time of each target per unit of work, by place."""
        return self._by_now(self._per_unit)

    def _by_now(self, own_s: Numbers) -> Numbers:
        """Own times as the processors are by now."""
        if self.delay_ns is not None or self.slower == 1.0:
            return own_s
        by_now: Numbers = own_s * (self._waiting + (1.0 - self._waiting) * self.slower)
        return by_now

    def work_s(self, counts: Counts) -> float:
        """What the calls of a run compute, in seconds as if none was delayed.

        Waits hardly count: a helper that looks now and then does so less often when it is slowed.
        """
        at = counts.places
        computing = np.maximum(1.0 - self._waiting[at], WAITS_COUNT)
        return float((computing * self._per_call[at] * counts.calls).sum())

    def callbacks(self, counts: Counts) -> float:
        """How many there were in a run."""
        return float((self._callbacks[counts.places] * counts.calls).sum())

    def expected_s(self, counts: Counts, dose: float) -> float:
        """What a dose of 1 adds to the calls that were made in a run slowed by ``dose``.

        Waits among other code shrink when that is slowed, or grow where they wait for it, and are
        not always foreseen: what was not waited was not there to be slowed and does not make the
        dose of the rest smaller, and what was waited longer does not make it larger. What was given
        on CPU is a dose of what computes.
        """
        at = counts.places
        waiting, per_call_s = self._waiting[at], self._per_call[at]
        own_s = self._by_now(self._per_call)[at] * counts.calls
        if len(at) > 1:
            worked_s = own_s - waiting * per_call_s * counts.calls
            spun_s = np.where(np.isnan(counts.spun_s), dose * worked_s, counts.spun_s)
            waited_s = np.maximum(counts.delayed_s - spun_s, 0.0) / max(dose, 1e-12)
            own_s = np.where(waiting > 0.0, worked_s + waited_s, own_s)
        return float(own_s.sum())
