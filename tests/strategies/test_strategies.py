"""The conformance suite every strategy must pass, and what the default promises beyond it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.decision import Deciding, Decision
from strategies.protocol import Item, Outcome, Probe, Problem, Result, Strategy
from strategies.registry import BUILT_IN, make

THRESHOLD = 0.02
Gain = Callable[[frozenset[str]], float]


def additive(gains: dict[str, float]) -> Gain:
    return lambda items: sum(gains.get(item, 0.0) for item in items)


def problem(n: int, gain: Gain, modules: int = 7) -> Problem:
    items = tuple(Item(f"m{i % modules}:f{i}", 1.0, ("*:*", f"m{i % modules}:*")) for i in range(n))
    whole = gain(frozenset(item.name for item in items))
    return Problem(items, whole, 0.97 * whole, 1.03 * whole, THRESHOLD)


def solve(name: str, asked: Problem, gain: Gain, limit: int = 5000) -> tuple[Result, int]:
    """Play a noiseless oracle; returns the result and the number of probes."""
    strategy = make(name, asked, seed=0)
    known = {item.name for item in asked.items}
    probes = 0
    while batch := wanted(strategy):
        for probe in batch:
            probes += 1
            assert probes <= limit, "never stops"
            assert probe.items, "an empty probe"
            assert probe.items <= known
            value = gain(probe.items)
            verdict = "sensitive" if value >= THRESHOLD else "insensitive"
            strategy.tell(Outcome(probe, verdict, value, 0.97 * value, 1.03 * value + 1e-4))
    result = strategy.result()
    named = [
        i for part in (result.found, result.cleared, result.open) for e in part for i in e.items
    ]
    assert sorted(named) == sorted(known), "not a partition"
    return result, probes


def wanted(strategy: Strategy) -> tuple[Probe, ...]:
    """What it asks for; one that leaves it to others where to look is told to look everywhere."""
    while not (batch := strategy.ask()) and isinstance(strategy, Deciding) and strategy.waits:
        told = [frozenset((item.name,)) for item in strategy.problem.items]
        new = [s for s in told if strategy.objection(Decision("probe", (s,))) is None]
        strategy.decide(Decision("probe", tuple(new[:16])) if new else Decision("done"))
    return batch


def found(result: Result) -> set[frozenset[str]]:
    return {entry.items for entry in result.found}


@pytest.mark.simulation
@pytest.mark.parametrize("name", sorted(BUILT_IN))
@settings(deadline=None, max_examples=40)
@given(planted=st.sets(st.integers(0, 39), min_size=1, max_size=5))
def test_every_strategy_finds_planted_items(name: str, planted: set[int]) -> None:
    gain = additive({f"m{i % 7}:f{i}": 0.1 for i in planted})
    result, _ = solve(name, problem(40, gain), gain)
    assert {item for entry in result.found for item in entry.items} == {
        f"m{i % 7}:f{i}" for i in planted
    }


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_an_empty_problem_is_over_at_once(name: str) -> None:
    strategy = make(name, Problem((), 0.0, 0.0, 0.0, THRESHOLD), seed=0)
    assert strategy.ask() == ()
    assert strategy.result() == Result((), (), ())


@pytest.mark.parametrize(("n", "k"), [(100, 1), (1000, 3), (10_000, 3)])
def test_bisection_needs_about_k_log_n_probes(n: int, k: int) -> None:
    planted = {f"m{i % 7}:f{i}": 0.1 for i in range(n // 7, n, n // k)}
    gain = additive(planted)
    result, probes = solve("bisect", problem(n, gain), gain)
    assert found(result) == {frozenset((item,)) for item in planted}
    assert probes <= 2 * len(planted) * math.ceil(math.log2(n))


def test_the_only_item_is_what_all_items_together_are_known_to_matter_by() -> None:
    gain = additive({"m0:f0": 0.1})
    result, probes = solve("bisect", problem(1, gain), gain)
    assert (found(result), probes) == ({frozenset(("m0:f0",))}, 0)


def test_two_redundant_items_are_found_together() -> None:
    pair = {"m1:f1", "m5:f5"}

    def gain(items: frozenset[str]) -> float:
        return 0.3 if pair <= items else 0.0

    result, probes = solve("bisect", problem(40, gain), gain)
    assert found(result) == {frozenset(pair)}
    assert probes <= 40


def test_balanced_items_do_not_clear_each_other() -> None:
    def gain(items: frozenset[str]) -> float:
        return 0.3 if items & {"m1:f1", "m5:f5"} else 0.0

    result, _ = solve("bisect", problem(40, gain), gain)
    assert found(result) == {frozenset({"m1:f1"}), frozenset({"m5:f5"})}


def test_many_small_parts_are_reported_as_one() -> None:
    gain = additive({f"m0:f{i}": 0.0005 for i in range(0, 56, 1)})
    items = tuple(Item(f"m0:f{i}", 1.0, ("*:*", "m0:*")) for i in range(56))
    asked = Problem(items, 0.028, 0.0275, 0.0285, THRESHOLD)
    result, _ = solve("bisect", asked, gain)
    assert found(result) == {frozenset(item.name for item in items)}


def test_a_set_at_the_threshold_is_narrowed_to_the_part_that_carries_it() -> None:
    gain = additive({"m1:f1": 0.99 * THRESHOLD} | {f"m3:f{i}": 0.0001 for i in range(3, 40, 7)})
    asked = problem(40, gain)
    assert asked.gain > THRESHOLD
    result, _ = solve("bisect", asked, gain)
    assert found(result) == {frozenset({"m1:f1"})}


def test_noise_that_sets_aside_a_critical_part_does_not_make_a_group_of_all() -> None:
    gain = additive({"m1:f1": 0.1})
    asked = problem(40, gain)
    strategy = make("bisect", asked, seed=0)
    while batch := strategy.ask():
        for probe in batch:
            value = gain(probe.items) if probe.surely or len(probe.items) > 5 else 0.015
            judgement = "sensitive" if value >= THRESHOLD else "insensitive"
            upper = value + (1e-4 if probe.surely else 0.2)
            strategy.tell(Outcome(probe, judgement, value, value, upper))
    assert found(strategy.result()) == {frozenset({"m1:f1"})}


def test_an_unresolved_probe_stays_open_with_its_reason() -> None:
    strategy = make("exhaustive", problem(2, additive({"m0:f0": 1.0})), seed=0)
    for probe in strategy.ask():
        strategy.tell(Outcome(probe, "unresolved", 0.0, -1.0, 1.0, "fails when slowed"))
    assert {entry.reason for entry in strategy.result().open} == {"fails when slowed"}


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        make("no-such-strategy", Problem((), 0.0, 0.0, 0.0, THRESHOLD), seed=0)


def test_order_of_telling_does_not_matter() -> None:
    gain = additive({"m1:f1": 0.2, "m3:f17": 0.1, "m6:f34": 0.05})
    results = []
    for flip in (1, -1):
        strategy = make("bisect", problem(40, gain), seed=0)
        while batch := strategy.ask():
            for probe in batch[::flip]:
                value = gain(probe.items)
                judgement = "sensitive" if value >= THRESHOLD else "insensitive"
                strategy.tell(Outcome(probe, judgement, value, value, value + 1e-4))
        results.append(found(strategy.result()))
    assert results[0] == results[1]
