"""How long a target takes to settle after a switch, measured before anything rests on it.

What was begun under other doses has to come out first, and some programs carry more than that from
one window into the next: a queue that was emptied while its reader was slowed fills again, a source
that was held up makes up for it. So everything is slowed once, as much as will ever be, and the
work before, meanwhile and afterwards is timed in stretches: it has settled when it takes as long as
it goes on to take. After a window that was slowed by even more, it is seen whether it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from bisector.live_run import LiveRun, TargetEnded
from bisector.unit import NoUnit
from bisector.window import Shape, Window, longer_by
from injector.plan import ByState

REPEATS, MOST_REPEATS = 3, 9
"""Where the first repeats show that it does not settle at once, more of them have to."""

PLANS = ((3, 1.0), (2, 1.0), (2, 0.5))
"""How many stretches, each how long in windows; the next where targets end before that."""

DIFFERS = 0.08
AGREE = 0.85
"""Stretches that differ by more than this, in most repeats, are not settled, if at least this share
of the repeats differ in the same direction: what disturbs them goes either way."""

GIVE_UP = 3
"""Targets that end before one repeat is complete, after which less is tried. (The first may have
been at its end when it was begun.)"""


LONGEST_RECOVERY = 3.0
"""What was held up in a window is made up for within so many times as long, or not waited for."""


class Settling:
    """`measure` is repeated with each new target until it has the answer."""

    def __init__(self) -> None:
        self.units: int | None = None
        """Units of work to let pass after a switch; None until it is known."""
        self._repeats: list[list[Window]] = []
        self._plan = 0
        self._ended = 0

    @property
    def learnt(self) -> int:
        """Grows with what is known."""
        return len(self._repeats) + self._ended + GIVE_UP * self._plan

    def measure(self, run: LiveRun, doses: Mapping[int, ByState], shape: Shape) -> None:
        """Find out, if that is not known.

        Args:
            doses: everything, slowed as much as will ever be.
            shape: of a window, as it would be if nothing took longer.

        Raises:
            TargetEnded: it ended before that; go on with another.
            NoUnit: it does not settle within a few windows, or ends too soon to tell.
            NotMeasured: there is no progress.
        """
        before = len(self._repeats)
        stretches, length = PLANS[self._plan]
        shape = replace(shape, units=max(1, round(length * shape.units)))
        try:
            while not self._is_clear(stretches):
                run.switch({})
                self._repeats.append(self._once(run, doses, shape, stretches))
        except TargetEnded:
            if len(self._repeats) == before:
                self._in_vain()
            raise
        late = self._late(stretches)
        if late >= stretches:
            raise NoUnit(
                "what is held up in one window is made up for in the next, for longer than "
                f"{late * shape.units} units of work"
            )
        self.units = shape.settle + late * shape.units

    @staticmethod
    def recover(run: LiveRun, usual: Window, shape: Shape, slowed_s: float) -> None:
        """Let undelayed work pass after more than what settling was measured with, until it takes
        as long as usual.

        Args:
            usual: undelayed.
            shape: of a stretch.
            slowed_s: how long it was slowed.

        Raises:
            TargetEnded: it ended before that.
            NotMeasured: there is no progress.
        """
        run.switch({})
        run.pass_units(shape.settle - 1, 0.0, shape.patience_s)
        left_s = LONGEST_RECOVERY * slowed_s
        while left_s > 0.0:
            window = run.stretch((), shape)
            if abs(longer_by(window, usual)) <= DIFFERS:
                return
            left_s -= window.wall_s

    def _is_clear(self, stretches: int) -> bool:
        repeats = len(self._repeats)
        return repeats >= MOST_REPEATS or (repeats >= REPEATS and not self._late(stretches))

    def _in_vain(self) -> None:
        """A target ended before one repeat was complete."""
        self._ended += 1
        if self._ended < GIVE_UP:
            return
        self._ended = 0
        self._repeats.clear()
        self._plan += 1
        if self._plan == len(PLANS):
            raise NoUnit("it ends before it can be seen how long it takes to settle")

    def _once(
        self, run: LiveRun, doses: Mapping[int, ByState], shape: Shape, stretches: int
    ) -> list[Window]:
        """Before, in each stretch while slowed, in each afterwards."""
        windows = [run.stretch((), shape)]
        for phase in (doses, {}):
            run.switch(phase)
            run.pass_units(shape.settle - 1, 0.0, shape.patience_s)
            for _ in range(stretches):
                windows.append(run.stretch((), shape))
        return windows

    def _late(self, count: int) -> int:
        """Stretches after a switch that are not settled yet, of so many."""
        late = 0
        for phase in (0, 1):
            first = 1 + phase * count
            for at in range(count - 1 if phase == 0 else count):
                # Slowed, it is to take as long as at the end of that; afterwards, as before.
                until = first + count - 1 if phase == 0 else 0
                if _differ([(repeat[first + at], repeat[until]) for repeat in self._repeats]):
                    late = max(late, at + 1)
        return late


def _differ(pairs: Sequence[tuple[Window, Window]]) -> bool:
    longer = [longer_by(a, b) for a, b in pairs]
    middle = median(longer)
    agreeing = sum(1 for each in longer if each * middle > 0.0)
    return abs(middle) > DIFFERS and agreeing >= AGREE * len(longer)
