"""The module tree: `*:*` → `package.*:*` → `package.module:*` → `package.module:Class.*` →
function → line, where lines are targets.

Invariant: a node's name is a pattern of the targets-file language that matches exactly the
functions below it; a package's pattern includes the package itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bisector.discovery import Function
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
        for target in targets:
            self._paths[target] = _path(target, packages)
        self._names: dict[frozenset[str], str] = {}

    def within(self, targets: frozenset[str]) -> Tree:
        """The tree that has only these functions to slow."""
        chosen = [function for target, function in self.functions.items() if target in targets]
        return Tree(chosen, beside=self._paths)

    def path(self, target: str) -> tuple[str, ...]:
        """From `*:*` down to the function itself."""
        return self._paths[target]

    def below(self, node: str) -> frozenset[str]:
        """The functions a node stands for."""
        return self._members.get(node, frozenset())

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
    def _members(self) -> dict[str, frozenset[str]]:
        gathered: dict[str, set[str]] = {}
        for target, path in self._paths.items():
            for node in path:
                gathered.setdefault(node, set()).add(target)
        return {node: frozenset(members) for node, members in gathered.items()}

    @cached_property
    def _spans(self) -> _Spans:
        return _Spans(self._paths)

    def cover(self, targets: Iterable[str]) -> tuple[str, ...]:
        """The fewest nodes that together stand for exactly these functions, in tree order."""
        return self._spans.cover(self._spans.places(targets))

    def name(self, targets: Iterable[str]) -> str:
        """One line that says what a set is: its exact cover, or a node with what it leaves out."""
        wanted = frozenset(targets)
        known = self._names.get(wanted)
        if known is None:
            known = self._names[wanted] = self._name(wanted)
        return known

    def _name(self, wanted: frozenset[str]) -> str:
        spans = self._spans
        places = spans.places(wanted)
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
        return [self._spans.order[place] for place in self._spans.places(targets)]

    def common(self, targets: Iterable[str]) -> str:
        """The deepest node that has all of them below it."""
        return self._spans.common(self._spans.places(targets))

    def units(self, mass: dict[str, float], threshold: float) -> tuple[list[Unit], list[str]]:
        """Split all functions into units that can matter, and those that cannot even together.

        A function whose mass reaches ``threshold`` is a unit; smaller ones are gathered at the
        deepest node where together they reach it. Returns (units, the remainder at the root).
        """
        import networkx as nx

        units: list[Unit] = []
        small: dict[str, list[str]] = {}
        below: dict[str, float] = {}
        for node in nx.dfs_postorder_nodes(self.graph, ROOT):
            children = list(self.graph.successors(node))
            gathered = [t for child in children for t in small.pop(child, [])]
            below[node] = sum(below.pop(child) for child in children)
            if node in self.functions:
                gathered.append(node)
                below[node] += mass.get(node, 0.0)
            total = sum(mass.get(target, 0.0) for target in gathered)
            if gathered and total >= threshold and total >= MOST_OF_A_NODE * below[node]:
                if len(gathered) == 1:
                    name, path = gathered[0], self._paths[gathered[0]]
                else:
                    name, path = self.name(gathered), self._path_of_node(node)
                units.append(Unit(name, tuple(sorted(gathered)), total, path))
            else:
                small[node] = gathered
        return units, sorted(small.get(ROOT, []))

    def _path_of_node(self, node: str) -> tuple[str, ...]:
        member = min(self.below(node))
        path = self._paths[member]
        return path[: path.index(node) + 1]


class _Spans:
    """Nodes as stretches of the functions in tree order: sets of any size are named by looking at
    as many nodes as the name has, and those above them."""

    def __init__(self, paths: Mapping[str, tuple[str, ...]]) -> None:
        self.order = sorted(paths, key=paths.__getitem__)
        self._place = {target: place for place, target in enumerate(self.order)}
        self._span: dict[str, tuple[int, int]] = {}
        self._children: dict[str, dict[str, None]] = {}
        for place, target in enumerate(self.order):
            path = paths[target]
            for node in path:
                first, _ = self._span.get(node, (place, place))
                self._span[node] = first, place + 1
            for node, child in pairwise(path):
                self._children.setdefault(node, {})[child] = None

    def places(self, targets: Iterable[str]) -> NDArray[np.int64]:
        """Where these stand in tree order, ascending."""
        places = np.array([self._place[target] for target in targets], np.int64)
        places.sort()
        return places

    def others(self, places: NDArray[np.int64], node: str) -> NDArray[np.int64]:
        """The places of all others below a node."""
        first, end = self._span[node]
        return np.setdiff1d(np.arange(first, end), places, assume_unique=True)

    def cover(self, places: NDArray[np.int64]) -> tuple[str, ...]:
        """See `Tree.cover`."""
        chosen: list[str] = []
        waiting = [ROOT]
        while waiting and len(places):
            node = waiting.pop()
            first, end = self._span[node]
            here = int(np.searchsorted(places, end)) - int(np.searchsorted(places, first))
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
                low, end = self._span[child]
                if low <= first and last < end:
                    node = child
                    break
            else:
                return node

    def _deepest(self, node: str) -> str:
        """Of nodes that mean the same, the one that says most."""
        while len(children := self._children.get(node, {})) == 1:
            (node,) = children
        return node


def _path(target: str, packages: set[str]) -> tuple[str, ...]:
    module, _, qualname = target.partition(":")
    path = [ROOT]
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        prefix = ".".join(parts[:depth])
        if prefix in packages:
            path.append(f"{prefix}.*:*")
    path.append(f"{module}:*")
    outer = qualname.split(".")
    for depth in range(1, len(outer)):
        if outer[depth - 1] == "<locals>":
            continue
        path.append(f"{module}:{'.'.join(outer[:depth])}.*")
    if "@" in qualname:
        path.append(f"{module}:{qualname.partition('@')[0]}@*")
    path.append(target)
    return tuple(path)
