"""From a function that matters to hints at why: finds its source, and asks each kind of sign.

Invariant: see the package. A file is read once for all functions in it, at most `LARGEST_BYTES` of
it, as the encoding it declares; a file that is newer than the run, or has another function at that
line, is not the one that was measured.
"""

from __future__ import annotations

import ast
import io
import stat
import tokenize
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bisector.discovery import Function
from bisector.hints import computing, looping, waiting
from bisector.hints.library import known
from bisector.hints.scope import Scope, Sign, imports_of
from bisector.schema import Hint
from bisector.wording import shorten

LARGEST_BYTES = 2_000_000
LONGEST_LINE = 160
MOST_NODES = 20_000
"""Of the syntax tree of one function; more is generated, and nobody's to change."""
MOST = 3
"""Hints for one function."""

WAITS = 0.2
"""Share of own time from which on what waits is pointed out; and without the GIL what a device does
meanwhile."""

COMPUTES = 0.5
"""Share of own time on the CPU, with the GIL, from which on computing is."""

LOOP_S = 20e-6
"""Own time of a call from which on a loop of short steps must be what it goes into."""

Signs = Callable[[Scope], Iterator[Sign]]


@dataclass
class Sources:
    """Reads what was measured by a run that began at ``began``, in the folder ``directory``."""

    began: datetime
    directory: Path
    _files: dict[Path, _File | None] = field(default_factory=dict)

    def hints(self, function: Function) -> list[Hint]:
        """What the source of a function shows, most telling first."""
        file = self._file(function)
        scope = file.scope(function) if file else None
        if file is None or scope is None or len(scope.placed) > MOST_NODES:
            return []
        found = [*_known(function), *(s for signs in _asked(function) for s in signs(scope))]
        if function.kind == "line":
            found = [each for each in found if each.line == function.line]
        return [
            Hint(
                kind=each.kind,
                line=each.line,
                text=each.text,
                source=shorten(file.line(each.line), LONGEST_LINE),
                target=function.target,
                file=function.file,
            )
            for each in _most_telling(found)
        ]

    def lines(self, function: Function) -> Sequence[str]:
        """The text of a function; none where it is not, or no longer, there."""
        file = self._file(function)
        return file.lines(function) if file else ()

    def _file(self, function: Function) -> _File | None:
        if not function.file or function.kind == "native":
            return None
        path = self.directory / function.file
        if path not in self._files:
            self._files[path] = _read(path, self.began)
        return self._files[path]


def _asked(function: Function) -> Sequence[Signs]:
    """Kinds of signs that go with what was measured, most telling first."""
    own_s = function.own_s
    if own_s <= 0.0:
        return ()
    kinds: list[Signs] = []
    waits, computes = function.wait_s / own_s, function.gil_s / own_s
    if waits + function.nogil_s / own_s >= WAITS:
        kinds.append(waiting.synchronisation)
    if waits >= WAITS:
        kinds += [waiting.locks, waiting.waits]
    if 1.0 - waits >= COMPUTES:
        kinds += [computing.allocation, computing.serialisation]
    if computes >= COMPUTES:
        kinds += [computing.searches, computing.passes, computing.messages]
        if function.own_per_call_s >= LOOP_S:
            kinds.append(looping.loops)
    return kinds


def _known(function: Function) -> Iterator[Sign]:
    own_s = function.own_s
    for each in known(function.target):
        if not each.waits or function.wait_s >= WAITS * own_s:
            yield Sign(each.kind, function.line, each.text, 0)


def _most_telling(found: Iterable[Sign]) -> list[Sign]:
    """One of each kind, in the order the kinds were asked for."""
    best: dict[str, Sign] = {}
    for each in found:
        if each.kind not in best or (each.rank, each.line) < (
            best[each.kind].rank,
            best[each.kind].line,
        ):
            best[each.kind] = each
    return list(best.values())[:MOST]


class _File:
    """A source file that was read."""

    def __init__(self, tree: ast.Module, text: str) -> None:
        self._lines = io.StringIO(text, newline=None).read().split("\n")
        self._body = tree.body
        self._imports = imports_of(tree)
        self._functions = {(name, line): node for name, line, node in _functions(tree)}

    def line(self, number: int) -> str:
        """A line without its indent, from 1."""
        return self._lines[number - 1].strip() if 0 < number <= len(self._lines) else ""

    def lines(self, function: Function) -> Sequence[str]:
        """The lines of a function, if it is where it was."""
        if self.scope(function) is None:
            return ()
        first, (_, qualname) = function.line, function.name
        if function.kind == "line":
            return self._lines[first - 1 : first]
        if qualname == "<module>":
            return self._lines
        return self._lines[first - 1 : self._functions[qualname, first].end_lineno]

    def scope(self, function: Function) -> Scope | None:
        """The source of a function, if it is where it was."""
        _, qualname = function.name
        if function.kind == "line":
            return self._around(qualname.rpartition("@")[0], function.line)
        if qualname == "<module>":
            return Scope(self._body, frozenset(), self._imports)
        node = self._functions.get((qualname, function.line))
        return self._scope(node) if node is not None else None

    def _around(self, qualname: str, line: int) -> Scope | None:
        """Of the function with this name that the line is in."""
        if qualname == "<module>":
            return Scope(self._body, frozenset(), self._imports)
        for (name, _), node in self._functions.items():
            if name == qualname and node.lineno <= line <= (node.end_lineno or node.lineno):
                return self._scope(node)
        return None

    def _scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Scope:
        given = node.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        return Scope(node.body, frozenset(a.arg for a in every if a is not None), self._imports)


def _functions(
    tree: ast.Module,
) -> Iterator[tuple[str, int, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Qualified name and first line, that of a decorator included, of every function."""
    pending: list[tuple[ast.AST, str]] = [(tree, "")]
    while pending:
        node, prefix = pending.pop()
        for child in ast.iter_child_nodes(node):
            inside = prefix
            if isinstance(child, ast.ClassDef):
                inside = f"{prefix}{child.name}."
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (child.lineno, *(each.lineno for each in child.decorator_list))
                yield f"{prefix}{child.name}", min(lines), child
                inside = f"{prefix}{child.name}.<locals>."
            pending.append((child, inside))


def _read(path: Path, began: datetime) -> _File | None:
    """The file, if it is one that a run which began then can have read."""
    try:
        found = path.stat()
        usable = stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_BYTES
        if not usable or found.st_mtime > began.timestamp():
            return None
        with tokenize.open(path) as file:
            text = file.read(LARGEST_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _File(ast.parse(text), text)
    except (OSError, SyntaxError, ValueError, MemoryError, RecursionError):
        return None
