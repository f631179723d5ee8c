"""What to slow next, so that likely hypotheses foretell different things of it.

Runs are chosen one by one from sets of likely places, each for the pairs of hypotheses that those
before it would leave confused. Where likely places are too few for that, they are cut.
"""

from __future__ import annotations

import random
from itertools import chain

import numpy as np

from strategies.line import Integers
from strategies.whereabouts import EXACT, Bits, Numbers, Whereabouts, foretold

LOST = 3e-4
"""How likely the hypotheses are together that may be lost because there is no room for them."""

NEGLIGIBLE = 1e-3
"""Places less likely than this are not slowed."""

CONFUSED, WORTH = 0.1, 0.92
"""Share of the pairs of hypotheses that may be left confused; what share of those that are one more
run has to leave at most."""

DRAWN = 160
"""Hypotheses that pairs are made of."""

CANDIDATES = 48
"""Random sets that each next run is chosen from."""


def next_sets(at: Whereabouts, runs: int, chance: random.Random) -> list[frozenset[str]]:
    """What to slow in the next so many runs; fewer where they tell as much."""
    _refine(at, float(runs))
    likely = at.likely()
    single = np.diff(at.ends) == 1
    active = np.nonzero((likely > NEGLIGIBLE) & ~(single & (likely > 1.0 - NEGLIGIBLE)))[0]
    candidates = _candidates(at, active, likely, chance)
    if not len(candidates):
        return []
    told_apart, confused = _told_apart(at, candidates)
    sets: list[frozenset[str]] = []
    few = CONFUSED * confused.sum()
    while len(sets) < runs and confused.sum() > few:
        left = np.einsum("p,pc->c", confused, told_apart)
        best = int(np.argmin(np.round(left, 6)))
        if sets and left[best] > WORTH * confused.sum():
            break
        confused = confused * told_apart[:, best]
        chosen = np.nonzero(candidates[best])[0].tolist()
        sets.append(frozenset(chain.from_iterable(map(at.names, chosen))))
    return list(dict.fromkeys(sets))


def _told_apart(at: Whereabouts, candidates: Bits) -> tuple[Numbers, Numbers]:
    """How well a run of each candidate would leave two hypotheses confused, for pairs of them
    drawn by how likely they are, and how often each pair was drawn: Bhattacharyya's
    coefficient, which bounds the error."""
    up_to = np.round(np.cumsum(at.weights), EXACT)
    drawn = np.searchsorted(up_to, (np.arange(DRAWN) + 0.5) / DRAWN)
    drawn, times = np.unique(np.minimum(drawn, len(at.weights) - 1), return_counts=True)
    shown = foretold(candidates, at.held[drawn], at.gains[drawn])
    first, second = np.triu_indices(len(drawn), 1)
    apart = (shown[first] - shown[second]) / at.blur
    return np.exp(-(apart**2) / 8.0), (times[first] * times[second]).astype(float)


def _refine(at: Whereabouts, bits: float) -> None:
    """Cut the likeliest places until it takes so many bits to tell the hypotheses apart."""
    while _entropy(at.weights) < bits:
        likely = at.likely()
        sizes = np.diff(at.ends)
        worth = np.where(sizes > 1, likely * np.log2(np.maximum(sizes, 2)), 0.0)
        index = int(np.argmax(np.round(worth, EXACT)))
        if worth[index] <= NEGLIGIBLE or at.would_lose(index) > LOST:
            return
        at.cut(index)


def _candidates(at: Whereabouts, active: Integers, likely: Numbers, chance: random.Random) -> Bits:
    """Sets of active places: by the digits of how far along the likely ones are, and any."""
    made = []
    if len(active):
        along = np.cumsum(likely[active]) - 0.5 * likely[active]
        along = np.round(along / likely[active].sum(), EXACT)
        for digit in range(1, 7):
            made.append(np.floor(along * 2**digit).astype(int) % 2 == 0)
        made += [np.array([chance.random() < 0.5 for _ in active]) for _ in range(CANDIDATES)]
    sets = np.zeros((len(made), len(at.ends) - 1), dtype=bool)
    for chosen, inside in zip(sets, made, strict=True):
        chosen[active[inside]] = True
    kept: Bits = sets[sets.any(axis=1)]
    return kept


def _entropy(weights: Numbers) -> float:
    """In bits."""
    known = weights[weights > 0.0]
    return float(-(known * np.log2(known)).sum())
