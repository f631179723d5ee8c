"""Signs of computing that may be more than is needed: copies in loops, searches, passes, messages.

Invariant: what is pointed out costs what the clause says in CPython. A local string that grows by
``+=`` is not, since CPython lets it grow in place; bytes, tuples, and strings elsewhere are.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from bisector.hints.scope import Loop, Scope, Sign, called, dotted, method, named, names_in, sign

_GROWING = {
    f"{module}.{function}"
    for module, functions in (
        ("numpy", ("concatenate", "append", "vstack", "hstack", "dstack", "stack", "insert")),
        ("torch", ("cat", "concat", "concatenate", "stack", "vstack", "hstack")),
        ("pandas", ("concat",)),
    )
    for function in functions
}
_ARRAYS = {
    f"{module}.{function}"
    for module in ("numpy", "torch", "cupy")
    for function in ("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like")
}
_COPIES = frozenset({"sorted", "list", "tuple", "set"})
"""They are given iterators too, and one of those is at its end after the first time."""
_PASSES = _COPIES | {"sum", "min", "max"}
_HARMLESS = _PASSES | {"any", "all", "len"}
"""They change nothing; any() and all() may end at the first, and are no pass."""
_FEWEST_PASSES = 3
_SERIALISES = {
    f"{module}.{function}"
    for module in ("pickle", "marshal", "orjson", "ujson", "msgpack")
    for function in ("dumps", "loads", "packb", "unpackb")
}
_LOGGERS = frozenset({"log", "logger", "logging", "_log", "_logger", "LOG", "LOGGER"})
_LISTS = (ast.List, ast.ListComp)


def allocation(scope: Scope) -> Iterator[Sign]:
    """Where something is made again in each turn of a loop."""
    for node, loops, _ in scope.placed:
        if loops and isinstance(node, ast.Assign | ast.AugAssign):
            yield from _growth(scope, node, loops[-1])
    for call, loops, sure in scope.calls:
        name = scope.means(call.func)
        if not loops or not sure:
            continue
        if name in _ARRAYS:
            text = f"{named(called(call))} makes a new array in each turn of the loop"
            yield sign("allocation", call, text, 1)
        elif method(call) in ("copy", "clone") and not (call.args or call.keywords):
            text = f"{named(called(call))} makes a copy in each turn of the loop"
            yield sign("allocation", call, text, 2)


def _growth(scope: Scope, node: ast.Assign | ast.AugAssign, loop: Loop) -> Iterator[Sign]:
    """Something that grows by being copied, all of it, each time."""
    target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
    name, value = dotted(target), node.value
    if not name or scope.bindings_in(name, loop) > 1:
        return
    if isinstance(node, ast.AugAssign):
        of_attribute = isinstance(target, ast.Attribute) and _kind(value) == "str"
        grows = isinstance(node.op, ast.Add) and (
            of_attribute or _kind_of(scope, target) in ("bytes", "tuple")
        )
    elif isinstance(value, ast.Call):
        first = value.args[0] if value.args else None
        grows = scope.means(value.func) in _GROWING and _holds(first, name)
    else:
        grows = _is_sum_with(scope, target, name, value)
    if grows:
        text = f"{named(name)} grows by being copied, all of it, each time"
        yield sign("allocation", node, text, 0)


def _holds(node: ast.AST | None, name: str) -> bool:
    """Whether a variable is an argument, by itself or in a sequence."""
    if node is None:
        return False
    parts = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    return any(dotted(part) == name for part in parts)


def _is_sum_with(scope: Scope, target: ast.expr, name: str, value: ast.expr) -> bool:
    """Whether this is ``name = name + more``, or the other way round, of what that copies."""
    if not isinstance(value, ast.BinOp) or not isinstance(value.op, ast.Add):
        return False
    left, right = dotted(value.left), dotted(value.right)
    if name not in (left, right):
        return False
    kind = _kind_of(scope, target) or _kind(value.right if left == name else value.left)
    if kind == "str":
        return right == name or not isinstance(target, ast.Name)
    return kind in ("bytes", "tuple", "list")


def _kind_of(scope: Scope, target: ast.expr) -> str:
    """The type of a local name, where everything that it is given is known and of one type."""
    if not isinstance(target, ast.Name):
        return ""
    name = target.id
    grown = [
        node
        for node, _, _ in scope.placed
        if isinstance(node, ast.AugAssign) and dotted(node.target) == name
    ]
    values = scope.assigned(name)
    given = [v for v in values if not (isinstance(v, ast.BinOp) and name in names_in(v))]
    kinds = {_kind(value) for value in given}
    if len(values) + len(grown) < scope.bindings(name) or len(kinds) != 1:
        return ""
    return kinds.pop()


def _kind(value: ast.AST) -> str:
    if isinstance(value, ast.Constant) and isinstance(value.value, str | bytes):
        return type(value.value).__name__
    if isinstance(value, ast.JoinedStr):
        return "str"
    if isinstance(value, ast.Tuple):
        return "tuple"
    return "list" if isinstance(value, _LISTS) else ""


def searches(scope: Scope) -> Iterator[Sign]:
    """Where a list is looked through in each turn of a loop."""
    for node, loops, _ in scope.placed:
        if not loops or not isinstance(node, ast.Compare):
            continue
        if isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(
            node.comparators[0], ast.Name
        ):
            name = node.comparators[0].id
            if _is_only(scope, name, _is_list):
                text = f"looks through the list {named(name)} from its start, in a loop"
                yield sign("search", node, text, 1)


def _is_only(scope: Scope, name: str, kind: Callable[[ast.expr], object]) -> bool:
    """Whether all that a local name is given is known, and of a kind."""
    values = scope.assigned(name)
    return bool(values) and len(values) == scope.bindings(name) and all(map(kind, values))


def _is_list(value: ast.AST) -> bool:
    """Whether it is a list that may be long; one that is written out is not."""
    if isinstance(value, ast.Call):
        return dotted(value.func) in ("list", "sorted")
    return isinstance(value, ast.ListComp) or (isinstance(value, ast.List) and not value.elts)


def passes(scope: Scope) -> Iterator[Sign]:
    """Where the same data are gone through several times."""
    found: dict[str, list[ast.AST]] = {}
    for node, loops, sure in scope.placed:
        name = _gone_through(node)
        if not name or not sure or scope.bindings(name) > 1:
            continue
        if not loops:
            found.setdefault(name, []).append(node)
        elif isinstance(node, ast.Call) and _is_same(scope, name, loops):
            if dotted(node.func) in _COPIES and not _is_only(scope, name, _is_sequence):
                continue
            what = f"{named(called(node))} goes through {named(name)}, the same each time,"
            yield sign("repeated_pass", node, f"{what} in each turn of the loop", 0)
    for name, nodes in found.items():
        if len(nodes) >= _FEWEST_PASSES:
            lines = sorted({getattr(node, "lineno", 0) for node in nodes})
            if len(lines) > 1:
                where = f"lines {', '.join(map(str, lines))}"
                text = f"{named(name)} is gone through {len(nodes)} times ({where})"
                yield sign("repeated_pass", nodes[0], text, 2)


def _is_sequence(value: ast.expr) -> bool:
    return _is_list(value) or bool(_kind(value))


def _gone_through(node: ast.AST) -> str:
    """The name of what an expression or loop goes through from end to end."""
    over: ast.AST | None = None
    if isinstance(node, ast.For):
        over = node.iter
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        over = node.generators[0].iter
    elif isinstance(node, ast.Call) and dotted(node.func) in _PASSES and len(node.args) == 1:
        over = node.args[0]
    return over.id if isinstance(over, ast.Name) else ""


def _is_same(scope: Scope, name: str, loops: tuple[Loop, ...]) -> bool:
    """Whether nothing in the innermost loop may change what has this name: it is only read there,
    and only by what changes nothing."""
    harmless: set[int] = set()
    uses: list[ast.Name] = []
    for node, around, _ in scope.placed:
        if loops[-1] not in around:
            continue
        if isinstance(node, ast.Name) and node.id == name:
            uses.append(node)
        elif isinstance(node, ast.Call) and dotted(node.func) in _HARMLESS:
            harmless |= {id(arg) for arg in node.args}
    return all(isinstance(use.ctx, ast.Load) and id(use) in harmless for use in uses) and bool(uses)


def serialisation(scope: Scope) -> Iterator[Sign]:
    """Where objects are made into bytes in C, or the other way round; what does it in Python is a
    function of its own (`bisector.hints.library`)."""
    for call, loops, _ in scope.calls:
        name = scope.means(call.func)
        if name in _SERIALISES:
            to_bytes = name.endswith(("dumps", "packb"))
            what = "makes bytes of objects" if to_bytes else "makes objects of bytes"
            yield sign("serialisation", call, f"{named(called(call))} {what}", 0 if loops else 1)


def messages(scope: Scope) -> Iterator[Sign]:
    """Where messages are made in a loop."""
    for call, loops, sure in scope.calls:
        if not loops or not sure:
            continue
        if isinstance(call.func, ast.Name) and call.func.id == "print":
            if "print" not in scope.imports and "print" not in scope.arguments:
                yield sign("logging", call, "print() writes in each turn of the loop", 0)
        elif method(call) in ("debug", "info") and call.args:
            assert isinstance(call.func, ast.Attribute)
            owner = dotted(call.func.value).rpartition(".")[2]
            if owner in _LOGGERS and isinstance(call.args[0], ast.JoinedStr):
                text = "makes its message in each turn of the loop, whether it is logged or not"
                yield sign("logging", call, f"{named(called(call))} {text}", 0)
