"""Best-first bisection: split what matters into halves of equal prior mass, drop what cannot.

For k isolated items among n that add up, the number of probes grows with k·log2(n/k). What is
found is large first: a part that shows next to nothing beside what its whole does is put off, and
looked at again, more closely, only while what was found does not explain what all items do. Four
things make that fast and safe on real programs:

* where a few items may do all that a set does, they are located by single runs of many sets at
  once (see `strategies.whereabouts`), and probed; where they are not, the set is halved;
* a part is inferred to matter only where whole and rest leave no other explanation, not often in a
  row, and a single item that was only inferred is probed before it is reported;
* a part that matters never clears the rest: two balanced stages side by side each explain
  everything, so that what was only inferred to be nothing is probed, all of it together, at the
  end;
* where a set matters and no part of it does, which is then made sure of, either small parts add up
  (the set is reported as one, but for halves that add next to nothing) or the parts back each
  other up, and a minimal set is sought by `TaskStrategy.minimal`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Generator
from dataclasses import replace

import numpy as np

from strategies.line import Line, Names
from strategies.protocol import Outcome, Probe, Problem
from strategies.questions import next_sets
from strategies.tasks import BATCH, Step, TaskStrategy
from strategies.whereabouts import MOST_ITEMS, Whereabouts

CARRIED = 0.75
"""Share of what a set does that makes one part of it the one that matters; what is left of it at
most where that is so."""

ALL_OF_IT = 0.8
"""The same where it is all or nothing: half of that is told from nothing, and from noise."""

PATIENCE = 10
"""Probes for each halving of a set after which it is given up to locate a few items in it, or a
minimal part of it."""

NOTHING = 0.12
"""Share of what a set does that is taken to be noise where a part was seen to do the rest."""

FEW = 3
"""Items that are probed one by one."""

MOST_INFERRED = 2
"""Inferences in a row before a probe has to show that they are right."""

STRAINED = 4.0
"""Standard deviations by which it is given up that a few items do all that a set does."""

LIKELY, SPARE, MOST_MISSES = 0.9, 2, 1
"""How likely the items are among those that are probed one by one, how many more these may be, and
how often they may not be among them."""

EXPLAINED, SURE_SE = 0.9, 2.0
"""Share of the gain of all items that an answer has to have; the search looks on while half of what
may be missing is, and so many standard errors of a single run."""


class BestFirstBisection(TaskStrategy):
    """See the module docstring. The default strategy."""

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        self._line = Line.of(problem.items)
        self.least = max(problem.threshold, problem.resolution)
        """The gain that is looked for."""
        self._put_off: dict[frozenset[str], Outcome] = {}
        """Sets that show less than that, by a probe."""
        self._noise = problem.noise
        """Standard error of a single run, as far as it is known."""
        self._smallest = problem.gain
        """The smallest gain of a set that was seen to matter."""
        self._inferred: set[str] = set()
        """Items that are in no such set and were not found, since others explain all."""
        self._adds_up = True
        """Whether what was seen of single runs led to what matters."""
        super().__init__(problem, seed)

    def first(self) -> Step:
        """All items together are known to matter: that is why there is a search."""
        whole = Outcome(
            Probe(frozenset(self._line.names)),
            "sensitive",
            self.problem.gain,
            self.problem.gain_lo,
            self.problem.gain_hi,
        )
        return self.explore(self._line.names, whole, 0)

    def ask(self) -> tuple[Probe, ...]:
        """See `Strategy.ask`; what was put off is looked at again once there is nothing else."""
        while not self._waiting and self._look_closer():
            pass
        asked = super().ask()
        if self._inferred and asked and all(len(probe.items) == 1 for probe in asked):
            self._check_inferred()  # in the same block
            asked = super().ask()
        return asked

    def tell(self, outcome: Outcome) -> None:
        """See `Strategy.tell`."""
        self._noise = outcome.noise or self._noise
        if outcome.judgement == "sensitive":
            self._smallest = min(self._smallest, outcome.gain)
        super().tell(outcome)

    def _check_inferred(self) -> None:
        """Ask whether what was only inferred to be nothing does as much as half of all, as a second
        stage beside the one that was found would."""
        rest = frozenset(self._inferred)
        self._inferred.clear()
        self.start(self._again(rest, self._half))

    @property
    def _half(self) -> float:
        """What a second stage beside the one that was found would do, at least."""
        return max(0.5 * self.problem.gain, self.problem.threshold)

    def _look_closer(self) -> bool:
        """See whether what was found explains all; False when the search is over."""
        gain, found = self.problem.gain, self.result().found
        unexplained = gain - sum(each.gain for each in found)
        missing = max(0.5 * (1.0 - EXPLAINED) * gain, SURE_SE * self._noise, self.problem.threshold)
        taken = frozenset[str]().union(*(each.items for each in found))
        rest = frozenset(self._inferred).union(*self._put_off) - taken
        if rest and unexplained >= missing and Probe(rest, missing) not in self._known:
            self._inferred.clear()
            self._put_off.clear()
            self.start(self._again(rest, missing))
            return True
        if self._inferred:
            self._check_inferred()
            return True
        for seen in self._put_off.values():
            self.cleared(seen)
        self._put_off.clear()
        return False

    def _again(self, items: frozenset[str], least: float) -> Step:
        """Probe a set, and go on with it where it matters."""
        known = yield from self._ask(items, max(least, self.problem.threshold))
        if known.judgement != "sensitive":
            return self._close(known)
        return (yield from self.explore(self._line.part(known.probe.items).names, known, 0))

    def explore(self, names: tuple[str, ...], known: Outcome, inferred: int) -> Step:
        """Narrow down a set that matters; returns whether something was found, or put off.

        Args:
            known: its gain, or its bounds where inferred.
            inferred: how many inferences there are since the last probe that showed it.
        """
        least = max(min(self.least, 0.5 * known.gain), self.problem.threshold)
        if inferred and (len(names) == 1 or inferred > MOST_INFERRED):
            known = yield from self._ask(frozenset(names), least)
            if known.judgement != "sensitive":
                self._close(known)
                return False
            inferred = 0
        if len(names) == 1:
            return self._close(known)
        if len(names) <= FEW:
            return (yield from self._each(names, known, inferred, least))
        line = self._line.part(names)
        if self._may_be_few(line, known.gain):
            located = yield from self._locate(line, known, least)
            if located:
                return True
        heavy, light = line.halves()
        first = yield from self._ask(frozenset(heavy), least)
        return (yield from self._halves_of(known, inferred, (heavy, light), first))

    def _may_be_few(self, line: Line, gain: float) -> bool:
        """Whether a few items may do all that these do: it is not much more than the least that was
        seen to matter, and there are some with so much time of their own."""
        few = self._adds_up and gain <= MOST_ITEMS * self._smallest
        return few and float(np.sort(line.masses)[-MOST_ITEMS:].sum()) >= gain

    def _locate(self, line: Line, known: Outcome, least: float) -> Step:
        """Find the few items that do all that these do; False where there seem to be none."""
        names, noise = line.names, self.problem.noise
        se = known.se or noise or 0.25 * (known.hi - known.lo)
        at = Whereabouts(line, known.gain, se, noise, self.problem.threshold)
        chance = random.Random(self.seed)
        asked: Counter[frozenset[str]] = Counter()
        patience = PATIENCE * math.log2(len(names))
        misses = 0
        while at.possible and at.strain < STRAINED and patience > 0:
            suspects = at.suspects(LIKELY, SPARE)
            if len(suspects) <= at.items + SPARE and all(len(place) == 1 for place in suspects):
                items = min(at.items, len(suspects))
                shown = yield from self._verify(names, suspects, items)
                missed = [o.probe.items for o in shown if o.judgement != "sensitive"]
                if len(shown) - len(missed) >= items:
                    return True
                misses += 1
                if misses > MOST_MISSES or any(o.judgement == "unresolved" for o in shown):
                    break
                for each in missed:
                    at.rule_out(min(each))
                continue
            sets = next_sets(at, max(1, BATCH // (self.branches + 1)), chance)
            if not sets:
                break
            asked.update(sets)
            outcomes = yield tuple(Probe(items, least, runs=asked[items]) for items in sets)
            patience -= len(outcomes)
            at.learn(outcomes)
        self._adds_up &= at.strain >= STRAINED  # there may be more of them: fewer in a half
        return False

    def _verify(
        self, names: tuple[str, ...], suspects: dict[Names, float], items: int
    ) -> Generator[tuple[Probe, ...], tuple[Outcome, ...], tuple[Outcome, ...]]:
        """Probe items that may do all that a set does, each by itself; where so many of them
        matter, they are found, and all else is not asked about twice."""
        alone = tuple(
            Probe(frozenset(place), max(0.5 * gain, self.problem.threshold))
            for place, gain in suspects.items()
        )
        rest = frozenset(names).difference(*suspects)
        is_all = bool(rest) and len(names) == len(self._line.names)
        beside = (Probe(rest, self._half),) if is_all else ()
        outcomes = yield alone + beside
        shown = outcomes[: len(alone)]
        if sum(outcome.judgement == "sensitive" for outcome in shown) >= items:
            for outcome in shown:
                self._close(outcome)
            self._inferred |= set() if beside else rest
            for outcome in outcomes[len(alone) :]:
                self.start(self._again(rest, outcome.probe.least))
        return shown

    def _each(self, names: tuple[str, ...], known: Outcome, inferred: int, least: float) -> Step:
        """Of a few items, all at once."""
        outcomes = yield tuple(Probe(frozenset((name,)), least) for name in names)
        if any(outcome.judgement == "sensitive" for outcome in outcomes):
            for outcome in outcomes:
                self._close(outcome)
            return True
        if inferred:
            for outcome in outcomes:
                self._close(outcome)
            return False
        half = len(names) // 2
        return (yield from self._contradiction(known, (names[:half], names[half:])))

    def _halves_of(
        self,
        known: Outcome,
        inferred: int,
        halves: tuple[tuple[str, ...], tuple[str, ...]],
        first: Outcome,
    ) -> Step:
        """Go on with the halves of a set, of which the first was probed."""
        heavy, light = halves
        least = first.probe.least
        rest = self._less(known, first, light)
        share = first.gain / max(known.gain, 1e-12)
        matters = rest.lo > 0.0 and rest.gain >= max(0.5 * least, self.problem.threshold)
        if first.judgement == "insensitive" and matters:
            if share > NOTHING and least > self.problem.threshold:
                closer = max(0.5 * least, self.problem.threshold)
                first = yield from self._ask(frozenset(heavy), closer)
                return (yield from self._halves_of(known, inferred, halves, first))
            self._close(first)
            found = yield from self.explore(light, rest, inferred + 1)
            if found or inferred:
                return found
        elif first.judgement == "sensitive" and matters:
            fewer, more = self.explore(heavy, first, 0), self.explore(light, rest, 1)
            if rest.gain < first.gain:
                fewer, more = more, fewer
            if self._found:
                self.start(fewer)
            else:  # what one item does tells whether there are few in the other part
                yield from fewer
            self.start(more)
            return True
        elif (
            first.judgement == "sensitive"
            and share >= 1.0 - NOTHING
            and (yield from self.explore(heavy, first, 0))
        ):
            self._inferred |= {*light}
            return True
        second = yield from self._ask(frozenset(light), least)
        both = first, second
        if any(outcome.judgement == "sensitive" for outcome in both):
            for part, outcome in zip((heavy, light), both, strict=True):
                if outcome.judgement == "sensitive":
                    self.start(self.explore(part, outcome, 0))
                else:
                    self._close(outcome)
            return True
        if least > self.problem.threshold and first.gain + second.gain >= 0.5 * known.gain:
            for outcome in both:
                self._close(outcome)
            return True
        if inferred or any(outcome.judgement == "unresolved" for outcome in both):
            for outcome in both:
                self._close(outcome)
            return False
        return (yield from self._contradiction(known, (heavy, light)))

    def _contradiction(
        self,
        known: Outcome,
        halves: tuple[tuple[str, ...], tuple[str, ...]],
    ) -> Step:
        """A set matters, and no half of it does: look once more, and surely."""
        least = 0.25 * known.gain
        while True:
            asked = max(least, self.problem.threshold)
            both = yield tuple(Probe(frozenset(half), asked, surely=True) for half in halves)
            if any(outcome.judgement == "sensitive" for outcome in both):
                for part, outcome in zip(halves, both, strict=True):
                    if outcome.judgement == "sensitive":
                        self.start(self.explore(part, outcome, 0))
                    else:
                        self._close(outcome)
                return True
            together = sum(outcome.gain for outcome in both)
            small = together >= 0.5 * known.gain
            if not small or asked == self.problem.threshold:
                break
            least *= 0.5  # they add up: is it one of them, or many small ones?
        if small or any(outcome.judgement == "unresolved" for outcome in both):
            for outcome in both:
                self._close(outcome)
        if any(outcome.judgement == "unresolved" for outcome in both):
            return False
        if small:
            part, most = max(zip(halves, both, strict=True), key=lambda half: half[1].gain)
            if most.gain < CARRIED * together:
                return self.found(known)
            carrier = replace(most, judgement="sensitive")
            return (yield from self.explore(part, carrier, 0))
        least = max(0.25 * known.gain, self.problem.threshold)
        names = (*halves[0], *halves[1])
        (again,) = yield (Probe(frozenset(names), 2.0 * least, surely=True),)
        if again.judgement != "sensitive":
            for outcome in (*both, again):
                self._close(outcome)
            return False
        patience = round(PATIENCE * math.log2(len(names)))
        return (yield from self.minimal(names, ALL_OF_IT * known.gain, patience))

    def _ask(
        self, items: frozenset[str], least: float
    ) -> Generator[tuple[Probe, ...], tuple[Outcome, ...], Outcome]:
        (outcome,) = yield (Probe(items, least),)
        return outcome

    def _close(self, outcome: Outcome) -> bool:
        """Book what a probe showed; True if it was found, or put off to be looked at again."""
        if outcome.judgement == "sensitive":
            return self.found(outcome)
        if outcome.judgement == "unresolved":
            return self.unresolved(outcome)
        if outcome.hi < self.problem.threshold:
            return self.cleared(outcome)
        self._put_off[outcome.probe.items] = outcome
        return True

    def _less(self, whole: Outcome, part: Outcome, rest: tuple[str, ...]) -> Outcome:
        """What is left for the rest of a set, by what the set and a part of it do."""
        gain = whole.gain - part.gain
        lo = gain - math.hypot(whole.gain - whole.lo, part.hi - part.gain)
        hi = gain + math.hypot(whole.hi - whole.gain, part.gain - part.lo)
        se = math.hypot(whole.se or self.problem.noise, part.se)
        return Outcome(Probe(frozenset(rest)), "sensitive", gain, lo, hi, se=se)
