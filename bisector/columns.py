"""What is known of many targets in columns: there may be a hundred thousand, and each is looked at
after every run.

A `Roster` says at which place of a column a target is; `Counts` are what an injector counted of
some of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from bisector.observations import Delivered

KEPT = 32
"""Sets whose places are remembered."""

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


class Roster:
    """Targets in an order that does not change."""

    def __init__(self, targets: Iterable[str]) -> None:
        self.targets = tuple(targets)
        self._place = {target: place for place, target in enumerate(self.targets)}
        self._known: dict[frozenset[str], Integers] = {}

    def places(self, targets: Iterable[str]) -> Integers:
        """Where those are that are in it, ascending."""
        if not isinstance(targets, frozenset):
            return self._find(targets)
        known = self._known.pop(targets, None)
        if known is None:
            known = self._find(targets)
            if len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
        self._known[targets] = known  # used last, forgotten last
        return known

    def _find(self, targets: Iterable[str]) -> Integers:
        found = np.fromiter(map(self._place.get, targets, repeat(-1)), np.int64)
        found.sort()
        return found[np.searchsorted(found, 0) :]


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What was counted of targets in runs, by place of a roster, ascending; ``spun_s``, what of
    delays was spent on CPU, is NaN where unknown."""

    places: Integers
    calls: Numbers
    delayed_s: Numbers
    spun_s: Numbers

    @classmethod
    def of(cls, delivered: Mapping[str, Delivered], roster: Roster) -> Counts:
        """Of one run."""
        places = roster.places(frozenset(delivered))
        targets = map(roster.targets.__getitem__, places.tolist())
        counted = list(map(delivered.__getitem__, targets))
        calls, delayed_ns, spun_ns = (
            np.array(list(map(attrgetter(name), counted)), np.float64)
            for name in ("calls", "delayed_ns", "spun_ns")
        )
        return cls(places, calls, delayed_ns / 1e9, spun_ns / 1e9)

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        mine, others = self._numbers, other._numbers
        if np.array_equal(self.places, other.places):
            return Counts(self.places, *(a + b for a, b in zip(mine, others, strict=True)))
        joined = np.concatenate((self.places, other.places))
        places, at = np.unique(joined, return_inverse=True)
        columns = (np.concatenate(both) for both in zip(mine, others, strict=True))
        return Counts(places, *(np.bincount(at, column, len(places)) for column in columns))

    def within(self, places: Integers) -> Counts:
        """Of some targets."""
        kept = np.isin(self.places, places, assume_unique=True)
        return Counts(self.places[kept], *(column[kept] for column in self._numbers))

    @property
    def _numbers(self) -> tuple[Numbers, Numbers, Numbers]:
        return self.calls, self.delayed_s, self.spun_s
