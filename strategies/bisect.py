"""Best-first bisection: split what matters into halves of equal prior mass, drop what cannot.

For k isolated items among n that add up, the number of probes grows with k·log2(n/k). Three things
make it safe on real programs:

* a half is inferred to matter only where parent and other half leave no other explanation, and a
  single item that was only inferred is probed before it is reported;
* a half that matters never clears the other: two balanced stages side by side each explain
  everything;
* where a set matters and neither half does, which is then made sure of, either small parts add up
  (the set is reported as one, but for halves that add next to nothing) or the parts back each
  other up, and a minimal set is sought by `TaskStrategy.minimal`.
"""

from __future__ import annotations

from dataclasses import replace

from strategies.protocol import Outcome, Probe, Problem
from strategies.tasks import Step, TaskStrategy

CARRIED = 0.75
"""Share of what two halves do that makes one of them alone the one that matters."""


class BestFirstBisection(TaskStrategy):
    """See the module docstring. The default strategy."""

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        self.order = tuple(
            item.name for item in sorted(problem.items, key=lambda item: (item.path, item.name))
        )
        super().__init__(problem, seed)

    def first(self) -> Step:
        """All items together are known to matter: that is why there is a search."""
        whole = Outcome(
            Probe(frozenset(self.order)),
            "sensitive",
            self.problem.gain,
            self.problem.gain_lo,
            self.problem.gain_hi,
        )
        return self.explore(self.order, whole, measured=True)

    def explore(self, names: tuple[str, ...], known: Outcome, *, measured: bool) -> Step:
        """Narrow down a set that matters (``known``: its gain, or its bounds where inferred)."""
        if len(names) == 1:
            if not measured:
                known = yield Probe(frozenset(names))
            return self._close(known)
        heavy, light = self._halves(names)
        first = yield Probe(frozenset(heavy))
        if first.judgement == "insensitive" and known.lo - first.hi > self.problem.threshold:
            self.cleared(first)
            implied = Outcome(
                Probe(frozenset(light)),
                "sensitive",
                known.gain - first.gain,
                known.lo - first.hi,
                known.hi,
            )
            found = yield from self.explore(light, implied, measured=False)
            if not found and measured:
                found = yield from self.minimal(names)
            return found
        both = (first, (yield Probe(frozenset(light))))
        if all(outcome.judgement == "insensitive" for outcome in both):
            # That contradicts what is known of the whole, unless the parts are small or interact.
            both = (
                (yield Probe(frozenset(heavy), surely=True)),
                (yield Probe(frozenset(light), surely=True)),
            )
        if any(outcome.judgement == "sensitive" for outcome in both):
            for part, outcome in zip((heavy, light), both, strict=True):
                if outcome.judgement == "sensitive":
                    self.start(self.explore(part, outcome, measured=True))
                else:
                    self._close(outcome)
            return True
        for outcome in both:
            self._close(outcome)
        if not measured or any(outcome.judgement == "unresolved" for outcome in both):
            return False
        together = sum(outcome.gain for outcome in both)
        if together >= 0.5 * known.gain:
            part, most = max(zip((heavy, light), both, strict=True), key=lambda half: half[1].gain)
            if most.gain < CARRIED * together:
                return self.found(known)
            carrier = replace(most, judgement="sensitive")
            return (yield from self.explore(part, carrier, measured=True))
        return (yield from self.minimal(names))

    def _close(self, outcome: Outcome) -> bool:
        if outcome.judgement == "sensitive":
            return self.found(outcome)
        if outcome.judgement == "insensitive":
            return self.cleared(outcome)
        return self.unresolved(outcome)

    def _halves(self, names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Cut where the masses balance within 2:1 and the tree says least belongs together."""
        total = self.mass(names) or 1.0
        cuts = []
        running = 0.0
        for index in range(1, len(names)):
            running += self.items[names[index - 1]].mass
            imbalance = abs(2.0 * running / total - 1.0)
            before, after = self.items[names[index - 1]].path, self.items[names[index]].path
            shared = 0
            while shared < min(len(before), len(after)) and before[shared] == after[shared]:
                shared += 1
            cuts.append((imbalance > 1 / 3, shared if imbalance <= 1 / 3 else 0, imbalance, index))
        cut = min(cuts)[-1]
        left, right = names[:cut], names[cut:]
        return (left, right) if self.mass(left) >= self.mass(right) else (right, left)
