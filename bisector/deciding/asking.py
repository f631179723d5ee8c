"""The engine's side: where a strategy waits for a decision, one is requested like a run.

So the engine stays free of input and output, a decision is an observation in the journal like any
other, and a journal that is replayed gives the same answer without anybody being asked again.
Decisions are numbered by themselves, from -1 downwards, because they are no runs.
"""

from __future__ import annotations

from collections.abc import Generator

from bisector.deciding.question import Question
from bisector.guarded import Guarded
from bisector.lab import Lab
from bisector.observations import RunObserved, RunRequest
from bisector.tree import Units
from strategies.protocol import Probe, Problem


class Asking:
    """One search whose strategy may leave it to others where to look."""

    def __init__(self, lab: Lab, strategy: Guarded, problem: Problem, units: Units) -> None:
        self._lab = lab
        self._strategy = strategy
        self._problem: Problem | None = problem
        self._units = units
        self._told = 0

    def probes(self) -> Generator[RunRequest, RunObserved, tuple[Probe, ...]]:
        """What the strategy wants to know by now, after as many decisions as it needs.

        Raises:
            StrategyFailed: it breaks its contract, or was given a decision that it cannot take.
        """
        outside = self._lab.outside
        while not (probes := self._strategy.ask()) and self._strategy.waits:
            if outside.decided is not None and outside.decided.kind == "delegate":
                self._strategy.decide(outside.decided)  # for good
                continue
            outside.objection = self._strategy.objection
            observed = yield self._request()
            outside.objection = None
            if observed.decision is None:
                raise self._strategy.failed("waits for a decision, and there was none")
            self._strategy.decide(observed.decision)
            outside.decided = observed.decision
        if not probes and outside.is_done:
            self._tell_what_is_missing()
        return probes

    def _request(self) -> RunRequest:
        outside = self._lab.outside
        outside.questions += 1
        problem, self._problem = self._problem, None
        if problem is not None:
            outside.searches += 1
        told = self._strategy.told
        news, self._told = told[self._told :], len(told)
        members = {u.name: u.functions for u in self._units if len(u.functions) > 1}
        return RunRequest(
            seq=-outside.questions,
            purpose="decide",
            block=self._lab.block,
            label="waiting for a decision where to look",
            question=Question(
                outside.searches,
                problem,
                members if problem is not None else {},
                tuple(news),
                self._strategy.unconfirmed,
            ),
        )

    def _tell_what_is_missing(self) -> None:
        """What was claimed and not seen, and what was seen as a whole and not looked into."""
        for claim in self._strategy.unconfirmed:
            self._lab.warn(
                f"it was claimed that {self._name(claim)} matters; the measurements do not confirm "
                "it"
            )
        for found in self._strategy.result().found:
            if len(found.items) > 1:
                self._lab.outside.not_looked_into.append(self._units.functions(found.items))

    def _name(self, items: frozenset[str]) -> str:
        return self._lab.tree.name(self._units.functions(items))
