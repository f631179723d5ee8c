"""What a search strategy is: `ask` for sets to slow, be `tell`-ed what came of it, name what was
found.

A strategy is pure: no I/O, no clock, and any randomness from the seed it was given, so that the
same outcomes always lead to the same questions. It decides *where to look*, never *what was
found*: the engine measures each probe until it can judge it, and the certificate rests on other
runs altogether.

Guarantees every strategy must give (the conformance suite in ``tests/strategies`` checks them):

* it asks only for non-empty sets of the problem's own items, and ends on its own;
* `ask` names what it wants to know by now: a probe is asked for again until it was told of;
* every item ends in exactly one of `Found`, `Cleared`, `Open`, whenever `result` is called.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

Judgement = Literal["sensitive", "insensitive", "unresolved"]


@dataclass(frozen=True, slots=True)
class Item:
    """The smallest thing the search may single out: a function, or small functions of one subtree.

    ``mass`` bounds its gain from above (own time / time per unit) and is the prior of the search.
    ``path`` is its place in the tree, root first; items that share a longer path are kept together.
    """

    name: str
    mass: float
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is searched.

    ``gain`` is the measured gain of all items together with its bounds; an item matters when its
    gain is at least ``threshold`` (same scale). ``noise`` is about the standard error of the gain
    that a single run shows, ``resolution`` what one tells from nothing; smaller gains take more
    runs, with the square of the ratio.
    """

    items: tuple[Item, ...]
    gain: float
    gain_lo: float
    gain_hi: float
    threshold: float
    resolution: float = 0.0
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Probe:
    """Slow exactly these items and judge the set.

    The question is whether its gain is about ``least`` (0: the threshold) or nothing: `insensitive`
    may be said as soon as the gain is surely below twice that and looks smaller, and of what
    probably does not matter. Not the latter ``surely``: then only bounds decide, until so many runs
    were made that noise has won. So many ``runs`` will do, where that is not 0, whatever they say;
    what they say is then in the outcome's gain and standard error.
    """

    items: frozenset[str]
    least: float = 0.0
    surely: bool = False
    runs: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the engine found out about a probe: a judgement and the set's gain with bounds.

    ``se``: standard error of the gain, infinite where nothing could be measured; ``noise``: what a
    single run's is taken to be by now (0: as said in the problem), with its degrees of freedom.
    """

    probe: Probe
    judgement: Judgement
    gain: float
    lo: float
    hi: float
    reason: str = ""
    se: float = 0.0
    noise: float = 0.0
    dof: float = math.inf


@dataclass(frozen=True, slots=True)
class Found:
    """Items that matter: one, or several that matter only together."""

    items: frozenset[str]
    gain: float
    lo: float
    hi: float


@dataclass(frozen=True, slots=True)
class Cleared:
    """Items whose joint gain is below ``hi``, shown by a measurement."""

    items: frozenset[str]
    hi: float


@dataclass(frozen=True, slots=True)
class Open:
    """Items about which nothing can be said yet, or ever, and why."""

    items: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """A partition of the problem's items."""

    found: tuple[Found, ...]
    cleared: tuple[Cleared, ...]
    open: tuple[Open, ...]


class Strategy(Protocol):
    """See the module docstring for what must hold."""

    def ask(self) -> tuple[Probe, ...]:
        """The probes wanted now, independent of each other, until they are told of; empty when the
        search is over."""
        ...

    def tell(self, outcome: Outcome) -> None:
        """The outcome of one probe of the last batch, in any order."""
        ...

    def result(self) -> Result:
        """What is known, at any moment."""
        ...
