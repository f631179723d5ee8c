"""What the strategy that others decide for promises beyond the conformance suite."""

from __future__ import annotations

import re

import pytest

from strategies.decision import MOST_SETS, Deciding, Decision
from strategies.external import External
from strategies.protocol import Item, Open, Outcome, Probe, Problem, Result

NAMES = tuple("abcdefgh")


def one(*, gain=1.0):
    items = tuple(Item(name, 0.2, ("*:*",)) for name in NAMES)
    return External(Problem(items, gain, 0.9 * gain, 1.1 * gain, 0.05))


def sets(*names):
    return tuple(frozenset(name) for name in names)


def play(strategy, matters, noise=0.0):
    """Answer all that is asked, by which items matter."""
    while batch := strategy.ask():
        for probe in batch:
            gain = 0.2 * len(probe.items & set(matters))
            judgement = "sensitive" if gain else "insensitive"
            strategy.tell(Outcome(probe, judgement, gain, gain - 0.01, gain + 0.01))


def found(strategy):
    return {entry.items for entry in strategy.result().found}


def test_it_waits_and_asks_for_nothing_until_it_is_told_where_to_look():
    strategy = one()
    assert isinstance(strategy, Deciding)
    assert (strategy.waits, strategy.ask()) == (True, ())
    reason = "whoever decided where to look did not look there"
    assert strategy.result() == Result((), (), (Open(frozenset(NAMES), reason),))
    strategy.decide(Decision("probe", sets("ab", "c")))
    assert not strategy.waits
    assert set(strategy.ask()) == {Probe(s) for s in sets("ab", "c")}


def test_without_claims_the_narrowest_sets_that_matter_are_found():
    strategy = one()
    strategy.decide(Decision("probe", sets("abcd", "a", "ef", "gh")))
    play(strategy, "ae")
    strategy.decide(Decision("done"))
    result = strategy.result()
    assert found(strategy) == set(sets("a", "ef"))
    assert [c.items for c in result.cleared] == [frozenset("gh")]
    (left,) = result.open
    assert left.items == frozenset("bcd")
    assert "with others" in left.reason


def test_what_matters_and_is_not_claimed_stays_open():
    strategy = one()
    strategy.decide(Decision("probe", sets("a", "e")))
    play(strategy, "ae")
    strategy.decide(Decision("done", sets("a")))
    assert found(strategy) == set(sets("a"))
    assert frozenset("e") in {entry.items for entry in strategy.result().open}


def test_a_claim_is_measured_first_and_handed_back_once():
    strategy = one()
    strategy.decide(Decision("done", sets("a", "b")))
    assert set(strategy.ask()) == {Probe(s) for s in sets("a", "b")}
    play(strategy, "a")
    assert strategy.waits, "b is handed back"
    assert strategy.unconfirmed == sets("b")
    strategy.decide(Decision("done", sets("a", "b")))
    assert (strategy.waits, strategy.ask()) == (False, ())
    assert found(strategy) == set(sets("a"))


def test_the_default_search_goes_on_with_what_is_undecided():
    strategy = one()
    strategy.decide(Decision("probe", sets("a", "bcd", "ef")))
    play(strategy, "abf")
    strategy.decide(Decision("delegate"))
    assert not strategy.waits
    (first,) = strategy.ask()
    assert first.items == frozenset("bcdefgh"), "whether that matters at all"
    play(strategy, "abf")
    assert found(strategy) == set(sets("a", "b", "f"))


def test_the_whole_is_not_probed_again_where_everything_is_delegated():
    strategy = one()
    strategy.decide(Decision("delegate"))
    assert Probe(frozenset(NAMES)) not in strategy.ask()
    play(strategy, "c")
    assert found(strategy) == set(sets("c"))


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Decision("probe"), "nothing was named"),
        (Decision("probe", sets("z")), "'z' is not among the items"),
        (Decision("probe", (frozenset(),)), "a set is empty"),
        (Decision("probe", sets("a")), "judged already .a: sensitive, gain 20.0%"),
        (Decision("probe", sets(*["a"] * (MOST_SETS + 1))), "are too many"),
        (Decision("done", sets("ab", "bc")), "two claims share 'b'"),
        (Decision("delegate", sets("a")), "takes no sets"),
    ],
)
def test_what_it_cannot_take_it_says(decision, said):
    strategy = one()
    strategy.decide(Decision("probe", sets("a")))
    assert strategy.objection(decision) == "nothing is to be decided now"
    play(strategy, "a")
    assert re.search(said, strategy.objection(decision))
    with pytest.raises(ValueError, match=said):
        strategy.decide(decision)
    assert strategy.waits, "it may be tried again"
