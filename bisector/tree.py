"""The module tree: `*:*` → `package.*:*` → `package.module:*` → `package.module:Class.*` →
function → line, where lines are targets.

Invariant: a node's name is a pattern of the targets-file language that matches exactly the
functions below it; a package's pattern includes the package itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

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
        names: dict[str, set[str]] = {}
        for target in targets:
            module, _, qualname = target.partition(":")
            names.setdefault(module, set()).add(qualname)
        for target in targets:
            self._paths[target] = _path(target, packages, names)

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

    def cover(self, targets: Iterable[str]) -> tuple[str, ...]:
        """The fewest nodes that together stand for exactly these functions, in tree order."""
        wanted = frozenset(targets)
        chosen: dict[str, None] = {}
        for target in sorted(wanted, key=self._paths.__getitem__):
            nodes = [node for node in self._paths[target] if self.below(node) <= wanted]
            whole = self.below(nodes[0])
            # Of nodes that mean the same, the deepest says most.
            chosen[[node for node in nodes if self.below(node) == whole][-1]] = None
        return tuple(chosen)

    def name(self, targets: Iterable[str]) -> str:
        """One line that says what a set is: its exact cover, or a node with what it leaves out."""
        wanted = frozenset(targets)
        cover = self.cover(wanted)
        if len(cover) <= 3:
            return ", ".join(cover)
        node = self.common(wanted)
        left_out = self.cover(self.below(node) - wanted)
        if 0 < len(left_out) <= 3:
            return ", ".join((node, *(f"!{pattern}" for pattern in left_out)))
        return f"{len(wanted)} functions of {node}"

    def common(self, targets: Iterable[str]) -> str:
        """The deepest node that has all of them below it."""
        paths = [self._paths[target] for target in targets]
        shared = ROOT
        for level in zip(*paths, strict=False):
            if len(set(level)) > 1:
                break
            shared = level[0]
        return shared

    def units(self, mass: dict[str, float], threshold: float) -> tuple[list[Unit], list[str]]:
        """Split all functions into units that can matter, and those that cannot even together.

        A function whose mass reaches ``threshold`` is a unit; smaller ones are gathered at the
        deepest node where together they reach it. Returns (units, the remainder at the root).
        """
        import networkx as nx

        units: list[Unit] = []
        small: dict[str, list[str]] = {}
        for node in nx.dfs_postorder_nodes(self.graph, ROOT):
            if node in self.functions and self.graph.out_degree(node) == 0:
                gathered = [node]
            else:
                gathered = [
                    t for child in self.graph.successors(node) for t in small.pop(child, [])
                ]
                if node in self.functions:
                    gathered.append(node)
            total = sum(mass.get(target, 0.0) for target in gathered)
            node_mass = sum(mass.get(target, 0.0) for target in self.below(node))
            if gathered and total >= threshold and total >= MOST_OF_A_NODE * node_mass:
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


def _path(target: str, packages: set[str], names: dict[str, set[str]]) -> tuple[str, ...]:
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
