"""Where in a set the few items may be that do all that it does, by single, noisy runs.

Each run slows some of the items and shows the sum of what those among them do that matter, blurred
by noise. What is believed is a list of hypotheses, each of a few *places* (neighbouring items) that
hold one such item; how likely a hypothesis is follows from all runs at once, by least squares for
what each place does and the mass that it has. Places are cut where runs can tell their parts apart
(`strategies.questions`). That is bisection with noisy answers (Horstein 1963; Waeber, Frazier and
Henderson 2013) for several items together, as in quantitative group testing: no run has to be
repeated until it is clear by itself. Residuals are taken to be Student's t, since noise has tails,
and noise and hypotheses are judged by each other: there may be more of it than few runs said.

All in columns: hypotheses are rows of places. That there are few such items, and that what they do
adds up, is an assumption; `strain` says how badly it fits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strategies.line import Integers, Line, Names
from strategies.protocol import Outcome

MOST_ITEMS = 4
"""Items that a hypothesis has at most."""

HYPOTHESES = 2500
"""How many there are at most."""

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

ONE_MORE = 2.0
"""Log of how much less likely one more item is."""

EXACT = 9
"""Decimals by which things are compared: hypotheses that are alike tie, and the last bit must not
break a tie, or an investigation could not be resumed on another machine."""

UNSEEN = 2.0
"""Standard errors of a single run, less than which is not looked for with single runs."""

Bits = NDArray[np.bool_]
Numbers = NDArray[np.float64]


class Whereabouts:
    """See the module docstring.

    ``held``: by hypothesis, the places that hold an item; the rest of a row is -1. ``gains``: what
    they do. ``weights``: how likely each hypothesis is. ``ends``: where places begin; the last one
    ends where the line does. ``noise``: standard error of a single run as it is said to be.
    ``possible``: whether there is a hypothesis left.

    Args:
        line: the items.
        gain: what all of them do, with its standard error ``se``.
        noise: standard error of the gain of a single run, about.
        least: what an item does at least.
    """

    def __init__(
        self, line: Line, gain: float, se: float, noise: float, least: float = 0.0
    ) -> None:
        self._line = line
        self._gain = gain
        self._se = math.hypot(se, UNEVEN * gain)
        self.noise, self._dof = noise or LEFT * gain, MOST_DOF
        self._excess = 1.0
        """How many times larger the noise is, by what hypotheses leave unexplained."""
        self._least = max(least, min(noise, BLURRED * gain))
        self.ends = np.array([0, len(line.names)])
        self._slowed: Bits = np.zeros((0, 1), dtype=bool)
        """By set and place."""
        self._seen = np.zeros((0, 2))
        """By set: the gain of its runs, and its standard error in those of a single run."""
        self._rows: dict[frozenset[str], int] = {}
        self._ruled_out = np.zeros(len(line.names), dtype=bool)
        self._met, self._shown = np.zeros((1, 1)), np.zeros(1)
        """By two places, and by place: what was seen of sets, by least squares."""
        self._evidence, self.gains = np.zeros(1), np.zeros((1, MOST_ITEMS))
        self.held: Integers = np.full((1, MOST_ITEMS), -1)
        self.held[0, 0] = 0
        self.possible = True
        self._fit_all()

    @property
    def best(self) -> int:
        """The likeliest one."""
        return int(np.argmax(np.round(self.weights, EXACT)))

    @property
    def items(self) -> int:
        """How many there are by the likeliest hypothesis."""
        return int(_counts(self.held[self.best]))

    def names(self, place: int) -> Names:
        """The items of a place."""
        return self._line.names[self.ends[place] : self.ends[place + 1]]

    def likely(self) -> Numbers:
        """How likely each place is to hold an item."""
        likely: Numbers = np.bincount(
            (self.held + 1).ravel(), self.weights.repeat(MOST_ITEMS), len(self.ends)
        )[1:]
        return likely

    def suspects(self, sure: float, spare: int = 0) -> dict[Names, float]:
        """The places that hold all items as surely as that, each with what it does by the likeliest
        hypothesis that it is part of; those of the likeliest of all come first. All items that
        single runs show: what is less than their noise is left to who asks more closely. Where it
        takes more than ``spare`` places beyond the number of items, these are not all."""
        likely = np.round(self.likely(), EXACT)
        of_best = np.isin(np.arange(len(likely)), self.held[self.best])
        order = np.lexsort((-likely, ~of_best))
        inside = np.append(np.zeros(len(likely), dtype=bool), True)
        found: dict[Names, float] = {}
        for place in order[: self.items + spare + 1].tolist():
            inside[place] = True
            having, at = np.nonzero(self.held == place)
            likeliest = np.argmax(np.round(self.weights[having], EXACT))
            found[self.names(place)] = float(self.gains[having[likeliest], at[likeliest]])
            all_inside = inside[self.held].all(axis=1)
            if len(found) >= self.items and self.weights[all_inside].sum() >= sure:
                break
            left = self._gain - sum(found.values())
            if left < UNSEEN * self.noise and likely[inside[:-1]].min() >= sure:
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
        gains = self.gains[self.best]
        residual = self._seen[:, 0] - foretold(self._slowed, self.held[[self.best]], gains)[0]
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
    def blur(self) -> float:
        """Standard error of what a single run shows, by all that is known."""
        return math.hypot(self._excess * self.noise, self._left)

    @property
    def _scales(self) -> Numbers:
        """Standard error by set."""
        noise = self._excess * self.noise
        scales: Numbers = np.hypot(noise * self._seen[:, 1], self._left)
        return scales

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Take in what all runs of sets showed that `strategies.questions` asked for."""
        for outcome in outcomes:
            items = outcome.probe.items
            if not (math.isfinite(outcome.gain) and math.isfinite(outcome.se)):
                continue
            if items not in self._rows:
                self._rows[items] = len(self._rows)
                slowed = [self._line.names[first] in items for first in self.ends[:-1].tolist()]
                self._slowed = np.vstack((self._slowed, slowed))
                self._seen = np.vstack((self._seen, np.zeros(2)))
            self.noise, self._dof = outcome.noise or self.noise, min(outcome.dof, MOST_DOF)
            self._seen[self._rows[items]] = outcome.gain, outcome.se / self.noise
        self._excess = 1.0
        for _ in range(ROUNDS):
            self._fit_all()
            square, left = self._unexplained()
            before = self._excess
            self._excess = math.sqrt((self._dof + left * square) / (self._dof + left))
            if abs(self._excess / before - 1.0) < SETTLED:
                break

    def rule_out(self, name: str) -> None:
        """By itself it was seen to do nothing."""
        self._ruled_out[self._line.names.index(name)] = True
        self._weigh()

    def would_lose(self, index: int) -> float:
        """How likely the hypotheses are that there would be no room for if a place were cut."""
        here = (self.held == index).any(axis=1)
        room_for_more = _counts(self.held[here]) < MOST_ITEMS
        excess = len(here) + np.count_nonzero(here) + np.count_nonzero(room_for_more) - HYPOTHESES
        return float(np.sort(self.weights)[:excess].sum()) if excess > 0 else 0.0

    def cut(self, index: int) -> None:
        """Cut a place in two. What was seen does not tell them apart yet: hypotheses of one of them
        fit as they did, only those of both are new."""
        at = self._line.cut(*self.ends[index : index + 2].tolist())
        self.ends = np.insert(self.ends, index + 1, at)
        twice = np.insert(np.arange(len(self._met)), index, index)
        self._slowed = self._slowed[:, twice]
        self._met, self._shown = self._met[twice][:, twice], self._shown[twice]
        held = self.held + (self.held > index)
        here = (held == index).any(axis=1)
        first = held[here]
        second = np.where(first == index, index + 1, first)
        more = first[_counts(first) < MOST_ITEMS]
        more[np.arange(len(more)), _counts(more)] = index + 1
        evidence, gains = self._fit(more)
        self.held = np.concatenate((held[~here], first, second, more))
        each = (np.nonzero(~here)[0], *2 * (np.nonzero(here)[0],))
        self._evidence = np.concatenate((*(self._evidence[rows] for rows in each), evidence))
        self.gains = np.concatenate((*(self.gains[rows] for rows in each), gains))
        self._weigh()

    def _fit_all(self) -> None:
        """By all that was seen, with the noise as it is known by now. Large products are not left
        to BLAS, whose threads would keep processors busy that the benchmark needs."""
        precision = (1.0 / self._scales**2)[:, None] * self._slowed
        self._met = np.einsum("rp,rq->pq", precision, self._slowed.astype(float))
        self._shown = np.einsum("rp,r->p", precision, self._seen[:, 0])
        self._evidence, self.gains = self._fit(self.held)
        self._weigh()

    def _weigh(self) -> None:
        """How likely each is, by what was seen and the mass of its places; drops those that are
        not."""
        masses = self._line.up_to[self.ends]
        log_mass = np.log(np.maximum(np.diff(masses), 1e-300) / max(masses[-1], 1))
        ruled_out = np.append(0, np.cumsum(self._ruled_out))[self.ends]
        log_mass[np.diff(ruled_out) == np.diff(self.ends)] = -math.inf
        logs = np.round(self._evidence + np.append(log_mass, 0.0)[self.held].sum(axis=1), EXACT)
        most = float(np.max(logs))
        self.possible = most > -math.inf
        if not self.possible:
            self.weights = np.full(len(logs), 1.0 / len(logs))
            return
        kept = np.argsort(-logs, kind="stable")[:HYPOTHESES]
        kept = kept[logs[kept] > most + math.log(UNLIKELY)]
        self.held, self.gains = self.held[kept], self.gains[kept]
        self._evidence = self._evidence[kept]
        weights = np.exp(logs[kept] - most)
        self.weights = weights / weights.sum()

    def _fit(self, held: Integers) -> tuple[Numbers, Numbers]:
        """Log evidence (by Laplace's method), but for what is known of places beforehand, and gains
        by item, of each hypothesis."""
        seen, scale = self._seen[:, 0], self._scales
        whole = 1.0 / self._se**2
        logs, gains = np.empty(len(held)), np.zeros(held.shape)
        counts = _counts(held)
        for count in np.unique(counts).tolist():
            rows = np.nonzero(counts == count)[0]
            places = held[rows, :count]
            usual = self._gain / count
            usual_precision = 1.0 / (SPREAD * usual) ** 2
            information = self._met[places[:, :, None], places[:, None, :]] + whole
            information += usual_precision * np.eye(count)
            right = self._shown[places] + whole * self._gain + usual_precision * usual
            found = np.linalg.solve(information, right[:, :, None])[:, :, 0]
            residual = (seen - foretold(self._slowed, places, found)) / scale
            log = _log_t(residual).sum(axis=1)
            log -= 0.5 * whole * (found.sum(axis=1) - self._gain) ** 2
            log -= 0.5 * usual_precision * ((found - usual) ** 2).sum(axis=1)
            log -= 0.5 * np.linalg.slogdet(information / usual_precision)[1]
            log += math.lgamma(count + 1.0) - ONE_MORE * count
            log[found.min(axis=1) <= max(LITTLE * usual, self._least)] = -math.inf
            logs[rows] = log
            gains[rows, :count] = np.round(found, EXACT)
        return logs, gains


def _counts(held: Integers) -> Integers:
    """Items of each hypothesis."""
    counts: Integers = np.count_nonzero(held >= 0, axis=-1)
    return counts


def foretold(sets: Bits, held: Integers, gains: Numbers) -> Numbers:
    """What runs of sets would show, by hypothesis and set."""
    inside = np.append(sets, np.zeros((len(sets), 1), dtype=bool), axis=1).T
    shown = np.zeros((len(held), len(sets)))
    for item in range(held.shape[1]):
        shown += inside[held[:, item]] * gains[..., item, None]
    return shown


def _log_t(z: Numbers) -> Numbers:
    """Log density of Student's t, less that in the middle."""
    scaled: Numbers = -0.5 * (TAIL_DOF + 1.0) * np.log1p(z * z / TAIL_DOF)
    return scaled
