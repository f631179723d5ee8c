"""The module tree: `*:*` → `package.*:*` → `package.module:*` → `package.module:Class.*` →
function → line, where lines are targets.

Invariant: a node's name is a pattern of the targets-file language that matches exactly the
functions below it; a package's pattern includes the package itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from sys import intern
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bisector.columns import Roster
from bisector.discovery import Function
from strategies.line import common_depth
from strategies.protocol import Item

if TYPE_CHECKING:
    import networkx as nx

ROOT = "*:*"
MOST_OF_A_NODE = 0.5


@dataclass(frozen=True, slots=True)
class Unit:
    """What the search may single out: one function, or the small functions of one node together."""

    name: str
    functions: tuple[str, ...]
    mass: float
    path: tuple[str, ...]

    def item(self) -> Item:
        """The strategies' view of it."""
        return Item(self.name, self.mass, self.path)


class Units:
    """Units by name. Sets of them are asked about as sets of functions, again and again."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self._by_name = {unit.name: unit for unit in units}
        self._known: dict[frozenset[str], frozenset[str]] = {}
        self._are_functions = all(unit.functions == (unit.name,) for unit in self._by_name.values())

    def __iter__(self) -> Iterator[Unit]:
        return iter(self._by_name.values())

    def functions(self, names: frozenset[str]) -> frozenset[str]:
        """Those of some units."""
        if self._are_functions:
            return names
        known = self._known.get(names)
        if known is None:
            of_each = (self._by_name[name].functions for name in names)
            known = self._known[names] = frozenset(chain.from_iterable(of_each))
        return known


class Tree:
    """The tree of the functions of a discovery. Nodes are patterns, edges go from parent to
    child.

    ``beside``: what ran too, but cannot be slowed. No unit has any of it, and a node that does is
    not the name of a set without it.
    """

    def __init__(self, functions: Iterable[Function], beside: Iterable[str] = ()) -> None:
        self.functions = {function.target: function for function in functions}
        self._paths: dict[str, tuple[str, ...]] = {}
        targets = dict.fromkeys((*self.functions, *beside))
        modules = {target.partition(":")[0] for target in targets}
        packages = {
            ".".join(parts[:depth])
            for parts in (module.split(".") for module in modules)
            for depth in range(1, len(parts))
        }
        above = {module: _above(module, packages) for module in modules}
        for target in targets:
            self._paths[target] = _path(target, above[target.partition(":")[0]])
        self._names: dict[frozenset[str], str] = {}

    def within(self, targets: frozenset[str]) -> Tree:
        """The tree that has only these functions to slow."""
        if targets.issuperset(self.functions):
            return self
        chosen = [function for target, function in self.functions.items() if target in targets]
        return Tree(chosen, beside=self._paths)

    def path(self, target: str) -> tuple[str, ...]:
        """From `*:*` down to the function itself."""
        return self._paths[target]

    def below(self, node: str) -> frozenset[str]:
        """The functions a node stands for."""
        return frozenset(self._spans.below(node))

    @cached_property
    def graph(self) -> nx.DiGraph[str]:
        """All nodes, but for what cannot be slowed."""
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_node(ROOT)
        for target in self.functions:
            nx.add_path(graph, self._paths[target])
        return graph

    @cached_property
    def roster(self) -> Roster:
        """All that it knows of, in tree order."""
        return Roster(sorted(self._paths, key=self._paths.__getitem__))

    @cached_property
    def _spans(self) -> _Spans:
        return _Spans(self.roster.targets, self._paths)

    def cover(self, targets: Iterable[str]) -> tuple[str, ...]:
        """The fewest nodes that together stand for exactly these functions, in tree order."""
        return self._spans.cover(self.roster.places(targets))

    def name(self, targets: Iterable[str]) -> str:
        """One line that says what a set is: its exact cover, or a node with what it leaves out."""
        wanted = frozenset(targets)
        known = self._names.get(wanted)
        if known is None:
            known = self._names[wanted] = self._name(wanted)
        return known

    def _name(self, wanted: frozenset[str]) -> str:
        spans = self._spans
        places = self.roster.places(wanted)
        cover = spans.cover(places)
        if len(cover) <= 3:
            return ", ".join(cover)
        node = spans.common(places)
        left_out = spans.cover(spans.others(places, node))
        if 0 < len(left_out) <= 3:
            return ", ".join((node, *(f"!{pattern}" for pattern in left_out)))
        return f"{len(wanted)} functions of {node}"

    def ordered(self, targets: Iterable[str]) -> list[str]:
        """The same in tree order."""
        return [self.roster.targets[place] for place in self.roster.places(targets).tolist()]

    def common(self, targets: Iterable[str]) -> str:
        """The deepest node that has all of them below it."""
        return self._spans.common(self.roster.places(targets))

    def units(self, mass: dict[str, float], threshold: float) -> tuple[list[Unit], list[str]]:
        """Split all functions into units that can matter, and those that cannot even together.

        A function whose mass reaches ``threshold`` is a unit; smaller ones are gathered at the
        deepest node where together they reach it. Returns (units, the remainder at the root).
        """
        targets = self.roster.targets
        there = np.array([target in self.functions for target in targets])
        masses = np.where(there, [mass.get(target, 0.0) for target in targets], 0.0)
        small = there & (masses < threshold)
        units = [
            Unit(
                targets[place], (targets[place],), float(masses[place]), self._paths[targets[place]]
            )
            for place in np.nonzero(there & ~small)[0].tolist()
        ]
        for node, first, end in self._spans.bottom_up():
            here = small[first:end]
            total = float(masses[first:end][here].sum())
            most = total >= MOST_OF_A_NODE * float(masses[first:end].sum())
            if total >= threshold and most and here.any():
                gathered = tuple(sorted(targets[first + i] for i in np.nonzero(here)[0].tolist()))
                path = self._paths[targets[first]]
                path = path[: path.index(node) + 1]
                units.append(Unit(self.name(gathered), gathered, total, path))
                here[:] = False
        return units, sorted(targets[place] for place in np.nonzero(small)[0].tolist())


class _Spans:
    """Nodes as stretches of the functions in tree order: sets of any size are named by looking at
    as many nodes as the name has, and those above them."""

    def __init__(self, order: Sequence[str], paths: Mapping[str, tuple[str, ...]]) -> None:
        self.order = order
        self._first: dict[str, int] = {}
        self._end: dict[str, int] = {}
        self._children: dict[str, list[str]] = {}
        last: tuple[str, ...] = ()
        for place, target in enumerate(order):
            path = paths[target]
            shared = common_depth(last, path)
            self._end.update(dict.fromkeys(last[shared:], place))
            self._first.update(dict.fromkeys(path[shared:], place))
            for node, child in pairwise(path[max(shared - 1, 0) :]):
                self._children.setdefault(node, []).append(child)
            last = path
        self._end.update(dict.fromkeys(last, len(order)))

    def below(self, node: str) -> Sequence[str]:
        """The functions a node stands for, in order."""
        return self.order[self._first.get(node, 0) : self._end.get(node, 0)]

    def bottom_up(self) -> list[tuple[str, int, int]]:
        """Nodes that have others below them, those first, with where their stretch begins and
        ends."""
        spans = [(node, self._first[node], self._end[node]) for node in reversed(self._children)]
        return sorted(spans, key=lambda span: (span[2], -span[1]))

    def others(self, places: NDArray[np.int64], node: str) -> NDArray[np.int64]:
        """The places of all others below a node."""
        first, end = self._first[node], self._end[node]
        return np.setdiff1d(np.arange(first, end), places, assume_unique=True)

    def cover(self, places: NDArray[np.int64]) -> tuple[str, ...]:
        """See `Tree.cover`."""
        inside = np.zeros(len(self.order) + 1, np.int64)
        inside[places + 1] = 1
        up_to = np.cumsum(inside)
        chosen: list[str] = []
        waiting = [ROOT]
        while waiting and len(places):
            node = waiting.pop()
            first, end = self._first[node], self._end[node]
            here = up_to[end] - up_to[first]
            if here == end - first:
                chosen.append(self._deepest(node))
            elif here:
                waiting.extend(reversed(self._children[node]))
        return tuple(chosen)

    def common(self, places: NDArray[np.int64]) -> str:
        """See `Tree.common`."""
        if not len(places):
            return ROOT
        node, first, last = ROOT, int(places[0]), int(places[-1])
        while True:
            for child in self._children.get(node, ()):
                if self._first[child] <= first and last < self._end[child]:
                    node = child
                    break
            else:
                return node

    def _deepest(self, node: str) -> str:
        """Of nodes that mean the same, the one that says most."""
        while len(children := self._children.get(node, [])) == 1:
            (node,) = children
        return node


def _above(module: str, packages: set[str]) -> tuple[str, ...]:
    """From `*:*` down to the module."""
    parts = module.split(".")
    prefixes = (".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return (ROOT, *(f"{prefix}.*:*" for prefix in prefixes if prefix in packages), f"{module}:*")


def _path(target: str, above: tuple[str, ...]) -> tuple[str, ...]:
    """Down to a function, from what is above all of its module. Many share a node's name, and it is
    kept once."""
    module, _, qualname = target.partition(":")
    outer = qualname.split(".")
    path = [
        intern(f"{module}:{'.'.join(outer[:depth])}.*")
        for depth in range(1, len(outer))
        if outer[depth - 1] != "<locals>"
    ]
    if "@" in qualname:
        path.append(intern(f"{module}:{qualname.partition('@')[0]}@*"))
    return (*above, *path, target)
