"""Somebody else decides where to look: the answer is slower or undecided then, never wrong."""

from __future__ import annotations

import deciders
import pytest
from deciders import InMemory
from planted import CRITICAL, NAMES, program

from bisector.deciding.decider import IDLE_S, MOST_BAD, Conversation, NoDecision
from bisector.deciding.matching import Matching, NoItems
from bisector.deciding.question import Question
from bisector.engine import Engine, EngineSettings
from bisector.observations import RunObserved
from strategies.protocol import Item, Problem


def investigate(decider, seed=0, budget=600.0, log=None):
    """Drive an engine; returns its answer, or raises `NoDecision`."""
    engine = Engine(EngineSettings(budget_s=budget, strategy="external", seed=seed))
    conversation = Conversation(InMemory(decider), patience_s=1.0)
    target = program(seed)
    while (request := engine.ask()) is not None:
        if request.is_run:
            observed = target.run(request)
        else:
            decision = conversation.decide(request.question, engine.objection, lambda: None)
            observed = RunObserved(request.seq, "ok", target.elapsed_s, 0.0, decision=decision)
        if log is not None:
            log.append((request, observed))
        engine.tell(observed)
    return engine.answer()


def targets(answer):
    return {finding.target for finding in answer.sensitive}


def is_not_wrong(answer):
    """What is certified explains all, each set of it has critical code in it and says so where it
    is not narrowed down; nothing critical is ruled out."""
    if answer.verdict == "sensitive":
        sets = [CRITICAL.intersection(finding.functions) for finding in answer.sensitive]
        assert all(sets)
        assert set().union(*sets) == CRITICAL
        for finding in answer.sensitive:
            said = f"{finding.target} matters as a whole; whoever decided"
            assert len(finding.functions) == 1 or any(said in w for w in answer.warnings)
    assert answer.verdict != "insensitive"
    for pruned in answer.insensitive:
        hit = CRITICAL.intersection(pruned.functions)
        assert not hit or pruned.gain_upper95 >= 0.1, "a bound below the truth"


@pytest.mark.simulation
@pytest.mark.parametrize("made", [deciders.Greedy, deciders.Delegates, deciders.DelegatesAfterOne])
@pytest.mark.parametrize("seed", range(5))
def test_a_sensible_one_finds_what_is_planted(made, seed):
    answer = investigate(made(), seed)
    assert (answer.verdict, answer.stop_reason) == ("sensitive", "certified")
    assert targets(answer) == CRITICAL


def test_decisions_are_no_runs():
    log = []
    answer = investigate(deciders.Greedy(), log=log)
    decided = [request for request, _ in log if not request.is_run]
    assert [request.seq for request in decided] == [-n for n in range(1, len(decided) + 1)]
    assert answer.runs == len(log) - len(decided)


def test_the_same_decisions_and_observations_lead_to_the_same_answer():
    log = []
    answer = investigate(deciders.Greedy(), log=log)
    engine = Engine(EngineSettings(budget_s=600.0, strategy="external"))
    for request, observed in log:
        assert engine.ask() == request
        engine.tell(observed)
    assert engine.ask() is None
    assert engine.answer() == answer


@pytest.mark.simulation
@pytest.mark.parametrize("seed", range(12))
def test_one_that_decides_by_chance_is_slower_or_undecided(seed):
    is_not_wrong(investigate(deciders.Random(seed), seed))


@pytest.mark.parametrize(
    "made", [deciders.Contradicts(), deciders.Claims(NAMES[0], NAMES[1]), deciders.Decider()]
)
def test_false_claims_and_none_are_undecided(made):
    answer = investigate(made)
    assert answer.verdict == "inconclusive"
    assert targets(answer) <= CRITICAL
    is_not_wrong(answer)


def test_a_claim_that_was_never_measured_is_measured_and_handed_back():
    decider = deciders.Claims(NAMES[0])
    answer = investigate(decider)
    (handed_back,) = [m for m in decider.heard if m["type"] == "unconfirmed"]
    assert handed_back["claims"] == [[NAMES[0]]]
    assert [o["judgement"] for o in decider.outcomes] == ["insensitive"]
    assert any(f"claimed that {NAMES[0]} matters" in warning for warning in answer.warnings)


