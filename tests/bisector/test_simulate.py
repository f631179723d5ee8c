"""Simulated programs do what is planted in them, and a study of them says what came of it."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from bisector.answer import Answer
from bisector.cli import main
from bisector.lab import EngineSettings, Lab
from bisector.simulation.blueprints import SHAPES, Plan, blueprint
from bisector.simulation.noise import MODELS, noise
from bisector.simulation.program import Blueprint, Part, SyntheticProgram
from bisector.simulation.study import Study, run
from bisector.simulation.trial import dose_of, judge


@pytest.mark.parametrize("model", sorted(set(MODELS) - {"drift", "outliers", "bimodal"}))
def test_noise_has_the_size_that_was_asked_for(model: str) -> None:
    drawn = list(islice(noise(model, 0.05, 1), 20_000))
    assert statistics.stdev(drawn) == pytest.approx(0.05, rel=0.2)
    assert statistics.median(drawn) == pytest.approx(0.0, abs=0.005)


def test_the_same_seed_gives_the_same_noise_and_the_same_program() -> None:
    for model in MODELS:
        first, second = (list(islice(noise(model, 0.03, 7), 50)) for _ in range(2))
        assert first == second
    one, two = (blueprint(Plan(functions=200), 3) for _ in range(2))
    assert (one.names, one.truth, one.parts) == (two.names, two.truth, two.parts)


@pytest.mark.parametrize(
    ("part", "alone", "both"),
    [
        (Part((0, 1)), 1.0, 2.0),
        (Part((0, 1), "max"), 1.0, 1.0),
        (Part((0, 1), "min"), 0.0, 1.0),
        (Part((0, 1), slack=1.5), 0.0, 0.5),
        (Part((0, 1), critical=0.5), 0.5, 1.0),
        (Part((0, 1), ceiling=1.2), 1.0, 1.2),
    ],
)
def test_delays_meet_as_the_part_says(part: Part, alone: float, both: float) -> None:
    printed = Blueprint(("a:f", "b:g", "c:h"), np.ones(3), (part,), ())
    program = SyntheticProgram(printed, noise("normal", 1e-6, 0))
    added = [program.time_per_unit(frozenset(t), 1.0) - 1.0 for t in (["a:f"], ["a:f", "b:g"])]
    assert added == pytest.approx([alone, both])
    assert program.time_per_unit(frozenset(["c:h"]), 1.0) == 1.0


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("prior", ["uninformative", "realistic"])
def test_what_is_planted_has_the_effect_that_was_asked_for(shape: str, prior: str) -> None:
    plan = Plan(400, 2, effect=0.2, dose=0.5, shape=shape, prior=prior)
    printed = blueprint(plan, 5)
    program = SyntheticProgram(printed, noise("normal", 1e-6, 0))
    assert len(set(printed.names)) == 400
    assert printed.truth
    for functions in printed.truth:
        assert program.time_per_unit(functions, plan.dose) == pytest.approx(1.2)
    hidden = frozenset(printed.names).difference(*printed.truth)
    assert program.time_per_unit(hidden, plan.dose) == pytest.approx(1.0)


def test_a_study_says_how_right_the_answers_were_and_what_they_cost() -> None:
    said = run(Study(Plan(functions=60, sensitive=2), trials=12, cv=0.01, jobs=1))
    assert said["trials"] == 12
    assert (said["recall"], said["precision"], said["family_wise_error"]) == (1.0, 1.0, 0.0)
    assert said["coverage"] > 0.8
    assert said["verdicts"] == {"sensitive": 12}
    assert 10 < said["runs"]["median"] <= said["runs"]["p90"]
    assert said["runs"]["with_sweep_and_complete"]["median"] > said["runs"]["median"]
    assert said["cost_baseline_units"]["median"] > said["runs"]["median"]


def test_the_same_seed_gives_the_same_study() -> None:
    def made(seed: int) -> str:
        said = run(Study(Plan(functions=40, sensitive=1), trials=3, seed=seed, jobs=1))
        return json.dumps({key: said[key] for key in ("runs", "recall", "cost_baseline_units")})

    assert made(4) == made(4)
    assert made(4) != made(90)


REQUESTS = """
from bisector.engine import Engine, EngineSettings
from bisector.simulation.blueprints import Plan, blueprint
from bisector.simulation.noise import noise
from bisector.simulation.program import SyntheticProgram
for shape, seed in (("diffuse", 1), ("diffuse", 2), ("linear", 3), ("redundant", 4)):
    planted = blueprint(Plan(60, 1, shape=shape), seed)
    program = SyntheticProgram(planted, noise("normal", 0.05, seed))
    engine = Engine(EngineSettings(budget_s=300.0, min_gain=0.05, seed=seed))
    while (request := engine.ask()) is not None:
        print(request.purpose, request.dose, *sorted(request.targets))
        engine.tell(program.run(request))
