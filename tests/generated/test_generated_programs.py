"""The generated programs are sound: the same recipe gives the same program, which prints a rate,
and the truth about it holds when a function is made longer by hand.

What the tool makes of them is asked by `make accuracy` and, of a few, in `test_end_to_end`.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from generated.program import Program, write
from generated.recipes import PHASES, RECIPES, Recipe

HERE = Path(__file__).parent
EVERY = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)

EACH = 8
SOME_ALWAYS = pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(recipe, id=recipe.name, marks=[pytest.mark.thorough] if i % EACH else [])
        for i, recipe in enumerate(RECIPES)
    ],
)
"""Each of them takes seconds: the rest is for `make accuracy`."""

ROUNDS, STEPS = 7, 8
"""Pairs of stretches, and units in each: a multiple of every period in the recipes."""

LONGER = 0.2
"""How much longer a planted function is made, as a share of a unit. What is hidden stays hidden."""


ATTEMPTS = 3


def texts(program: Program) -> dict[str, str]:
    folder = program.script.parent
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.py")}


def functions(program: Program) -> set[str]:
    """Every function of a program, as the tool names it (methods' classes are not nested)."""
    found = set()
    for name, text in texts(program).items():
        module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                found.add(f"{module}:{node.name}")
            elif isinstance(node, ast.ClassDef):
                methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
                found |= {f"{module}:{node.name}.{method.name}" for method in methods}
    return found


def lengthened(program: Program) -> dict[str, float]:
    """How much longer a unit is with each planted function longer, as a share of a unit."""
    folder, unit_us = program.script.parent, program.recipe.unit_us
    command = [sys.executable, str(HERE / "lengthened.py"), str(folder), str(ROUNDS), str(STEPS)]
    for planted in program.planted:
        factor = 1 + LONGER * unit_us / planted.work.us_per_unit
        command.append(f"{planted.constant}={factor}")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {constant: ratio - 1 for constant, ratio in json.loads(done.stdout).items()}


def test_the_recipes_differ_in_what_matters() -> None:
    works = [work for recipe in RECIPES for work in (*recipe.critical, *recipe.hidden)]
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES) >= 12
    assert {recipe.depth for recipe in RECIPES} == set(range(1, 7))
    assert {len(recipe.critical) for recipe in RECIPES} == {0, 1, 2, 3}
    assert max(work.calls for work in works) >= 100
    assert max(work.every for work in works) > 1
    assert {work.kind for work in works} == {
        "function", "method", "generator", "recursion", "pack", "digest", "wait"
    }  # fmt: skip
    assert {recipe.worker for recipe in RECIPES if recipe.assist} == {"thread", "process"}
    assert {recipe.longest for recipe in RECIPES} == {"prepare", "assist", "device", None}
    decoys = [
        recipe
        for recipe in RECIPES
        if recipe.critical
        and max((work.us_per_unit for work in recipe.hidden), default=0)
        > max(work.us_per_unit for work in recipe.critical)
    ]
    assert len(decoys) >= 5, "programs whose hottest function is hidden"


@EVERY
def test_what_is_planted_is_well_above_the_threshold_or_well_hidden(recipe: Recipe) -> None:
    total = sum(work.us_per_unit for work in recipe.critical)
    assert all(work.us_per_unit > 0.1 * total for work in recipe.critical)
    if recipe.longest:
        lanes = {phase: sum(w.us_per_unit for w in recipe.works(phase)) for phase in PHASES}
        lanes["device"] = recipe.kernel_us
        assert sum(work.us_per_unit for work in recipe.hidden) < 0.6 * lanes[recipe.longest]


@EVERY
def test_the_same_recipe_gives_the_same_program_and_another_seed_another(
    recipe: Recipe, tmp_path: Path
) -> None:
    first = write(recipe, tmp_path / "first")
    again = write(recipe, tmp_path / "again")
    other = write(replace(recipe, seed=1), tmp_path / "other")
    assert texts(first) == texts(again)
    assert first.planted == again.planted
    assert texts(first) != texts(other)


@EVERY
def test_the_truth_names_functions_that_exist(recipe: Recipe, tmp_path: Path) -> None:
    program = write(recipe, tmp_path)
    case = program.case
    assert case.must_be_sensitive | case.must_not_be_sensitive <= functions(program)
    assert not case.must_be_sensitive & case.must_not_be_sensitive
    assert case.waiting | set(case.gains) <= case.must_be_sensitive
    assert (case.verdict == "sensitive") == bool(case.must_be_sensitive)
    depth = max(planted.target.partition(":")[0].count(".") for planted in program.planted) + 1
    assert depth == recipe.depth


@pytest.mark.process
@EVERY
def test_the_program_prints_one_rate(recipe: Recipe, tmp_path: Path) -> None:
    program = write(recipe, tmp_path)
    command = [sys.executable, str(program.script), "--steps", "16"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert re.fullmatch(r"throughput: [0-9.]+ units/s\n", done.stdout)


@pytest.mark.process
@pytest.mark.investigation
@SOME_ALWAYS
def test_a_unit_grows_with_what_is_critical_and_not_with_what_is_hidden(
    recipe: Recipe, tmp_path: Path
) -> None:
    program = write(recipe, tmp_path)
    critical = {planted.constant: planted.critical for planted in program.planted}
    # Where all processors are busy with something else, what is hidden may be felt for a while.
    for _ in range(ATTEMPTS):
        rises = lengthened(program)
        if {constant: rise > LONGER / 2 for constant, rise in rises.items()} == critical:
            return
    pytest.fail(f"rises of a unit {rises}, critical {critical}")