def test_a_claim_that_was_never_measured_is_measured_and_counts_if_that_shows_it():
    class Knows(deciders.Decider):
        def decide(self):
            return {"type": "done", "claims": [[name] for name in sorted(CRITICAL)]}

    decider = Knows()
    answer = investigate(decider)
    assert answer.verdict == "sensitive"
    assert targets(answer) == CRITICAL
    assert decider.outcomes == [], "it was not asked again"


def test_a_set_that_was_not_narrowed_down_is_the_answer_as_a_set():
    class Broad(deciders.Decider):
        def decide(self):
            module = NAMES[3].partition(":")[0]
            return {"type": "done"} if self.outcomes else deciders.probe([f"{module}:*"])

    answer = investigate(Broad())
    assert answer.verdict == "inconclusive", "the other half was not looked at"
    for finding in answer.sensitive:
        assert NAMES[3] in finding.functions


def test_what_the_certificate_misses_is_asked_for_again():
    class Half(deciders.Decider):
        def decide(self):
            left = sorted(CRITICAL & self.items.keys())
            return {"type": "done", "claims": [left[:1]]} if left else {"type": "done"}

    decider = Half()
    answer = investigate(decider)
    assert [m["search"] for m in decider.heard if m["type"] == "problem"] == [1, 2]
    assert answer.verdict == "sensitive"
    assert targets(answer) == CRITICAL


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (deciders.Repeats, "judged already"),
        (deciders.Forges, "'outcome' is no answer"),
        (deciders.NotANumber, "NaN is no number"),
        (deciders.Unknown, "'no.such:thing' matches no item"),
        (deciders.Empty, "is empty"),
        (deciders.Nonsense, "not a JSON object"),
        (deciders.OldProtocol, "this is protocol 1, not 0"),
        (deciders.Starry, "too many stars"),
        (deciders.Huge, "too long"),
    ],
)
def test_what_cannot_be_taken_is_said_and_ends_it_after_a_while(made, said):
    decider = made()
    with pytest.raises(NoDecision, match=f"{MOST_BAD} answers of the decider in a row"):
        investigate(decider)
    errors = [m["message"] for m in decider.heard if m["type"] == "error"]
    assert len(errors) == MOST_BAD
    assert all(said in error for error in errors)


def test_who_mends_its_answer_goes_on():
    class Mends(deciders.Greedy):
        stumbles = 0

        def decide(self):
            self.stumbles += 1
            return b"[]\n" if self.stumbles % 2 else super().decide()

    assert investigate(Mends()).verdict == "sensitive"


def test_a_part_of_an_item_is_not_slowed_and_the_item_is_named():
    items = (Item("2 functions of a:*", 0.1, ("*:*", "a:*")), Item("b:g", 0.2, ("*:*", "b:*")))
    matching = Matching(Problem(items, 1.0, 0.9, 1.1, 0.05), {items[0].name: ("a:f", "a:h")})
    assert matching.items(["a:*"]) == {items[0].name}
    assert matching.items([items[0].name]) == {items[0].name}
    assert matching.items(["*:*", "!b:*"]) == {items[0].name}
    with pytest.raises(NoItems, match=r"only a part of an item.*'2 functions of a"):
        matching.items(["a:f"])
    with pytest.raises(NoItems, match="nearest are 'b:g'"):
        matching.items(["c:g"])


def test_silence_ends_it_without_a_decision():
    class Mute(deciders.Decider):
        def decide(self):
            return None

    with pytest.raises(NoDecision, match="silent for 1s"):
        investigate(Mute())


def test_nothing_is_kept_running_for_one_that_takes_long():
    class Slow(InMemory):
        def receive(self, timeout_s):
            waited.append(timeout_s)
            return None if len(waited) == 1 else super().receive(timeout_s)

    waited, idle = [], []
    conversation = Conversation(Slow(deciders.Delegates()), patience_s=600.0)
    problem = Problem((Item("a:f", 0.5, ("*:*",)),), 0.5, 0.4, 0.6, 0.05)
    decision = conversation.decide(
        Question(1, problem), lambda decision: None, lambda: idle.append(True)
    )
    assert (decision.kind, idle) == ("delegate", [True])
    assert waited == [IDLE_S, 600.0 - IDLE_S]
