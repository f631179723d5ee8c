"""Where in a set the few items may be that do all that it does, by single, noisy runs.

Each run slows some of the items and shows the sum of what those among them do that matter, blurred
by noise. What is believed is a list of hypotheses, each of a few *places* (neighbouring items) that
hold one such item; how likely a hypothesis is follows from all runs at once, by least squares for
what each place does and the mass that it has. The next runs are chosen so that likely hypotheses
foretell different things of them, and likely places are cut where runs can tell their parts apart.
That is bisection with noisy answers (Horstein 1963; Waeber, Frazier and Henderson 2013) for several
items together, as in quantitative group testing: no run has to be repeated until it is clear by
itself. Residuals are taken to be Student's t, since noise has tails.

That there are few such items, and that what they do adds up, is an assumption; `strain` says how
badly it fits.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.protocol import Outcome

MOST_ITEMS = 4
"""Items that a hypothesis has at most."""

HYPOTHESES, LOST = 2500, 3e-4
"""How many there are at most, and how likely those are together that are lost by that."""

UNLIKELY = 1e-9
"""How likely a hypothesis is at least, relative to the likeliest."""

TAIL_DOF = 4.0
"""Degrees of freedom of residuals."""

OUTLIER = 2.5
"""Standard deviations that a residual counts at most where the noise is judged."""

MOST_DOF = 30.0
"""Degrees of freedom that what is said of the noise has at most."""

ROUNDS, SETTLED = 4, 0.1
"""How often hypotheses and noise are judged by each other, and by what share of it noise may still
change."""

UNEVEN = 0.1
"""Share of the gain of a set by which its parts together may differ from it."""

SPREAD = 0.6
"""Standard deviation of what an item does, relative to what each would do if all did the same."""

LITTLE, BLURRED = 0.1, 0.25
"""What an item does at least, relative to the same; and what share of the gain it need not do more
than where it is less than noise."""

LEFT = 0.025
"""Share of the gain that all else may do."""

UNKNOWN = 0.12
"""Noise that one degree of freedom is not believed to be less than, relative to the gain."""

UNSEEN = 2.0
"""Standard errors of a single run, less than which is not looked for with single runs."""

ONE_MORE = 2.0
"""Log of how much less likely one more item is."""

NEGLIGIBLE = 1e-3
"""Places less likely than this are not slowed."""

CONFUSED, WORTH = 0.1, 0.92
"""Share of the pairs of hypotheses that may be left confused; what share of those that are one more
run has to leave at most."""

EXACT = 9
"""Decimals by which things are compared: hypotheses that are alike tie, and the last bit must not
break a tie, or an investigation could not be resumed on another machine."""

DRAWN = 160
"""Hypotheses that pairs are made of."""

CANDIDATES = 48
"""Random sets that each next run is chosen from."""

Names = tuple[str, ...]
Halve = Callable[[Names], tuple[Names, Names]]
Bits = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class Whereabouts:
    """See the module docstring.

    Args:
        names: the items, in the order of the tree.
        gain: what all of them do, with its standard error ``se``.
        noise: standard error of the gain of a single run, about.
        mass: the prior of a set of items.
        least: what an item does at least.
        halve: cuts a set where it is best cut.
    """

    def __init__(
        self,
        names: Names,
        gain: float,
        se: float,
        noise: float,
        mass: Callable[[Names], float],
        halve: Halve,
        least: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._gain = gain
        self._se = math.hypot(se, UNEVEN * gain)
        self._noise, self._dof = noise or LEFT * gain, MOST_DOF
        self._excess = 1.0
        """How many times larger the noise is, by what hypotheses leave unexplained."""
        self._mass = mass
        self._halve = halve
        self._least = max(least, min(noise, BLURRED * gain))
        self._chance = random.Random(seed)
        self._places: list[Names] = [names]
        self._masses = np.array([mass(names)])
        self._slowed: NDArray[np.bool_] = np.zeros((0, 1), dtype=bool)
        self._seen = np.zeros((0, 2))
        """By set: the gain of its runs, and its standard error in those of a single run."""
        self._rows: dict[frozenset[str], int] = {}
        self._ruled_out: set[str] = set()
        self._hypotheses: Bits = np.ones((1, 1), dtype=bool)
        self.possible = True
        """Whether there is a hypothesis left."""
        self._weigh()

    @property
    def _best(self) -> int:
        return int(np.argmax(np.round(self._weights, EXACT)))

    @property
    def items(self) -> int:
        """How many there are by the likeliest hypothesis."""
        return int(self._hypotheses[self._best].sum())

    def suspects(self, sure: float, spare: int = 0) -> dict[Names, float]:
        """The places that hold all items as surely as that, each with what it does by the likeliest
        hypothesis that it is part of; those of the likeliest of all come first. All items that
        single runs show: what is less than their noise is left to who asks more closely. Where it
        takes more than ``spare`` places beyond the number of items, these are not all."""
        likely = np.round(self._likely(), EXACT)
        order = np.lexsort((-likely, ~self._hypotheses[self._best]))
        inside = np.zeros(len(self._places), dtype=bool)
        found: dict[Names, float] = {}
        for place in order[: self.items + spare + 1]:
            inside[place] = True
            having = np.nonzero(self._hypotheses[:, place])[0]
            weights = np.round(self._weights[having], EXACT)
            found[self._places[place]] = float(self._gains[having[np.argmax(weights)], place])
            all_inside = ~(self._hypotheses & ~inside).any(axis=1)
            if len(found) >= self.items and self._weights[all_inside].sum() >= sure:
                break
            left = self._gain - sum(found.values())
            if left < UNSEEN * self._noise and likely[inside].min() >= sure:
                break
        return found

    @property
    def strain(self) -> float:
        """By how many standard deviations more than noise is left by the best hypothesis."""
        square, left = self._unexplained()
        return math.log(square) / math.sqrt(2.0 / left + 2.0 / self._dof) if square else 0.0

    def _unexplained(self) -> tuple[float, float]:
        """Mean square of what the best hypothesis leaves, in units of what is known of the noise
        beforehand, and its degrees of freedom. An outlier counts little."""
        gains = self._gains[self._best]
        residual = self._seen[:, 0] - np.einsum("rp,p->r", self._slowed, gains)
        whole = (float(gains.sum()) - self._gain) / self._se
        z = np.append(residual / self._scales, whole / self._excess)
        left = float(max(len(z) - self.items, 1))
        squares = float(np.minimum(z * z, OUTLIER**2).sum())
        return self._excess**2 * squares / left, left

    @property
    def _left(self) -> float:
        """What all else may do, or noise that is known by few runs may be larger by."""
        return max(LEFT, UNKNOWN / self._dof) * self._gain

    @property
    def _scales(self) -> Numbers:
        """Standard error by set."""
        noise = self._excess * self._noise
        scales: Numbers = np.hypot(noise * self._seen[:, 1], self._left)
        return scales

    def next(self, runs: int) -> list[frozenset[str]]:
        """What to slow in the next so many runs; fewer where they tell as much."""
        self._refine(float(runs))
        likely = self._likely()
        single = np.array([len(place) == 1 for place in self._places])
        active = np.nonzero((likely > NEGLIGIBLE) & ~(single & (likely > 1.0 - NEGLIGIBLE)))[0]
        candidates = self._candidates(active, likely)
        if not len(candidates):
            return []
        told_apart = self._told_apart(candidates)
        sets: list[frozenset[str]] = []
        confused = np.ones(len(told_apart))
        while len(sets) < runs and confused.sum() > CONFUSED * len(confused):
            left = np.einsum("p,pc->c", confused, told_apart)
            best = int(np.argmin(np.round(left, 6)))
            if sets and left[best] > WORTH * confused.sum():
                break
            confused = confused * told_apart[:, best]
            chosen = np.nonzero(candidates[best])[0]
            sets.append(frozenset(name for i in chosen for name in self._places[i]))
        return list(dict.fromkeys(sets))

    def _told_apart(self, candidates: Bits) -> Numbers:
        """How well a run of each candidate would leave two hypotheses confused, for pairs of them
        drawn by how likely they are: Bhattacharyya's coefficient, which bounds the error."""
        up_to = np.round(np.cumsum(self._weights), EXACT)
        drawn = np.searchsorted(up_to, (np.arange(DRAWN) + 0.5) / DRAWN)
        drawn = np.minimum(drawn, len(self._weights) - 1)
        first, second = np.triu_indices(DRAWN, 1)
        first, second = drawn[first], drawn[second]
        foretold = np.einsum("hp,cp->hc", self._gains, candidates)
        differ = first != second
        noise = math.hypot(self._excess * self._noise, self._left)
        apart = (foretold[first[differ]] - foretold[second[differ]]) / noise
        said: Numbers = np.exp(-(apart**2) / 8.0)
        return said

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Take in what all runs of sets showed that `next` asked for."""
        for outcome in outcomes:
            items = outcome.probe.items
            if not (math.isfinite(outcome.gain) and math.isfinite(outcome.se)):
                continue
            if items not in self._rows:
                self._rows[items] = len(self._rows)
                slowed = [not items.isdisjoint(place) for place in self._places]
                self._slowed = np.vstack((self._slowed, slowed))
                self._seen = np.vstack((self._seen, np.zeros(2)))
            self._noise, self._dof = outcome.noise or self._noise, min(outcome.dof, MOST_DOF)
            self._seen[self._rows[items]] = outcome.gain, outcome.se / self._noise
        self._excess = 1.0
        for _ in range(ROUNDS):
            self._weigh()
            square, left = self._unexplained()
            before = self._excess
            self._excess = math.sqrt((self._dof + left * square) / (self._dof + left))
            if abs(self._excess / before - 1.0) < SETTLED:
                break

    def rule_out(self, name: str) -> None:
        """By itself it was seen to do nothing."""
        self._ruled_out.add(name)
        self._weigh()

    # -- hypotheses -------------------------------------------------------------------------------

    def _weigh(self) -> None:
        """How likely each is, and what its places do; drops those that are not."""
        logs, gains = (np.round(found, EXACT) for found in self._fit())
        most = float(np.max(logs))
        self.possible = most > -math.inf
        if not self.possible:
            self._weights, self._gains = np.full(len(logs), 1.0 / len(logs)), gains
            return
        kept = np.argsort(-logs, kind="stable")[:HYPOTHESES]
        kept = kept[logs[kept] > most + math.log(UNLIKELY)]
        self._hypotheses, self._gains = self._hypotheses[kept], gains[kept]
        weights = np.exp(logs[kept] - most)
        self._weights = weights / weights.sum()

    def _fit(self) -> tuple[Numbers, Numbers]:
        """Log evidence (by Laplace's method) and gains by place, of each hypothesis."""
        hypotheses, slowed = self._hypotheses, self._slowed.astype(float)
        seen, scale = self._seen[:, 0], self._scales
        precision = 1.0 / scale**2
        whole = 1.0 / self._se**2
        prior = np.log(np.maximum(self._masses, 1e-300) / self._masses.sum())
        for i, place in enumerate(self._places):
            if self._ruled_out.issuperset(place):
                prior[i] = -math.inf
        logs, gains = np.empty(len(hypotheses)), np.zeros(hypotheses.shape)
        counts = hypotheses.sum(axis=1)
        for count in np.unique(counts):
            rows = np.nonzero(counts == count)[0]
            places = np.nonzero(hypotheses[rows])[1].reshape(len(rows), count)
            design = slowed[:, places].transpose(1, 0, 2)
            usual = self._gain / count
            usual_precision = 1.0 / (SPREAD * usual) ** 2
            information = np.einsum("brm,r,brn->bmn", design, precision, design) + whole
            information += usual_precision * np.eye(count)
            right = np.einsum("brm,r->bm", design, precision * seen)
            right += whole * self._gain + usual_precision * usual
            found = np.linalg.solve(information, right[:, :, None])[:, :, 0]
            residual = (seen - np.einsum("brm,bm->br", design, found)) / scale
            log = _log_t(residual).sum(axis=1)
            log -= 0.5 * whole * (found.sum(axis=1) - self._gain) ** 2
            log -= 0.5 * usual_precision * ((found - usual) ** 2).sum(axis=1)
            log -= 0.5 * np.linalg.slogdet(information / usual_precision)[1]
            log += prior[places].sum(axis=1) + math.lgamma(count + 1.0) - ONE_MORE * count
            log[found.min(axis=1) <= max(LITTLE * usual, self._least)] = -math.inf
            logs[rows] = log
            gains[rows[:, None], places] = found
        return logs, gains

    def _refine(self, bits: float) -> None:
        """Cut the likeliest places until it takes so many bits to tell the hypotheses apart."""
        while _entropy(self._weights) < bits:
            likely = self._likely()
            sizes = np.array([len(place) for place in self._places])
            worth = np.where(sizes > 1, likely * np.log2(np.maximum(sizes, 2)), 0.0)
            index = int(np.argmax(np.round(worth, EXACT)))
            if worth[index] <= NEGLIGIBLE or self._would_lose(index) > LOST:
                return
            self._cut(index)

    def _likely(self) -> Numbers:
        """How likely each place is to hold an item. Large products are not left to BLAS, whose
        threads would keep processors busy that the benchmark needs."""
        likely: Numbers = np.einsum("h,hp->p", self._weights, self._hypotheses)
        return likely

    def _would_lose(self, index: int) -> float:
        """How likely the hypotheses are that there would be no room for if a place were cut."""
        here = self._hypotheses[:, index]
        room_for_more = self._hypotheses[here].sum(axis=1) < MOST_ITEMS
        excess = len(here) + np.count_nonzero(here) + np.count_nonzero(room_for_more) - HYPOTHESES
        return float(np.sort(self._weights)[:excess].sum()) if excess > 0 else 0.0

    def _cut(self, index: int) -> None:
        place = self._places[index]
        parts = sorted(self._halve(place), key=lambda part: place.index(part[0]))
        self._places[index : index + 1] = parts
        self._masses = np.insert(self._masses, index, 0.0)
        self._masses[index : index + 2] = [self._mass(part) for part in parts]
        self._slowed = np.insert(self._slowed, index, self._slowed[:, index], axis=1)
        here = self._hypotheses[:, index]
        both = np.insert(self._hypotheses, index, here, axis=1)
        first, second = both[here], both[here]
        first[:, index + 1] = False
        second[:, index] = False
        more = both[here & (self._hypotheses.sum(axis=1) < MOST_ITEMS)]
        self._hypotheses = np.concatenate((both[~here], first, second, more))
        self._weigh()

    def _candidates(self, active: NDArray[np.int64], likely: Numbers) -> Bits:
        """Sets of active places: by the digits of how far along the likely ones are, and any."""
        made = []
        if len(active):
            along = np.cumsum(likely[active]) - 0.5 * likely[active]
            along = np.round(along / likely[active].sum(), EXACT)
            for digit in range(1, 7):
                made.append(np.floor(along * 2**digit).astype(int) % 2 == 0)
            made += [
                np.array([self._chance.random() < 0.5 for _ in active]) for _ in range(CANDIDATES)
            ]
        sets = np.zeros((len(made), len(self._places)), dtype=bool)
        for chosen, inside in zip(sets, made, strict=True):
            chosen[active[inside]] = True
        kept: Bits = sets[sets.any(axis=1)]
        return kept


def _log_t(z: Numbers) -> Numbers:
    """Log density of Student's t, less that in the middle."""
    scaled: Numbers = -0.5 * (TAIL_DOF + 1.0) * np.log1p(z * z / TAIL_DOF)
    return scaled


def _entropy(weights: Numbers) -> float:
    """In bits."""
    known = weights[weights > 0.0]
    return float(-(known * np.log2(known)).sum())
