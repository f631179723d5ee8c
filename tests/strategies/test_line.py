"""Items in the order of the tree: exact sums, and cuts that balance and keep together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.line import Line
from strategies.protocol import Item

NAMES = st.text("ab", min_size=1, max_size=3)
ITEMS = st.lists(
    st.builds(lambda path, mass: (tuple(path), mass), st.lists(NAMES, max_size=3), st.floats(0, 1)),
    min_size=2,
    max_size=30,
).map(lambda made: [Item(f"f{i}", mass, path) for i, (path, mass) in enumerate(made)])


@given(items=ITEMS)
def test_a_line_is_in_the_order_of_the_tree_and_weighs_what_its_items_do(items: list[Item]) -> None:
    line = Line.of(items)
    of = {item.name: item for item in items}
    assert [(of[name].path, name) for name in line.names] == sorted((i.path, i.name) for i in items)
    assert line.masses.tolist() == pytest.approx([of[name].mass for name in line.names], abs=1e-12)


@given(items=ITEMS, data=st.data())
def test_some_items_of_a_line_are_the_line_of_those_items(
    items: list[Item], data: st.DataObject
) -> None:
    some = data.draw(st.sets(st.sampled_from(items), min_size=2))
    part, alone = Line.of(items).part({item.name for item in some}), Line.of(some)
    assert part.names == alone.names
    assert part.shared.tolist() == alone.shared.tolist()
    assert part.masses.tolist() == pytest.approx(alone.masses.tolist(), abs=1e-12)


@given(items=ITEMS)
def test_halves_are_all_items_the_heavier_half_first(items: list[Item]) -> None:
    line = Line.of(items)
    heavy, light = line.halves()
    assert min(len(heavy), len(light)) >= 1
    assert line.names in (heavy + light, light + heavy)
    mass = {item.name: item.mass for item in items}
    assert sum(mass[n] for n in heavy) >= sum(mass[n] for n in light) - 1e-9


def test_where_halves_balance_the_tree_says_where_to_cut() -> None:
    paths = {"a": ("p",), "b": ("p",), "c": ("q",), "d": ("q", "r"), "e": ("q", "r")}
    line = Line.of(Item(name, 1.0, ("*:*", *path)) for name, path in paths.items())
    assert line.shared.tolist() == [2, 1, 2, 3]
    assert line.cut(0, 5) == 2  # p and q; the middle is as even
    assert line.cut(2, 5) == 3


def test_where_nothing_balances_the_cut_is_the_most_even_one() -> None:
    line = Line.of([Item("a", 0.1, ("p",)), Item("b", 0.1, ("p",)), Item("c", 9.0, ("p",))])
    assert line.halves() == (("c",), ("a", "b"))


def test_items_without_mass_can_be_cut_too() -> None:
    assert Line.of(Item(name, 0.0, ()) for name in "abcd").halves() == (("a", "b"), ("c", "d"))
