"""Searches written as straight-line generators, run side by side.

A search step is a generator that yields probes, is sent their outcomes, and may start further
steps. `TaskStrategy` runs any number of them: `ask` hands out what all of them wait for, most
promising first. Subclasses in this package provide the first step and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable

from strategies.protocol import Cleared, Found, Item, Open, Outcome, Probe, Problem, Result

Step = Generator[tuple[Probe, ...], tuple[Outcome, ...], bool]
"""Yields probes, receives their outcomes, returns whether it found anything."""

BATCH = 8
"""Probes handed out at once: they share the control of a block."""


class TaskStrategy:
    """Bookkeeping common to the strategies: running steps, and the partition they arrive at."""

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        self.problem = problem
        self.seed = seed
        self.items: dict[str, Item] = {item.name: item for item in problem.items}
        self._waiting: list[tuple[tuple[Probe, ...], Step]] = []
        self._known: dict[Probe, Outcome] = {}
        self._ranks: dict[frozenset[str], tuple[float, str]] = {}
        self._found: list[Found] = []
        self._cleared: list[Cleared] = []
        self._open: list[Open] = []
        if problem.items:
            self.start(self.first())

    def first(self) -> Step:
        """The step the search begins with."""
        raise TypeError(f"{type(self).__name__} does not say how to begin")

    def ask(self) -> tuple[Probe, ...]:
        """Up to `BATCH` probes, largest mass first (ties: by name, so that order is
        reproducible)."""
        wanted = {p: None for probes, _ in self._waiting for p in probes if p not in self._known}
        if len(wanted) == 1:
            return tuple(wanted)
        return tuple(sorted(wanted, key=lambda probe: self._rank(probe.items))[:BATCH])

    def _rank(self, items: frozenset[str]) -> tuple[float, str]:
        known = self._ranks.get(items)
        if known is None:
            known = self._ranks[items] = -self.mass(items), min(items)
        return known

    def tell(self, outcome: Outcome) -> None:
        """Continue every step that has waited for this probe."""
        self._known[outcome.probe] = outcome
        for entry in list(self._waiting):
            probes, step = entry
            if all(probe in self._known for probe in probes):
                self._waiting.remove(entry)
                self._advance(step, probes)

    def result(self) -> Result:
        """Found wins over cleared (redundant parts are cleared alone and found together)."""
        taken: set[str] = set()
        found = []
        for entry in self._found:
            if not entry.items & taken:
                found.append(entry)
                taken |= entry.items
        cleared = []
        for clear in sorted(self._cleared, key=lambda c: c.hi):
            left = clear.items - taken
            if left:
                cleared.append(Cleared(left, clear.hi))
                taken |= left
        undecided = []
        for entry_open in self._open:
            left = entry_open.items - taken
            if left:
                undecided.append(Open(left, entry_open.reason))
                taken |= left
        rest = frozenset(self.items) - taken
        if rest:
            undecided.append(Open(rest, "the search did not get there"))
        return Result(tuple(found), tuple(cleared), tuple(undecided))

    # -- for subclasses ---------------------------------------------------------------------------

    def start(self, step: Step) -> None:
        """Run a step side by side with those already running."""
        self._advance(step, ())

    def mass(self, names: Iterable[str]) -> float:
        """Prior mass of a set, exactly rounded: sets have no order."""
        return math.fsum(self.items[name].mass for name in names)

    def found(self, outcome: Outcome) -> bool:
        """These items matter."""
        self._found.append(Found(outcome.probe.items, outcome.gain, outcome.lo, outcome.hi))
        return True

    def cleared(self, outcome: Outcome) -> bool:
        """These items do not matter, not even together."""
        self._cleared.append(Cleared(outcome.probe.items, outcome.hi))
        return False

    def unresolved(self, outcome: Outcome) -> bool:
        """Nothing can be claimed about these items."""
        self._open.append(Open(outcome.probe.items, outcome.reason or "could not be measured"))
        return False

    @property
    def branches(self) -> int:
        """How many steps wait for probes."""
        return len(self._waiting)

    def minimal(self, names: tuple[str, ...], least: float = 0.0, patience: int = 10**9) -> Step:
        """Find one minimal set of ``names`` that still matters, given that all together do.

        Args:
            least: the gain asked for.
            patience: probes after which noise is taken to have led it astray.

        QuickXplain (Junker 2004): for monotone responses the set is 1-minimal (no member can be
        left out), in about 2k·log2(n/k) + 2k probes for a set of k among n. What remains is then
        probed.
        """
        left = [patience]
        core = yield from self._explain((), names, False, least, left)
        if left[0] < 0:
            core = names
        (outcome,) = yield (Probe(frozenset(core), least),)
        if outcome.judgement != "sensitive" or left[0] < 0:
            self._cleared = [c for c in self._cleared if not c.items <= frozenset(names)]
            return self.unresolved(
                Outcome(
                    Probe(frozenset(names)),
                    "unresolved",
                    outcome.gain,
                    outcome.lo,
                    outcome.hi,
                    "matters as a whole, but no part of it was seen to: interacting parts or noise",
                )
            )
        self.found(outcome)
        rest = tuple(name for name in names if name not in core)
        if rest:
            (outcome,) = yield (Probe(frozenset(rest), least),)
            if outcome.judgement == "sensitive":
                yield from self.minimal(rest, least, patience)
            elif outcome.judgement == "insensitive":
                self.cleared(outcome)
            else:
                self.unresolved(outcome)
        return True

    def _explain(
        self,
        background: tuple[str, ...],
        names: tuple[str, ...],
        grown: bool,
        least: float,
        patience: list[int],
    ) -> Generator[tuple[Probe, ...], tuple[Outcome, ...], tuple[str, ...]]:
        patience[0] -= 1
        if patience[0] < 0:  # noise has led it astray
            return names
        if grown and background:
            (outcome,) = yield (Probe(frozenset(background), least),)
            if outcome.judgement == "sensitive":
                return ()
        if len(names) == 1:
            return names
        half = len(names) // 2
        left, right = names[:half], names[half:]
        from_right = yield from self._explain(background + left, right, True, least, patience)
        from_left = yield from self._explain(
            background + from_right, left, bool(from_right), least, patience
        )
        return from_left + from_right

    def _advance(self, step: Step, told: tuple[Probe, ...]) -> None:
        """Run a step until it wants something that is not known yet."""
        try:
            while True:
                outcomes = tuple(self._known[probe] for probe in told)
                told = step.send(outcomes) if told else next(step)
                if not all(probe in self._known for probe in told):
                    self._waiting.append((told, step))
                    return
        except StopIteration:
            return
