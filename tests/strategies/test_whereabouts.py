"""Where the few items may be: how many single runs it takes, and what shows that there are none."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.line import Line
from strategies.protocol import Item, Outcome, Probe
from strategies.questions import next_sets
from strategies.whereabouts import Whereabouts

pytestmark = pytest.mark.simulation

GAIN = 0.3


def line(names: Iterable[str]) -> Line:
    return Line.of(Item(name, 1.0, ()) for name in names)


def whereabouts(names: Iterable[str], items: int, noise: float) -> Whereabouts:
    return Whereabouts(line(names), items * GAIN, noise, noise)


def search(
    at: Whereabouts,
    planted: set[str],
    noise: float,
    seed: int = 0,
    most: int = 80,
    said: tuple[float, float] = (0.0, math.inf),
) -> tuple[set[str], int]:
    """What it comes to, and by how many runs. ``said``: noise as it is told, with its degrees of
    freedom."""
    chance, choices, runs = random.Random(seed), random.Random(0), 0
    while runs < most:
        places = at.suspects(0.9)
        if len(places) <= at.items and all(len(place) == 1 for place in places):
            return {name for place in places for name in place}, runs
        sets = next_sets(at, 8, choices)
        assert all(sets)
        outcomes = []
        for items in sets:
            gain = GAIN * len(items & planted) + chance.gauss(0.0, noise)
            probe, se = Probe(items, runs=1), said[0] or noise
            outcomes.append(Outcome(probe, "unresolved", gain, 0, 0, "", se, *said))
        runs += len(outcomes)
        at.learn(outcomes)
    return set(), runs


@pytest.mark.parametrize(("items", "usual"), [(1, 13), (3, 27)])
def test_a_few_items_take_about_as_many_runs_as_their_places_have_bits(
    items: int, usual: int
) -> None:
    """10 and 27 bits. Now and then it is wrong, which who asks for it finds out."""
    names = tuple(f"f{i:04}" for i in range(1000))
    right, runs = 0, []
    for seed in range(60):
        planted = set(random.Random(seed).sample(names, items))
        found, took = search(whereabouts(names, items, 0.03), planted, 0.03, seed)
        right += found == planted
        runs.append(took)
    assert right >= 51  # where it is as sure as asked, 0.9, fewer are once in 25 times
    assert sorted(runs)[30] <= usual


def test_noise_of_a_third_of_an_effect_costs_more_runs_but_needs_no_repetition() -> None:
    names = tuple(f"f{i:04}" for i in range(1000))
    planted = {"f0123"}
    took = []
    for seed in range(4):
        found, runs = search(whereabouts(names, 1, 0.1), planted, 0.1, seed)
        assert found == planted
        took.append(runs)
    assert sum(took) / len(took) <= 45  # each clear by itself: ten times some five


def test_more_items_than_a_hypothesis_has_are_noticed() -> None:
    names = tuple(f"f{i:04}" for i in range(1000))
    planted = set(random.Random(1).sample(names, 20))
    at = whereabouts(names, 20, 0.03)
    search(at, planted, 0.03, most=40)
    assert at.strain > 4.0


def test_what_fits_is_not_strained() -> None:
    names = tuple(f"f{i:04}" for i in range(1000))
    for seed in range(3):
        at = whereabouts(names, 2, 0.05)
        search(at, {"f0007", "f0700"}, 0.05, seed)
        assert at.strain < 4.0


def test_noise_that_few_runs_made_look_small_is_found_out() -> None:
    """Said to be a sixth of what it is: that is neither strain nor a second, small item."""
    names, right = tuple(f"f{i:04}" for i in range(1000)), 0
    for seed in range(8):
        planted = set(random.Random(seed).sample(names, 1))
        at = whereabouts(names, 1, 0.005)
        found, _ = search(at, planted, 0.03, seed, said=(0.005, 2.0))
        right += found == planted and at.strain < 4.0
    assert right >= 7


def test_an_item_that_was_ruled_out_is_not_named_again() -> None:
    at = whereabouts(("a", "b"), 1, 0.03)
    next_sets(at, 8, random.Random(0))
    at.rule_out("a")
    assert list(at.suspects(0.9)) == [("b",)]


def test_where_all_are_ruled_out_nothing_is_possible() -> None:
    at = whereabouts(("a", "b"), 1, 0.03)
    next_sets(at, 8, random.Random(0))
    assert at.possible
    for name in ("a", "b"):
        at.rule_out(name)
    assert not at.possible


def test_a_set_that_was_run_again_counts_once() -> None:
    at = whereabouts(("a", "b", "c", "d"), 1, 0.2)
    (first, *_) = next_sets(at, 1, random.Random(0))
    seen = Outcome(Probe(first, runs=1), "unresolved", 0.2, 0, 0, "", 0.2)
    at.learn([seen])
    once = at.suspects(0.9)
    at.learn([seen])
    assert at.suspects(0.9) == once


def test_a_run_that_gave_nothing_tells_nothing() -> None:
    at = whereabouts(("a", "b", "c", "d"), 1, 0.03)
    (first, *_) = next_sets(at, 1, random.Random(0))
    before = at.suspects(0.9)
    at.learn([Outcome(Probe(first, runs=1), "unresolved", 0.0, -math.inf, math.inf, "", math.inf)])
    assert at.suspects(0.9) == before


@settings(deadline=None, max_examples=8)
@given(
    planted=st.sets(st.integers(0, 9), min_size=1, max_size=3),
    gains=st.lists(st.floats(0.4, 1.0), min_size=3, max_size=3),
)
def test_uneven_gains_are_told_apart(planted: set[int], gains: list[float]) -> None:
    names = tuple(f"f{i:02}" for i in range(100))
    of = dict(zip((names[10 * i + 3] for i in sorted(planted)), gains, strict=False))
    whole, noise = sum(of.values()), 0.01
    at = Whereabouts(line(names), whole, noise, noise)
    for _ in range(30):
        places = at.suspects(0.9)
        if len(places) <= at.items and all(len(place) == 1 for place in places):
            nothing = [name for (name,) in places if name not in of]
            if not nothing:
                break
            at.rule_out(nothing[0])
            continue
        outcomes = []
        for items in next_sets(at, 8, random.Random(0)):
            gain = sum(of.get(name, 0.0) for name in items)
            outcomes.append(Outcome(Probe(items, runs=1), "unresolved", gain, 0, 0, "", noise))
        at.learn(outcomes)
    assert {name for place in at.suspects(0.9) for name in place} == set(of)
