"""Strategies by name: the built-in ones, and any that an installed package registers.

A package adds its own through the entry-point group ``speedbump_bisect.strategies``; the value is a
class that takes ``(problem, seed)`` and satisfies `protocol.Strategy`.
"""

from __future__ import annotations

from typing import Any

from strategies.bisect import BestFirstBisection
from strategies.ddmin import DeltaDebugging
from strategies.exhaustive import Exhaustive
from strategies.external import External
from strategies.protocol import Problem, Strategy

GROUP = "speedbump_bisect.strategies"

BUILT_IN: dict[str, Any] = {
    "bisect": BestFirstBisection,
    "ddmin": DeltaDebugging,
    "exhaustive": Exhaustive,
    "external": External,
}


def names() -> list[str]:
    """All names that `make` knows."""
    from importlib.metadata import entry_points

    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def make(name: str, problem: Problem, seed: int) -> Strategy:
    """A strategy for one problem.

    Raises:
        KeyError: no strategy of that name; `names` lists those there are.
    """
    if name in BUILT_IN:
        built: Strategy = BUILT_IN[name](problem, seed)
        return built
    from importlib.metadata import entry_points

    (point,) = entry_points(group=GROUP, name=name) or (None,)
    if point is None:
        raise KeyError(name)
    loaded: Strategy = point.load()(problem, seed)
    return loaded
