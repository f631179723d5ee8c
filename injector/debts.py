"""What one thread of a Delayer owes. The compiled twin is ``struct thread`` of ``core/core.h``."""

from __future__ import annotations

from .waits import Waits


class Debts:
    """What one thread owes, by state, in nanoseconds; negative after an overshoot."""

    __slots__ = ("owed", "spun_ns", "switches", "unit_at_ns", "unit_own_ns", "waits")

    def __init__(self) -> None:
        self.waits = Waits()
        self.spun_ns = 0
        """What delays took of the thread's CPU time."""
        self.unit_at_ns = self.unit_own_ns = 0
        """When its own CPU time was read at a progress point, and what that was without delays."""
        self.forgive(0)

    def forgive(self, switches: int) -> None:
        """What was owed before the latest switch is not to be paid after it, and a wait that began
        before it may have ended unseen.

        ``switches``: how often doses had been switched when this was owed.
        """
        self.owed = [0.0, 0.0, 0.0]
        self.waits.drop()
        self.switches = switches
