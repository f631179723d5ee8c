"""Own time of functions as doses multiply it: what a delay of any length is a dose of.

Discovery measured it once. Here it is brought to the processors as they are by now, and to the
calls that a run made; `bisector.trials` reads doses and gains from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from bisector.discovery import MOST_DISTURBED, Discovery, Function
from bisector.dose import callbacks_of
from bisector.observations import Delivered

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
    ) -> None:
        self.delay_ns = delay_ns
        self.of_window = found is not None and found.is_of_window
        self.slower = 1.0
        self._per_unit: dict[str, float] = {}
        self._per_call: dict[str, float] = {}
        self._waiting: dict[str, float] = {}
        """Share of own time that is spent waiting."""
        self._callbacks: dict[str, float] = {}
        self._sums: dict[frozenset[str], tuple[float, float]] = {}
        """By set: how much slower processors were, and its own time per unit by that."""
        callback_s = found.callback_s if found else 0.0
        for target, function in functions.items():
            if delay_ns is None:
                self._callbacks[target] = callbacks_of(function, callback_s)
                self._per_unit[target] = function.own_s
                self._per_call[target] = function.own_per_call_s
                self._waiting[target] = function.wait_s / max(function.own_s, 1e-12)
            else:
                self._callbacks[target] = 1.0
                self._per_unit[target] = function.calls * delay_ns / 1e9
                self._per_call[target] = delay_ns / 1e9

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
        known = self._sums.get(targets)
        if known is None or known[0] != self.slower:
            # Exactly rounded: sets have no order, and the same runs must lead to the same sums.
            total = math.fsum(self._by_now(t, self._per_unit.get(t, 0.0)) for t in targets)
            known = self._sums[targets] = self.slower, total
        return known[1]

    def _by_now(self, target: str, own_s: float) -> float:
        """An own time of this target as the processors are by now."""
        if self.delay_ns is not None or self.slower == 1.0:
            return own_s
        waiting = self._waiting.get(target, 0.0)
        return own_s * (waiting + (1.0 - waiting) * self.slower)

    def work_s(self, delivered: Mapping[str, Delivered]) -> float:
        """What the calls of a run compute, in seconds as if none was delayed.

        Waits hardly count: a helper that looks now and then does so less often when it is slowed.
        """
        return sum(
            max(1.0 - self._waiting.get(target, 0.0), WAITS_COUNT)
            * (self._per_call.get(target, 0.0) * counted.calls)
            for target, counted in delivered.items()
        )

    def callbacks(self, delivered: Mapping[str, Delivered]) -> float:
        """How many there were in a run."""
        return sum(
            counted.calls * self._callbacks.get(target, 0.0)
            for target, counted in delivered.items()
        )

    def expected_s(self, delivered: Mapping[str, Delivered], dose: float) -> float:
        """What a dose of 1 adds to the calls that were made in a run slowed by ``dose``.

        Waits among other code shrink when that is slowed, or grow where they wait for it, and are
        not always foreseen: what was not waited was not there to be slowed and does not make the
        dose of the rest smaller, and what was waited longer does not make it larger. What was given
        on CPU is a dose of what computes.
        """
        total = 0.0
        for target, counted in delivered.items():
            per_call_s = self._per_call.get(target, 0.0)
            own = self._by_now(target, per_call_s) * counted.calls
            if len(delivered) > 1 and (waiting := self._waiting.get(target, 0.0)) > 0.0:
                worked = own - waiting * per_call_s * counted.calls
                spun_s = dose * worked if counted.spun_ns is None else counted.spun_ns / 1e9
                own = worked + max(counted.delayed_ns / 1e9 - spun_s, 0.0) / max(dose, 1e-12)
            total += own
        return total
