"""The source of one function: its own statements, in which loops each stands, what names mean;
and a sign of cost in it: a line, and a clause about it.

Invariant: what has code of its own (functions, lambdas, classes and generator expressions in it) is
a target of its own and not part of it. Nothing here recurses, however deep the code is nested. A
clause is plain words and names, on one line, and true of the line whether or not it is what costs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from bisector.schema import HintKind
from bisector.wording import shorten

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor | ast.While | ast.ListComp | ast.SetComp | ast.DictComp
_SEPARATE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
LONGEST_NAME = 60
"""Of `named`."""


class Sign(NamedTuple):
    """What stands in a line. ``rank``: the smaller, the more telling."""

    kind: HintKind
    line: int
    text: str
    rank: int


def sign(kind: HintKind, node: ast.AST, text: str, rank: int) -> Sign:
    """A sign at a node of the source."""
    return Sign(kind, getattr(node, "lineno", 0), text, rank)


def named(name: str) -> str:
    """A name in a clause."""
    return shorten(name, LONGEST_NAME)


class Placed(NamedTuple):
    """A node and the loops around it, outermost first; ``sure``: it is executed in each turn of the
    innermost (or each call), as far as no condition stands before it."""

    node: ast.AST
    loops: tuple[Loop, ...]
    sure: bool = True

    def with_(self, node: ast.AST) -> Placed:
        """Another node in the same place."""
        return self._replace(node=node)


class Called(NamedTuple):
    """A call, likewise."""

    node: ast.Call
    loops: tuple[Loop, ...]
    sure: bool


@dataclass(frozen=True)
class Scope:
    """A function, lambda or module body; ``imports`` says what names in its file stand for."""

    body: Sequence[ast.AST]
    arguments: frozenset[str]
    imports: Mapping[str, str]

    @cached_property
    def placed(self) -> Sequence[Placed]:
        """Everything of its own, in the order of the source."""
        return list(_walk(self.body))

    @cached_property
    def calls(self) -> Sequence[Called]:
        """Calls that are not awaited: those are waited for by an event loop."""
        awaited = {id(p.node.value) for p in self.placed if isinstance(p.node, ast.Await)}
        return [
            Called(node, loops, sure)
            for node, loops, sure in self.placed
            if isinstance(node, ast.Call) and id(node) not in awaited
        ]

    def means(self, node: ast.AST) -> str:
        """The full dotted name of what is imported, ``numpy.dot`` for ``np.dot``; else nothing."""
        head, _, rest = dotted(node).partition(".")
        if not head or head in self.arguments or head not in self.imports:
            return ""
        return f"{self.imports[head]}.{rest}" if rest else self.imports[head]

    def assigned(self, name: str) -> list[ast.expr]:
        """The values that a local name is plainly given, None being no value to speak of."""
        values = []
        for node, _, _ in self.placed:
            targets: Sequence[ast.expr] = ()
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                targets = (node.target,)
            if any(isinstance(t, ast.Name) and t.id == name for t in targets):
                assert isinstance(node, ast.Assign | ast.AnnAssign)
                assert node.value is not None
                values.append(node.value)
        return values

    def bindings(self, name: str) -> int:
        """How often a name is bound or deleted here, whatever the statement."""
        return len(self._bound.get(name, ())) + (name in self.arguments)

    def bindings_in(self, name: str, loop: Loop) -> int:
        """How often in a loop."""
        return sum(loop in loops for loops in self._bound.get(name, ()))

    @cached_property
    def _bound(self) -> Mapping[str, list[tuple[Loop, ...]]]:
        found: dict[str, list[tuple[Loop, ...]]] = {}
        for node, loops, _ in self.placed:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                found.setdefault(node.id, []).append(loops)
        return found


def imports_of(tree: ast.Module) -> dict[str, str]:
    """What every name imported anywhere in a file stands for."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.partition(".")[0]
                names[alias.asname or head] = alias.name if alias.asname else head
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of such an expression; nothing of any other."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def called(node: ast.Call) -> str:
    """How a call may be spoken of: ``self.queue.get()``, ``.item()``."""
    name = dotted(node.func)
    if not name and isinstance(node.func, ast.Attribute):
        name = f".{node.func.attr}"
    return f"{name}()" if name else ""


def method(node: ast.Call) -> str:
    """The name of the method that is called; nothing where it is none."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""


def names_in(node: ast.AST) -> set[str]:
    """Every name that is read or written in an expression."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _walk(body: Sequence[ast.AST]) -> Iterator[Placed]:
    pending: list[Placed] = [Placed(node, ()) for node in reversed(body)]
    while pending:
        place = pending.pop()
        if isinstance(place.node, _SEPARATE):
            continue
        yield place
        pending += reversed(list(_children(place)))


def _children(place: Placed) -> Iterator[Placed]:
    node, loops, sure = place
    if isinstance(node, ast.For | ast.AsyncFor):
        yield place.with_(node.iter)
        yield from (Placed(child, (*loops, node)) for child in (node.target, *node.body))
        yield from (Placed(child, loops, False) for child in node.orelse)
    elif isinstance(node, ast.While):
        yield from (Placed(child, (*loops, node)) for child in (node.test, *node.body))
        yield from (Placed(child, loops, False) for child in node.orelse)
    elif isinstance(node, ast.GeneratorExp):
        yield place.with_(node.generators[0].iter)
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
        yield place.with_(node.generators[0].iter)
        yield from _comprehended(node, (*loops, node))
    elif isinstance(node, ast.If):
        yield place.with_(node.test)
        yield from (Placed(child, loops, False) for child in (*node.body, *node.orelse))
    elif isinstance(node, ast.IfExp):
        yield place.with_(node.test)
        yield from (Placed(child, loops, False) for child in (node.body, node.orelse))
    elif isinstance(node, ast.BoolOp):
        first, *others = node.values
        yield place.with_(first)
        yield from (Placed(child, loops, False) for child in others)
    else:
        maybe = isinstance(node, ast.ExceptHandler | ast.match_case)
        for child in ast.iter_child_nodes(node):
            yield Placed(child, loops, sure and not maybe)


def _comprehended(
    node: ast.ListComp | ast.SetComp | ast.DictComp, loops: tuple[Loop, ...]
) -> Iterator[Placed]:
    """What a comprehension does for each."""
    for number, each in enumerate(node.generators):
        yield Placed(each.target, loops)
        if number:
            yield Placed(each.iter, loops)
        yield from (Placed(test, loops) for test in each.ifs)
    parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
    chosen = any(each.ifs for each in node.generators)
    yield from (Placed(part, loops, not chosen) for part in parts)
