"""Items in the order of the tree: what a stretch of them weighs, and where it is best cut.

All in columns: a search among a hundred thousand items cuts stretches of them hundreds of times.
Masses are summed as whole numbers, so that sums are exact: in whatever order, on every machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from strategies.protocol import Item

WHOLE = 2.0**50
"""The mass of all items together, as a whole number."""

BALANCED = 3
"""Parts that differ by one part in so many of their sum are of about the same mass."""

NONE = np.iinfo(np.int64).max

Names = tuple[str, ...]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Some items side by side.

    ``up_to``: by place, and one more, the mass of all before it in units of ``unit``. ``shared``:
    by place, but for the last, how many nodes of the tree it and its right neighbour are both in.
    ``places``: where each item is in the whole line.
    """

    names: Names
    up_to: Integers
    shared: Integers
    unit: float
    places: Mapping[str, int]

    @classmethod
    def of(cls, items: Iterable[Item]) -> Line:
        """All items of a problem."""
        order = sorted(items, key=lambda item: (item.path, item.name))
        masses = np.array([item.mass for item in order])
        total = float(masses.sum())
        weights = np.rint(masses / total * WHOLE) if total else masses
        names = tuple(item.name for item in order)
        return cls(
            names,
            _sums(weights.astype(np.int64) + 1),  # those without mass are cut evenly, too
            np.array([common_depth(a.path, b.path) for a, b in pairwise(order)], np.int64),
            total / WHOLE,
            {name: place for place, name in enumerate(names)},
        )

    def part(self, names: Collection[str]) -> Line:
        """Some of the items of a whole line."""
        if len(names) == len(self.names):
            return self
        places = np.sort(np.fromiter((self.places[name] for name in names), np.int64, len(names)))
        # Two are both in the nodes that all between them are in.
        shared = np.minimum.reduceat(self.shared[: places[-1]], places[:-1])
        return Line(
            tuple(self.names[place] for place in places.tolist()),
            _sums(np.diff(self.up_to)[places]),
            shared,
            self.unit,
            self.places,
        )

    @property
    def masses(self) -> NDArray[np.float64]:
        """By place."""
        found: NDArray[np.float64] = np.diff(self.up_to) * self.unit
        return found

    def cut(self, first: int, end: int) -> int:
        """The place at which the right part of a stretch of two or more begins: its parts are of
        about the same mass, and the tree says least that they belong together."""
        inside = slice(first + 1, end)
        total = self.up_to[end] - self.up_to[first]
        uneven = np.abs(2 * (self.up_to[inside] - self.up_to[first]) - total)
        shared = np.where(BALANCED * uneven <= total, self.shared[first : end - 1], NONE)
        candidates = np.nonzero(shared == shared.min())[0]
        return first + 1 + int(candidates[np.argmin(uneven[candidates])])

    def halves(self) -> tuple[Names, Names]:
        """Both parts, the heavier one first."""
        at = self.cut(0, len(self.names))
        left, right = self.names[:at], self.names[at:]
        return (left, right) if 2 * self.up_to[at] >= self.up_to[-1] else (right, left)


def _sums(weights: Integers) -> Integers:
    """Of all before each place, and of all."""
    found: Integers = np.concatenate(([0], np.cumsum(weights)))
    return found


def common_depth(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many nodes two paths from the root have in common."""
    depth = 0
    for here, there in zip(one, other, strict=False):
        if here != there:
            break
        depth += 1
    return depth
