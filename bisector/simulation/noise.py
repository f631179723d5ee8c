"""What makes the same run take different times: the ways in which real machines do it.

Every model has the same size, ``cv``: the standard deviation of the log of a run's time, of the
runs that nothing special happens to. A model is made anew for each trial and remembers where it is.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

DRIFT, DRIFT_RUNS = 0.3, 100
"""A drifting machine is slower by so much after so many runs, and goes on."""

CORRELATION = 0.7
"""Of a run's noise with that of the run before."""

OUTLIERS, OUTLIER_S = 0.05, 0.5
"""Share of runs that something else slows, and by how much on average (exponential)."""

CLOCKS, STAYS = 4.0, 0.9
"""Two clock speeds differ by so many ``cv``; a run has that of the run before so often."""


def _normal(cv: float, chance: random.Random) -> Iterator[float]:
    while True:
        yield math.log(max(1.0 + chance.gauss(0.0, cv), 0.05))


def _lognormal(cv: float, chance: random.Random) -> Iterator[float]:
    while True:
        yield chance.gauss(0.0, cv)


def _heavy(cv: float, chance: random.Random) -> Iterator[float]:
    """Student's t with three degrees of freedom, whose standard deviation is the root of 3."""
    while True:
        squares = sum(chance.gauss(0.0, 1.0) ** 2 for _ in range(3))
        yield cv / math.sqrt(3.0) * chance.gauss(0.0, 1.0) / math.sqrt(squares / 3.0)


def _drift(cv: float, chance: random.Random) -> Iterator[float]:
    run = 0
    while True:
        yield chance.gauss(0.0, cv) + math.log1p(DRIFT * run / DRIFT_RUNS)
        run += 1


def _autocorrelated(cv: float, chance: random.Random) -> Iterator[float]:
    last = chance.gauss(0.0, cv)
    while True:
        yield last
        fresh = math.sqrt(1.0 - CORRELATION**2) * chance.gauss(0.0, cv)
        last = CORRELATION * last + fresh


def _outliers(cv: float, chance: random.Random) -> Iterator[float]:
    while True:
        slowed = chance.expovariate(1.0 / OUTLIER_S) if chance.random() < OUTLIERS else 0.0
        yield chance.gauss(0.0, cv) + math.log1p(slowed)


def _bimodal(cv: float, chance: random.Random) -> Iterator[float]:
    slow = chance.random() < 0.5
    while True:
        yield chance.gauss(0.0, cv) + (CLOCKS * cv if slow else 0.0)
        slow ^= chance.random() > STAYS


MODELS: dict[str, Callable[[float, random.Random], Iterator[float]]] = {
    "normal": _normal,
    "lognormal": _lognormal,
    "heavy": _heavy,
    "drift": _drift,
    "autocorrelated": _autocorrelated,
    "outliers": _outliers,
    "bimodal": _bimodal,
}


def noise(model: str, cv: float, seed: int) -> Iterator[float]:
    """The log of the factor by which each run in turn takes longer."""
    return MODELS[model](cv, random.Random(seed))
