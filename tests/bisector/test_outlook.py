"""``--dry-run``: what the rest of an investigation will cost, and that it can go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from answers import CONTEXT, PYTHON_BOUND

from bisector.cli import main
from bisector.outlook import outlook
from bisector.summary import summarize


def test_a_smaller_gain_and_more_entries_cost_more() -> None:
    said = outlook(summarize(replace(PYTHON_BOUND, stop_reason="interrupted"), CONTEXT), 200, 0.01)
    assert said is not None
    assert said.functions == 200
    assert [scenario.entries for scenario in said.scenarios] == [1, 3, 10]
    runs = [scenario.runs for scenario in said.scenarios if scenario.runs is not None]
    assert runs == sorted(runs)
    for scenario in said.scenarios:
        assert (scenario.runs is None) == (scenario.seconds is None)


def test_of_what_has_ended_there_is_no_outlook() -> None:
    assert outlook(summarize(PYTHON_BOUND, CONTEXT), 200, 0.01) is None


@pytest.mark.process
@pytest.mark.investigation
@pytest.mark.thorough
def test_a_dry_run_says_what_it_will_cost_and_is_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "gpu_serving" / "bench.py"
    kept = ["--output", str(tmp_path / "run"), "--quiet"]
    words = [str(example), "--budget", "25s", *kept, "--dry-run", "--json", "-"]
    assert main([*words, "--", "--bound", "python", "--steps", "20000"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["functions"] > 10
    assert said["run_directory"] == str(tmp_path / "run")
    assert main(["resume", str(tmp_path / "run"), "--quiet", "--json", "-"]) in (0, 3)
    summary = json.loads(capsys.readouterr().out)
    assert summary["cost"]["wall_s"] > said["spent_s"]
