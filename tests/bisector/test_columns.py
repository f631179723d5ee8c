"""Counts in columns are what they are one by one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisector.columns import KEPT, Counts, Roster
from bisector.observations import Delivered

TARGETS = [f"m:f{i}" for i in range(12)]
COUNTED = st.dictionaries(
    st.sampled_from(TARGETS),
    st.builds(
        Delivered,
        st.integers(0, 100).map(float),
        st.integers(0, 100),
        st.floats(0, 1e9),
        st.one_of(st.none(), st.floats(0, 1e9)),
    ),
)


def told(counts: Counts, roster: Roster) -> dict[str, tuple[float, float, float]]:
    columns = (counts.calls, counts.delayed_s, counts.spun_s)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return dict(zip((roster.targets[place] for place in counts.places), rows, strict=True))


def expected(delivered: dict[str, Delivered]) -> dict[str, tuple[float, float, float]]:
    return {
        target: (
            each.calls,
            each.delayed_ns / 1e9,
            math.nan if each.spun_ns is None else each.spun_ns / 1e9,
        )
        for target, each in delivered.items()
    }


def same(counts: Counts, roster: Roster, delivered: dict[str, Delivered]) -> None:
    assert counts.places.tolist() == sorted(counts.places.tolist())
    found, right = told(counts, roster), expected(delivered)
    assert found.keys() == right.keys()
    for target, row in found.items():
        assert row == pytest.approx(right[target], nan_ok=True)


@given(one=COUNTED, other=COUNTED)
def test_what_runs_counted_together(one: dict[str, Delivered], other: dict[str, Delivered]) -> None:
    roster = Roster(reversed(TARGETS))
    first, second = Counts.of(one, roster), Counts.of(other, roster)
    same(first, roster, one)
    both = dict(one)
    for target, each in other.items():
        both[target] = both[target].plus(each) if target in both else each
    same(first.plus(second), roster, both)


@given(counted=COUNTED, some=st.frozensets(st.sampled_from(TARGETS)))
def test_what_was_counted_of_some(counted: dict[str, Delivered], some: frozenset[str]) -> None:
    roster = Roster(TARGETS)
    within = Counts.of(counted, roster).within(roster.places(some))
    same(within, roster, {target: each for target, each in counted.items() if target in some})


def test_what_is_not_in_a_roster_has_no_place_there() -> None:
    roster = Roster(TARGETS[:3])
    assert roster.places(frozenset((TARGETS[2], "x:y", TARGETS[0]))).tolist() == [0, 2]
    assert Counts.of({"x:y": Delivered(1.0, 1, 1.0)}, roster).places.tolist() == []


def test_a_roster_remembers_few_sets() -> None:
    roster = Roster(TARGETS)
    sets = [frozenset(TARGETS[i] for i in range(12) if number >> i & 1) for number in range(200)]
    for each in sets * 2:
        assert [roster.targets[place] for place in roster.places(each)] == sorted(
            each, key=TARGETS.index
        )
    assert len(roster._known) <= KEPT
