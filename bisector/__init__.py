"""speedbump-bisect: finds the functions that limit throughput, by slowing code down and bisecting.

``from bisector import bisect`` is the whole library interface; ``progress``, ``begin`` and ``end``
mark units of work in a program that is to be investigated. Importing this package costs next to
nothing: what is heavy (scipy, networkx, pydantic, rich) is imported when an investigation begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bisector.api import bisect as bisect
    from bisector.errors import SpeedbumpError as SpeedbumpError
    from bisector.marks import begin as begin
    from bisector.marks import end as end
    from bisector.marks import progress as progress

__version__ = "0.1.0"
__all__ = ["SpeedbumpError", "__version__", "begin", "bisect", "end", "progress"]

_HOMES = {
    "bisect": "bisector.api",
    "SpeedbumpError": "bisector.errors",
    **dict.fromkeys(("begin", "end", "progress"), "bisector.marks"),
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
