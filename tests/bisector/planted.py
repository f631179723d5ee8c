"""A synthetic program for those who decide where to look: two of its functions are critical."""

import numpy as np

from bisector.simulation.program import Blueprint, Part, SyntheticProgram

NAMES = tuple(f"app.m{i % 4}:f{i:02d}" for i in range(16))
CRITICAL = {NAMES[3], NAMES[9]}


def program(seed=0, noise=0.004):
    """Sixteen functions of equal own time; two of them are critical, the rest is hidden."""
    chance = np.random.default_rng(seed)
    parts = tuple(Part((NAMES.index(name),)) for name in sorted(CRITICAL))
    own = np.full(len(NAMES), 0.1)
    truth = tuple(frozenset({name}) for name in CRITICAL)
    noises = iter(lambda: float(chance.normal(0.0, noise)), None)
    return SyntheticProgram(Blueprint(NAMES, own, parts, truth), noises)
