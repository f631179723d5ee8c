"""A strategy that is not trusted: what it asks for, and what it says it found, is checked.

Strategies come from other packages too, or from an agent. One that is wrong about where to look
costs runs; one that breaks its contract ends the investigation with a sentence about it, and what
was measured is kept. It never decides what is true: the engine judges, and the certificate rests on
fresh runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from strategies.decision import Deciding, Decision
from strategies.protocol import Cleared, Found, Open, Outcome, Probe, Problem, Result, Strategy

T = TypeVar("T")

MOST_RUNS = 1000
"""Runs of one set that it may ask for."""

MOST_IN_VAIN = 1000
"""How often a strategy may ask in a row for what takes no run."""


class StrategyFailed(Exception):
    """It broke its contract; the message says how."""


class Guarded:
    """The strategy ``name`` for one problem, as a `Strategy` that keeps the contract or raises."""

    def __init__(self, name: str, make: Callable[[], Strategy], problem: Problem) -> None:
        self._name = name
        self._items = frozenset(item.name for item in problem.items)
        self._told: list[Outcome] = []
        strategy = self._strategy = self._call("could not begin", make)
        self._deciding: Deciding | None = self._call(
            "could not begin", lambda: strategy if isinstance(strategy, Deciding) else None
        )

    def ask(self) -> tuple[Probe, ...]:
        """See `Strategy.ask`.

        Raises:
            StrategyFailed: it asks for what is not there, or never stops.
        """
        probes = self._call("could not ask", lambda: tuple(self._strategy.ask()))
        for probe in probes:
            if not isinstance(probe, Probe):
                raise self.failed(f"asked for {probe!r}, which is no probe")
            self._check_items(probe.items, "asked for")
            if not (math.isfinite(probe.least) and probe.least >= 0.0):
                raise self.failed(f"asked whether a gain is {probe.least}")
            if not 0 <= probe.runs <= MOST_RUNS:
                raise self.failed(f"asked for {probe.runs} runs of one set")
        return probes

    @property
    def suspects(self) -> bool:
        """Whether it was told of a set that matters."""
        return any(outcome.judgement == "sensitive" for outcome in self._told)

    def tell(self, outcome: Outcome) -> None:
        """See `Strategy.tell`."""
        self._told.append(outcome)
        self._call("could not be told", lambda: self._strategy.tell(outcome))

    @property
    def told(self) -> Sequence[Outcome]:
        """All that it was told, in order."""
        return self._told

    @property
    def waits(self) -> bool:
        """Whether it leaves it to others where to look, and they have to say so now."""
        outside = self._deciding
        return outside is not None and self._call("could not wait", lambda: bool(outside.waits))

    @property
    def unconfirmed(self) -> tuple[frozenset[str], ...]:
        """See `Deciding.unconfirmed`."""
        outside = self._deciding
        if outside is None:
            return ()
        claims = self._call("could not say what was claimed", lambda: tuple(outside.unconfirmed))
        for claim in claims:
            self._check_items(claim, "was given a claim of")
        return claims

    def objection(self, decision: Decision) -> str | None:
        """See `Deciding.objection`."""
        outside = self._deciding
        if outside is None:
            return "nothing is to be decided"
        return self._call("could not judge a decision", lambda: outside.objection(decision))

    def decide(self, decision: Decision) -> None:
        """See `Deciding.decide`.

        Raises:
            StrategyFailed: it cannot take it.
        """
        outside = self._deciding
        if outside is not None:
            self._call("could not take a decision", lambda: outside.decide(decision))

    def result(self) -> Result:
        """See `Strategy.result`.

        Raises:
            StrategyFailed: it is no partition of the items, or has numbers that are none.
        """
        result = self._call("could not say what it found", self._strategy.result)
        if not isinstance(result, Result):
            raise self.failed(f"said it found {result!r}, which is no result")
        parts: tuple[Found | Cleared | Open, ...] = (*result.found, *result.cleared, *result.open)
        for part in parts:
            self._check_items(part.items, "said something of")
        named = frozenset[str]().union(*(part.items for part in parts))
        if named != self._items or sum(len(part.items) for part in parts) > len(named):
            raise self.failed("named some functions twice, or not at all, in its result")
        for found in result.found:
            if not all(map(math.isfinite, (found.gain, found.lo, found.hi))):
                raise self.failed(f"said that something gains {found.gain}")
        return replace(result, cleared=tuple(self._bounded(each) for each in result.cleared))

    def _bounded(self, cleared: Cleared) -> Cleared:
        """With the least bound that was measured of a set with all of these in it: what is said of
        them is that."""
        judged = (o for o in self._told if not o.probe.runs)
        of_sets = (o.hi for o in judged if o.probe.items >= cleared.items)
        return replace(cleared, hi=min(of_sets, default=math.inf))

    def _check_items(self, items: Iterable[str], did: str) -> None:
        if not isinstance(items, frozenset):
            raise self.failed(f"{did} {items!r}, which is no frozenset")
        if not items:
            raise self.failed(f"{did} an empty set")
        if not items <= self._items:
            unknown = min(map(repr, items - self._items))
            raise self.failed(f"{did} {unknown}, which is not among what can be slowed")

    def _call(self, failing: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except Exception as error:
            raise self.failed(f"{failing}: {type(error).__name__}: {error}") from error

    def failed(self, how: str) -> StrategyFailed:
        """What to raise."""
        return StrategyFailed(f"the strategy {self._name!r} {how}; choose another with --strategy")
