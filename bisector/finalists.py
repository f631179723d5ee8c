"""What the search hands to the certificate: the code it found, and how it measured it."""

from __future__ import annotations

from dataclasses import dataclass, field

from bisector.answer import Interval, Kind
from bisector.trials import Trials

EXPLAINED = 0.9
"""The set must account for this share of the gain of everything."""


@dataclass(slots=True)
class Finalist:
    """Code the search found, on its way to the certificate."""

    target: str
    functions: frozenset[str]
    kind: Kind
    gain: Interval
    co_critical_with: tuple[str, ...] = ()


@dataclass(slots=True)
class Finalists:
    """The search's outcome, for the certificate. ``dose``: what the search slowed by."""

    members: list[Finalist] = field(default_factory=list)
    trials: Trials | None = None
    linear: bool = True
    dose: float = 0.25
    doses: dict[tuple[frozenset[str], float], float] = field(default_factory=dict)
    """By set and the dose of the search: what its probes were first slowed by, and are again."""
