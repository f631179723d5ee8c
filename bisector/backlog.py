"""Work that piles up where one of several lanes is slowed, until nothing more can.

A queue between two lanes takes in what the later one does less, until it is full, or gives the
earlier one time until it is empty; only then does throughput show the delay. That is seen in the
calls of what is slowed: they are fewer than is usual for so many units. `bisector.live_executor`
asks after each window; a window in which that was so is followed by another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bisector.live_run import LiveRun
from bisector.window import Shape, Window

MOST_FOLLOWING = 5
"""Windows that are let pass while work piles up."""

FEW = 5.0
"""Calls in a window below which it is chance how many there are."""

LAG, LAG_MATTERS = 0.05, 0.25
"""What calls may differ by, beside one at the edges; what part of the delay has to be theirs."""


class Backlog:
    """What is known of that in one target."""

    def __init__(self) -> None:
        self._leisurely: set[str] = set()
        """Functions that are called less for each unit, for good, when they are slowed: nobody
        waits for them."""

    def let_pass(
        self, run: LiveRun, window: Window, usual: Mapping[str, float], shape: Shape
    ) -> Window:
        """This window, or one that follows it, in which no work piles up.

        Args:
            usual: calls per unit of the functions that are slowed.

        Raises:
            TargetEnded: it ended before that.
            NotMeasured: there is no progress.
        """
        for _ in range(MOST_FOLLOWING):
            if not self._late(window, usual):
                return window
            before_s = window.wall_s
            window = run.stretch(usual, shape)
            window = replace(window, wall_s=before_s + window.wall_s)
        self._leisurely |= self._late(window, usual)
        return window

    def _late(self, window: Window, usual: Mapping[str, float]) -> set[str]:
        """Functions that did clearly less than their share, if a good part of the delay was
        theirs; else none."""
        counted = {t: each for t, each in window.delivered.items() if t not in self._leisurely}
        late = set()
        for target, each in counted.items():
            expected = usual.get(target, 0.0) * window.units
            if expected >= FEW and each.calls < (1.0 - LAG) * expected - 1.0:
                late.add(target)
        delayed_ns = sum(each.delayed_ns for each in counted.values())
        theirs_ns = sum(counted[target].delayed_ns for target in late)
        return late if theirs_ns > LAG_MATTERS * delayed_ns else set()
