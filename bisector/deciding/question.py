"""What is asked of whoever decides where to look: plain data, which the journal keeps.

Invariant: a question says only what is new since the one before, so that all questions of a journal
together are what whoever decides was told, each thing once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from strategies.decision import Decision
from strategies.protocol import Outcome, Problem


@dataclass(frozen=True, slots=True)
class Question:
    """``search`` counts from 1: there is another where the certificate shows that more matters.

    ``problem`` is there once in each search. ``members``: the functions of those of its items that
    stand for several. ``told``: what was found out since. ``unconfirmed``: claims that are handed
    back.
    """

    search: int
    problem: Problem | None = None
    members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    told: tuple[Outcome, ...] = ()
    unconfirmed: tuple[frozenset[str], ...] = ()


Objection = Callable[[Decision], str | None]
"""Why a decision cannot be taken; None where it can."""


@dataclass(slots=True)
class Outside:
    """What an investigation knows of whoever decides."""

    questions: int = 0
    searches: int = 0
    decided: Decision | None = None
    """The latest decision."""
    objection: Objection | None = None
    """Of the search that waits for a decision."""
    not_looked_into: list[frozenset[str]] = field(default_factory=list)
    """Sets that were found to matter as a whole."""

    @property
    def is_done(self) -> bool:
        """Whether the latest decision was to look no further."""
        return self.decided is not None and self.decided.kind == "done"
