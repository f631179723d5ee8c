"""The sign of a loop over data in Python: where the time of a function goes that computes.

Invariant: it is one loop in which nothing is called but what is as short as a step of Python, in a
function that takes long (`bisector.hints.source` sees to that): then it is where the time goes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from bisector.hints.scope import Scope, Sign, dotted, method, named, sign

METHODS = """
add append discard endswith extend get isalpha isdigit isspace items join keys lower lstrip pop
popleft rstrip setdefault sort split startswith strip upper values
"""
FUNCTIONS = """
abs bool chr dict divmod enumerate float hash int isinstance len list max min ord pow range reversed
round set str sum tuple zip
"""
_METHODS, _FUNCTIONS = frozenset(METHODS.split()), frozenset(FUNCTIONS.split())
_NO_STEPS = (ast.Await, ast.Yield, ast.YieldFrom, ast.With, ast.AsyncWith, ast.AsyncFor, ast.While)
_AROUND = ("enumerate", "reversed", "sorted", "list", "zip")
_VIEWS = ("items", "keys", "values")


def loops(scope: Scope) -> Iterator[Sign]:
    """The loop that the time of a function goes into, where there is one only."""
    plain = [p for p in scope.placed if isinstance(p.node, ast.For) and _only_steps(scope, p.node)]
    outer = {id(loop) for place in plain for loop in place.loops}
    innermost = [place for place in plain if id(place.node) not in outer]
    if len(innermost) != 1:
        return
    node, around, _ = innermost[0]
    assert isinstance(node, ast.For)
    through = _over(node.iter)
    if not through:
        return
    text = f"a loop in Python over {through}"
    if around and any(place.node is around[-1] for place in plain):
        assert isinstance(around[-1], ast.For)
        each = _over(around[-1].iter)
        text += f", within one over {each}" if each else ", within another"
    yield sign("loop", node, text, 0)


def _only_steps(scope: Scope, loop: ast.For) -> bool:
    """Whether all that is called in a loop is as short as a step of Python."""
    inside = [node for node, around, _ in scope.placed if loop in around]
    if any(isinstance(node, _NO_STEPS) for node in inside):
        return False
    return all(_is_short(scope, node) for node in inside if isinstance(node, ast.Call))


def _is_short(scope: Scope, call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        name = call.func.id
        own = name in scope.arguments or name in scope.imports or scope.bindings(name)
        return name in _FUNCTIONS and not own
    if method(call) in ("get", "join") and not call.args:
        return False  # waits
    return method(call) in _METHODS or scope.means(call.func).startswith("math.")


def _over(node: ast.expr) -> str:
    """What a loop goes through, as one speaks of it; nothing where that takes time to come by."""
    if isinstance(node, ast.Call):
        name, arguments = dotted(node.func), node.args
        if method(node) in _VIEWS and not arguments:
            assert isinstance(node.func, ast.Attribute)
            return _over(node.func.value)
        if name in _AROUND and arguments:
            return " and ".join(filter(None, map(_over, arguments)))
        if name != "range" or len(arguments) != 1:
            return "a range" if name == "range" else ""
        (end,) = arguments
        if isinstance(end, ast.Call) and dotted(end.func) == "len" and len(end.args) == 1:
            return _over(end.args[0])
        bound = repr(end.value)[:30] if isinstance(end, ast.Constant) else named(dotted(end))
        return f"range({bound})" if bound else "a range"
    while isinstance(node, ast.Subscript):
        node = node.value
    return named(dotted(node))
