"""How long windows last: how many units are let pass after a switch, and how many are timed.

Pure: `bisector.live_executor` says what it knows of the target, and measures as it is told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bisector.window import Shape

SETTLE_UNITS = 2
"""Units that are let pass after a switch, for each lane, where it was not measured how many are
needed: what was begun under other doses is over then."""

LEAST_UNITS = 7
LEAST_S = 0.02
"""What is timed lasts this many units for each lane, and this long at least: stretches by which is
judged how long it takes to settle,"""
WINDOW = 2
"""windows so many times as long,"""
CALIBRATION_WINDOW = 4
"""and the first undelayed ones, where is read what work usually costs, so many times; units for
each of several lanes count as such times already.

Windows are compared with their neighbours, and what disturbs lasts for some tenths of a second:
where that is what matters, longer ones gain nothing. Where a device sets the pace, the noise is at
their edges, and shorter ones lose much: measured, half as long have four times the variance in the
same time.
"""

BUSY_UNITS = 4
"""Units of a window where a single lane computes all the time: there are no such edges. Measured on
richards and deltablue, with what is let pass: 14 units have twice the variance in the same time.
"""

PER_RUN = 5
"""Targets that end before they can hold so many have shorter windows."""

PIECE = 0.05
"""Share of a window that one delay may last where code has places for more."""

PATIENCE_S = 5.0
PATIENCE_UNITS = 40.0
"""Without progress for this long, or for as long as so many units take, a window is given up."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """What windows of a target are made to fit.

    ``lanes`` that may work on units side by side: each is to complete some in a window.
    ``settle``: units to let pass after a switch; None until that was measured. ``run_units``: how
    many a target does until it ends; 0 while none has. ``unit_s``: time per unit; 0 if unknown.
    ``busy``: whether a single lane does them and waits for nothing.
    """

    lanes: int = 1
    settle: int | None = None
    run_units: int = 0
    unit_s: float = 0.0
    busy: bool = False

    def stretch(self, dose: float, times: int = 1) -> Shape:
        """The shortest that is timed, or one that is so many times as long."""
        # Code that takes (1 + dose) times as long makes the unit take as many times at most.
        patience_s = max(PATIENCE_S, PATIENCE_UNITS * self.unit_s * (1.0 + dose))
        settle = SETTLE_UNITS * self.lanes if self.settle is None else self.settle
        return Shape(settle, max(times, self.lanes) * LEAST_UNITS, times * LEAST_S, patience_s)

    def window(self, dose: float, is_first: bool = False) -> Shape:
        """A window: the longest of those wanted that a run holds enough of.

        Args:
            is_first: one of the undelayed ones that all else is compared with.
        """
        if self.busy and not is_first:
            return replace(self.stretch(dose), units=BUSY_UNITS)
        for times in (CALIBRATION_WINDOW, WINDOW) if is_first else (WINDOW,):
            shape = self.stretch(dose, times)
            if not self.run_units or PER_RUN * (shape.settle + shape.units) <= self.run_units:
                return shape
        return self.stretch(dose)


def longest_delay_s(time_per_unit_s: float) -> float:
    """How long one delay may last where code has places for more."""
    return PIECE * WINDOW * max(LEAST_S, LEAST_UNITS * time_per_unit_s)
