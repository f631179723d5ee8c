"""What somebody outside decides for a strategy that leaves it to others where to look.

Such a strategy is pure as any other: it says that it `waits` and is given a `Decision`, the way it
is told of outcomes, and the same decisions and outcomes always lead to the same questions. A
decision is about where to look and nothing else: there is no way to say in it what a measurement
showed, and what is claimed to matter is only a set to be measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from strategies.protocol import Strategy

Kind = Literal["probe", "done", "delegate"]

MOST_SETS = 32
"""Sets of one decision."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``probe``: slow each of ``sets`` and judge it. ``done``: look no further; ``sets`` are
    claimed to matter, each as a whole, and none is no claim. ``delegate``: the default search goes
    on."""

    kind: Kind
    sets: tuple[frozenset[str], ...] = ()


@runtime_checkable
class Deciding(Strategy, Protocol):
    """A strategy whose questions come from outside."""

    @property
    def waits(self) -> bool:
        """Whether it can go on only after a decision; it then asks for nothing."""
        ...

    @property
    def unconfirmed(self) -> tuple[frozenset[str], ...]:
        """What was claimed to matter and was not judged sensitive, as of the last time that all
        claims were measured."""
        ...

    def objection(self, decision: Decision) -> str | None:
        """Why a decision cannot be taken, in one sentence; None where it can."""
        ...

    def decide(self, decision: Decision) -> None:
        """Take a decision.

        Raises:
            ValueError: there is an objection to it, or it does not wait for one.
        """
        ...
