"""A strategy that breaks its contract ends the investigation with a sentence, never a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from synthetic import Program, investigate

from bisector import search
from bisector.engine import Engine, EngineSettings
from strategies.protocol import Found, Open, Outcome, Probe, Problem, Result

MS = 1e-3


class Strategy:
    """Asks for everything once; subclasses go wrong."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.items = frozenset(item.name for item in problem.items)
        self.told: list[Outcome] = []

    def ask(self) -> tuple[Probe, ...]:
        return () if self.told else (Probe(self.items),)

    def tell(self, outcome: Outcome) -> None:
        self.told.append(outcome)

    def result(self) -> Result:
        return Result((), (), (Open(self.items, "it gave up"),))


class Unknown(Strategy):
    def ask(self):
        return (Probe(frozenset({"no:such"})),)


class Empty(Strategy):
    def ask(self):
        return (Probe(frozenset()),)


class NoProbe(Strategy):
    def ask(self):
        return ("a:f",)


class NotANumber(Strategy):
    def ask(self):
        return (Probe(self.items, math.nan),)


class EndlessRuns(Strategy):
    def ask(self):
        return (Probe(self.items, runs=10**9),)


class NeverStops(Strategy):
    def ask(self):
        return (Probe(self.items),)


class Raises(Strategy):
    def tell(self, outcome):
        raise ZeroDivisionError("division by zero")


class FindsNotANumber(Strategy):
    def result(self):
        return Result((Found(self.items, math.nan, 0.0, 1.0),), (), ())


class ForgetsSome(Strategy):
    def result(self):
        return Result((), (), ())


class ClaimsWhatItWasNotTold(Strategy):
    """Says that hidden code is all that matters."""

    def result(self):
        hidden = {item for item in self.items if item.startswith("h:")}
        return Result(
            (Found(frozenset(hidden), 0.9, 0.8, 1.0),), (), (Open(self.items - hidden, ""),)
        )


def answer(monkeypatch: pytest.MonkeyPatch, made: Callable[..., object], budget_s: float = 60.0):
    monkeypatch.setattr(search, "make", lambda name, problem, seed: made(problem, seed))
    program = Program({"m": {"a:f": 3 * MS, "b:g": 2 * MS}, "n": {"h:hot": 2 * MS}}, noise=0.005)
    return investigate(Engine(EngineSettings(budget_s=budget_s)), program).answer()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (Unknown, "asked for 'no:such', which is not among what can be slowed"),
        (Empty, "asked for an empty set"),
        (NoProbe, "asked for 'a:f', which is no probe"),
        (NotANumber, "asked whether a gain is nan"),
        (EndlessRuns, "asked for 1000000000 runs of one set"),
        (NeverStops, "never stops"),
        (Raises, "could not be told: ZeroDivisionError: division by zero"),
        (FindsNotANumber, "said that something gains nan"),
        (ForgetsSome, "named some functions twice, or not at all"),
    ],
)
def test_what_it_did_is_said(monkeypatch: pytest.MonkeyPatch, made: type, said: str) -> None:
    result = answer(monkeypatch, made)
    assert (result.verdict, result.stop_reason) == ("inconclusive", "failed")
    assert said in result.failure
    assert result.sensitive == ()
    assert result.root is not None, "what was measured is kept"


def test_a_false_claim_is_never_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, ClaimsWhatItWasNotTold)
    assert result.verdict == "inconclusive"
    assert all(finding.target != "h:hot" for finding in result.sensitive)


def test_one_that_finds_nothing_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, Strategy)
    assert (result.verdict, result.stop_reason) == ("inconclusive", "budget")


def test_so_many_runs_will_do_whatever_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Outcome] = []

    class Glances(Strategy):
        def ask(self):
            part = frozenset(sorted(self.items)[:1])
            return (Probe(part, runs=len(told) + 1),) if len(told) < 3 else ()

        def tell(self, outcome):
            told.append(outcome)

    answer(monkeypatch, Glances)
    first, *_, last = told[:3]
    assert [outcome.probe.runs for outcome in told[:3]] == [1, 2, 3]
    assert 0.0 < last.se < first.se
    assert first.gain == pytest.approx(last.gain, abs=0.2)
