"""Whole investigations of real programs through the command line: what is said is never wrong.

Whether the answer is certain within a short budget depends on how quiet the machine is, so these
ask for the truth or an honest "inconclusive"; `make cases` and `make accuracy` ask for the answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from accuracy import judge
from cases.truth import CASES
from generated.program import write
from generated.recipes import RECIPES
from investigation import ROOT, investigate
from judgement import wrong

HERE = Path(__file__).parent
THOROUGH = pytest.mark.thorough

pytestmark = [pytest.mark.process, pytest.mark.investigation]


def exit_code(summary: dict[str, Any]) -> int:
    return {"certified": 0, "budget": 3}[summary["stop_reason"]]


@pytest.mark.parametrize(
    "program", ["device_bound.py", pytest.param("wait_dominates.py", marks=THOROUGH)]
)
def test_a_case_is_answered_rightly_or_not_at_all(program: str) -> None:
    case = next(case for case in CASES if case.program == program)
    done = investigate(HERE / "cases" / program, case.args, budget="20s")
    assert done.summary is not None, done.errors
    assert wrong(done.summary, case) == []
    assert done.exit_code == exit_code(done.summary)
    assert done.summary["cost"]["wall_s"] < 20 + 5


@pytest.mark.parametrize("name", ["deep", pytest.param("decoy_before_wait", marks=THOROUGH)])
def test_a_generated_program_is_answered_rightly_or_not_at_all(name: str, tmp_path: Path) -> None:
    program = write(next(recipe for recipe in RECIPES if recipe.name == name), tmp_path)
    done = investigate(program.script, program.case.args, budget="20s")
    outcome, complaints = judge(program, done)
    assert outcome in ("right", "undecided"), complaints
    assert done.summary is not None
    assert done.exit_code == exit_code(done.summary)


@THOROUGH
@pytest.mark.parametrize("name", ["richards", "deltablue"])
def test_pyperformances_own_benchmarks_get_no_wrong_verdict(name: str) -> None:
    pytest.importorskip("pyperformance")
    rounds = {"richards": "5", "deltablue": "40"}[name]
    done = investigate(HERE / "programs" / "pyperformance_loop.py", (name, rounds), budget="12s")
    assert done.summary is not None, done.errors
    assert done.exit_code == exit_code(done.summary)
    # All Python there is runs in one lane: it cannot be that slowing it costs nothing.
    assert done.summary["verdict"] != "insensitive"
    if done.summary["stop_reason"] == "certified":
        assert all(name in found["target"] for found in done.summary["sensitive"])


def test_a_fixed_duration_needs_a_metric() -> None:
    done = investigate(
        ROOT / "tests" / "cases" / "bad" / "fixed_duration.py",
        budget="60s",
        options=("--metric", "time", "--min-gain", "20%"),
    )
    assert done.summary is not None, done.errors
    if done.summary["stop_reason"] == "failed":
        assert "fixed time" in done.summary["headline"]
        assert done.exit_code == 1
    else:
        assert done.summary["verdict"] == "inconclusive"
