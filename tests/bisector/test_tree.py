"""The module tree: patterns mean exactly their node, units respect the prior mass."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bisector.discovery import Function
from bisector.tree import ROOT, Tree
from injector.patterns import parse


def function(target: str) -> Function:
    return Function(target, "x.py", 1, 1.0, 1e-3, 0.0, 0.0)


TARGETS = [
    "__main__:<module>",
    "__main__:main",
    "pkg:<module>",
    "pkg:top",
    "pkg.a:f",
    "pkg.a:C.m",
    "pkg.a:C.n",
    "pkg.a:f.<locals>.g",
    "pkg.b.c:h",
    "pkgs.other:x",
    "pkgs.other:x@12",
    "pkgs.other:x@13",
    "pkgs.other:C.y@20",
    "zlib:compress",
]
TREE = Tree(function(t) for t in TARGETS)


def test_every_node_is_a_pattern_that_means_exactly_it() -> None:
    for node in TREE.graph.nodes:
        patterns = parse([node])
        matched = {t for t in TARGETS if patterns.matches(*t.split(":", 1), "x.py")}
        assert matched == TREE.below(node), node


def test_cover_is_the_fewest_nodes() -> None:
    assert TREE.cover(TREE.functions) == (ROOT,)
    assert TREE.cover(["pkg.a:C.m", "pkg.a:C.n"]) == ("pkg.a:C.*",)
    assert set(TREE.cover(["pkg.a:C.m", "pkg.b.c:h"])) == {"pkg.a:C.m", "pkg.b.c:h"}


@given(st.sets(st.sampled_from(TARGETS), min_size=1))
def test_cover_stands_for_exactly_the_set(targets: set[str]) -> None:
    cover = TREE.cover(targets)
    assert frozenset().union(*(TREE.below(node) for node in cover)) == targets


@given(
    st.dictionaries(st.sampled_from(TARGETS), st.floats(0.0, 1.0), min_size=1),
    st.floats(0.01, 2.0),
)
def test_units_and_remainder_partition_the_functions(
    mass: dict[str, float], threshold: float
) -> None:
    units, rest = TREE.units(mass, threshold)
    named = [t for unit in units for t in unit.functions] + rest
    assert sorted(named) == sorted(TARGETS)
    assert all(unit.mass >= threshold for unit in units)
    assert all(mass.get(t, 0.0) < threshold for t in rest)


def test_units_within_a_part_of_the_tree_are_of_that_part_alone() -> None:
    tree = Tree([function("a:f"), function("a:g"), function("a:h")])
    part = tree.within(frozenset({"a:g", "a:h"}))
    units, rest = part.units({"a:g": 0.06, "a:h": 0.06}, 0.1)
    assert [(unit.name, unit.functions) for unit in units] == [("a:g, a:h", ("a:g", "a:h"))]
    whole, _ = tree.units({"a:f": 0.5, "a:g": 0.06, "a:h": 0.06}, 0.1)
    assert [unit.name for unit in whole] == ["a:f"]
    assert rest == []


def test_what_cannot_be_slowed_is_not_covered_by_a_name() -> None:
    tree = Tree([function("a:f"), function("a:g")], beside=["b:loop"])
    assert tree.name(["a:f", "a:g"]) == "a:*"
    assert tree.cover(["a:f"]) == ("a:f",)
    whole = Tree([function("a:f"), function("b:g")], beside=["b:loop"])
    assert whole.name(["a:f", "b:g"]) == "a:f, b:g"
    units, rest = whole.units({"a:f": 0.5, "b:g": 0.2}, 0.1)
    assert {unit.name for unit in units} == {"a:f", "b:g"}
    assert rest == []


def test_the_lines_of_a_function_are_a_node_beside_what_is_left_of_it() -> None:
    assert TREE.path("pkgs.other:C.y@20")[-3:] == (
        "pkgs.other:C.*",
        "pkgs.other:C.y@*",
        "pkgs.other:C.y@20",
    )
    lines = {"pkgs.other:x@12", "pkgs.other:x@13"}
    assert TREE.below("pkgs.other:x@*") == lines
    assert TREE.name(lines) == "pkgs.other:x@*"
