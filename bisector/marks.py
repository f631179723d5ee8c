"""Marks in a program: one line where a unit of work is done, for programs that prefer to say so.

    from bisector import progress
    ...
    progress()                          # a token, a request, a step is done
    begin("request"); end("request")    # it is on its way in between

A mark is a call of an empty function and nothing else; there is one function for each name, in a
module of their own, so that a mark is found and counted like any other progress point. Without the
tool it costs what a few calls cost.
"""

from __future__ import annotations

import re
from types import FunctionType

MODULE = "bisector.mark"
"""What the functions say their module is; there is none."""

_NAME = re.compile(r"[A-Za-z_][\w.-]*")
_functions: dict[str, FunctionType] = {}


def progress(name: str = "unit") -> None:
    """A unit of work is done.

    Raises:
        ValueError: the name is not made of letters, digits, ``_``, ``.`` and ``-``.
    """
    (_functions.get(name) or _function(name))()


def begin(name: str = "unit") -> None:
    """A unit of work is on its way.

    Raises:
        ValueError: as for `progress`.
    """
    progress(f"begin.{name}")


def end(name: str = "unit") -> None:
    """A unit of work has arrived; which one does not matter.

    Raises:
        ValueError: as for `progress`.
    """
    progress(f"end.{name}")


def is_mark(name: str) -> bool:
    """Whether a mark can have this name."""
    return _NAME.fullmatch(name) is not None


def mark_target(name: str) -> str:
    """The target that a mark is: ``module:qualname``."""
    return f"{MODULE}:{name}"


def _mark() -> None:
    pass


def _function(name: str) -> FunctionType:
    if not is_mark(name):
        raise ValueError(f"{name!r} is no name for a mark (letters, digits, _ . - are)")
    code = _mark.__code__.replace(co_name=name, co_qualname=name)
    return _functions.setdefault(name, FunctionType(code, {"__name__": MODULE}))
