"""The programs that are simulated: by name, what is planted in a tree of hidden functions.

Each of them answers one doubt about a search: does it find what is there, is it misled by code
whose slack a dose exceeds, by parts that back each other up or that only matter together, by a
hot sibling?
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bisector.simulation.program import Blueprint, Part

MODULE, PACKAGE = 20, 10
"""Functions in a module and modules in a package."""

SMALL_PARTS = 200
TIMES_HOTTER = 50.0
EXCEEDED = 1.3
"""A slack, as a multiple of the delay at the dose used: twice that dose exceeds it."""

OWN_TIMES = (0.00002, 0.00005, 0.0001, 0.0003, 0.0008, 0.002, 0.005, 0.012, 0.035, 0.09, 0.3)
"""Own time of functions relative to the time per unit, deciles: as discovery finds it in servers
and benchmarks (see ``examples`` and pyperformance), a few hot functions and many that are not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for: so many functions, so many of them planted, each adding ``effect`` to the
    time per unit at ``dose``."""

    functions: int = 1000
    sensitive: int = 3
    effect: float = 0.3
    dose: float = 1.0
    shape: str = "linear"
    prior: str = "uninformative"

    @property
    def own(self) -> float:
        """Own time of a planted function, relative to the time per unit."""
        return self.effect / self.dose


def names(count: int) -> list[str]:
    """Functions of classes, modules and packages."""
    return [
        f"p{i // (MODULE * PACKAGE)}.m{i // MODULE % PACKAGE}:C{i // 5 % 4}.f{i}"
        for i in range(count)
    ]


class _Sketch:
    """A blueprint in the making."""

    def __init__(self, plan: Plan, chance: random.Random) -> None:
        self.plan = plan
        self.chance = chance
        self.names = names(plan.functions)
        self.own = _own_times(plan, chance)
        self.parts: list[Part] = []
        self.truth: list[frozenset[str]] = []
        self._free = list(range(plan.functions))
        """Functions of which nothing was said yet."""

    def take(self, count: int) -> tuple[int, ...]:
        """Functions of which nothing was said yet, anywhere, with the own time of planted ones."""
        return self.use(tuple(self.chance.sample(self._free, count)))

    def use(self, functions: tuple[int, ...], own: float | None = None) -> tuple[int, ...]:
        """These, with the own time of planted ones, or another, each."""
        chosen = set(functions)
        self._free = [i for i in self._free if i not in chosen]
        self.own[list(functions)] = self.plan.own if own is None else own
        return functions

    def plant(self, count: int) -> None:
        """Functions that are fully critical."""
        for i in self.take(count):
            self.parts.append(Part((i,)))
            self.truth.append(frozenset((self.names[i],)))

    def done(self) -> Blueprint:
        """The program."""
        return Blueprint(
            tuple(self.names),
            self.own,
            tuple(self.parts),
            tuple(self.truth),
        )


def _linear(sketch: _Sketch) -> None:
    sketch.plant(sketch.plan.sensitive)


def _threshold(sketch: _Sketch) -> None:
    """As many hidden functions besides whose slack is a little more than their delay."""
    sketch.plant(sketch.plan.sensitive)
    for i in sketch.take(max(sketch.plan.sensitive, 1)):
        sketch.parts.append(Part((i,), slack=EXCEEDED * sketch.plan.effect))


def _sublinear(sketch: _Sketch) -> None:
    """Functions that add no more than at the dose used, however much they are slowed."""
    for i in sketch.take(sketch.plan.sensitive):
        sketch.parts.append(Part((i,), ceiling=sketch.plan.effect))
        sketch.truth.append(frozenset((sketch.names[i],)))


def _redundant(sketch: _Sketch) -> None:
    """Two functions of which the first to finish wins: only slowing both shows."""
    sketch.plant(sketch.plan.sensitive)
    pair = sketch.take(2)
    sketch.parts.append(Part(pair, "min"))
    sketch.truth.append(frozenset(sketch.names[i] for i in pair))


def _co_critical(sketch: _Sketch) -> None:
    """Two stages side by side, each as slow as the other."""
    sketch.plant(sketch.plan.sensitive)
    pair = sketch.take(2)
    sketch.parts.append(Part(pair, "max"))
    sketch.truth.extend(frozenset((sketch.names[i],)) for i in pair)


def _diffuse(sketch: _Sketch) -> None:
    """A module of equal small functions that together are one planted one."""
    sketch.plant(sketch.plan.sensitive)
    count = min(SMALL_PARTS, (len(sketch.names) - sketch.plan.sensitive) // 2)
    functions = sketch.use(sketch.take(count), sketch.plan.own / count)
    for i in functions:
        sketch.names[i] = f"p0.small:{sketch.names[i].rpartition('.')[2]}"
    sketch.parts.append(Part(functions))
    sketch.truth.append(frozenset(sketch.names[i] for i in functions))


def _hot_sibling(sketch: _Sketch) -> None:
    """Each planted function beside a hidden one that takes many times its time."""
    pairs = sketch.chance.sample(range(len(sketch.names) // 2), sketch.plan.sensitive)
    for planted, hidden in ((2 * pair, 2 * pair + 1) for pair in pairs):
        sketch.use((planted,))
        sketch.use((hidden,), TIMES_HOTTER * sketch.plan.own)
        sketch.parts.append(Part((planted,)))
        sketch.truth.append(frozenset((sketch.names[planted],)))


SHAPES: dict[str, Callable[[_Sketch], None]] = {
    "linear": _linear,
    "threshold": _threshold,
    "sublinear": _sublinear,
    "redundant": _redundant,
    "co-critical": _co_critical,
    "diffuse": _diffuse,
    "hot-sibling": _hot_sibling,
}

PAIRED = ("redundant", "co-critical")

PRIORS = ("uninformative", "realistic")


def least_functions(plan: Plan) -> int:
    """How many functions there have to be for what is planted."""
    if plan.shape in ("threshold", "hot-sibling"):
        return 2 * max(plan.sensitive, 1)
    return plan.sensitive + {"diffuse": 4}.get(plan.shape, 2 if plan.shape in PAIRED else 1)


def blueprint(plan: Plan, seed: int) -> Blueprint:
    """The program of one trial."""
    sketch = _Sketch(plan, random.Random(seed))
    SHAPES[plan.shape](sketch)
    return sketch.done()


def _own_times(plan: Plan, chance: random.Random) -> NDArray[np.float64]:
    """Of hidden functions: all alike, so that nothing can be told from them, or as they are."""
    if plan.prior == "uninformative":
        return np.full(plan.functions, plan.own)
    drawn = np.random.default_rng(chance.getrandbits(32)).random(plan.functions)
    deciles = np.linspace(0.0, 1.0, len(OWN_TIMES))
    return np.exp(np.interp(drawn, deciles, np.log(OWN_TIMES)))