"""


@pytest.mark.process
def test_the_same_observations_lead_to_the_same_requests_whatever_the_order_of_sets() -> None:
    root = Path(__file__).resolve().parents[2]
    asked = {
        subprocess.run(
            [sys.executable, "-c", REQUESTS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(asked) == 1


def test_nothing_planted_is_insensitive() -> None:
    said = run(Study(Plan(functions=60, sensitive=0), trials=8, jobs=1))
    assert said["verdicts"] == {"insensitive": 8}
    assert said["recall"] is None


@pytest.mark.parametrize("dose", [0.25, 1.0, 2.0])
def test_a_bound_is_judged_at_the_dose_that_it_is_for(dose: float) -> None:
    bounded = Lab(EngineSettings()).pruned(["a:f"], "measured", 0.03, dose)
    assert dose_of(bounded) == pytest.approx(dose)
    answer = Answer(insensitive=(bounded,))
    hidden = Blueprint(("a:f",), np.array([0.4]), (Part((0,), slack=0.5),), ())
    judged = judge(answer, SyntheticProgram(hidden, noise("normal", 1e-6, 0)))
    assert (judged.bounds, judged.exceeded) == (1, int(dose == 2.0))


@pytest.mark.simulation
@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_every_shape_is_answered_rightly(shape: str) -> None:
    said = run(Study(Plan(functions=300, sensitive=1, shape=shape), trials=12, jobs=1))
    assert said["family_wise_error"] == 0.0
    assert said["recall"] >= 0.9
    if shape == "co-critical":
        assert said["co_critical_named"] >= 0.9


def test_the_command_writes_what_is_promised(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--functions", "50", "--sensitive", "1", "--trials", "4", "--jobs", "1"]
    assert main(["simulate", *few, "--noise", "heavy:2%", "--json", "-"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert {
        *("trials", "recall", "precision", "family_wise_error", "coverage", "runs"),
        *("cost_baseline_units", "decision_ms"),
    } <= set(said)
    assert said["settings"]["noise"] == "heavy"
    assert math.isclose(said["settings"]["cv"], 0.02)
    assert main(["simulate", *few, "--no-color"]) == 0
    assert "recall" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--functions", "many"], "'many' is not a whole number"),
        (["--functions", "0"], "0 is not between 1 and"),
        (["--functions", "4", "--sensitive", "9"], "too few for --sensitive 9"),
        (["--noise", "cosmic:3%"], "there is no 'cosmic'; there are normal"),
        (["--noise", "three"], "not a fraction"),
        (["--effect", "0"], "--effect: 0 is not between"),
        (["--shape", "round"], "there is no 'round'; there are linear"),
        (["--prior", "lucky"], "there is no 'lucky'"),
        (["--strategy", "guess"], "there is no 'guess'; there are bisect"),
        (["--trials", "-1"], "-1 is not between 1 and"),
        (["--json", "/nowhere/at/all.json"], "no directory"),
        (["--", "python"], "takes no command"),
    ],
)
def test_what_cannot_be_simulated_is_said(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *words]) == 2
    assert said in capsys.readouterr().err
