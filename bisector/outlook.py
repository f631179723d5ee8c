"""What an answer will cost, as far as a first look tells: ``--dry-run``.

The investigation is stopped once it knows whether Python matters at all and how much runs vary; all
of it is then simulated (`bisector.simulation`) with as many functions, that noise and that
gain, for answers of different size. The run can be resumed, so that nothing was measured in vain.
"""

from __future__ import annotations

from typing import Literal

from bisector.lab import Lab
from bisector.observations import RunRequest
from bisector.schema import Number, Part
from bisector.simulation.blueprints import Plan
from bisector.simulation.study import Study, run
from bisector.statistics import CONTROL
from bisector.summary import Summary

ENTRIES = (1, 3, 10)
"""Sizes of the answer that are simulated: so many functions that matter alike."""

TRIALS = 5
MOST_FUNCTIONS = 1000
"""More cost hardly more runs, but take long to simulate."""

MOST_RUNS = 400
"""More are not simulated."""

LEAST_NOISE = 0.002
LEAST_CONTROLS = 8
"""Undelayed windows, where the CPU time of the work tells what others do to it."""


class Scenario(Part):
    """An answer with so many ``entries``: runs that are still needed, in the middle and in nine
    cases of ten, and how long they take; None where that is more than can be simulated."""

    entries: int
    runs: Number | None
    runs_p90: Number | None
    seconds: Number | None


class Outlook(Part):
    """What is known so far, and what the rest will cost. ``run_s``: of a run or window, with what
    goes on around it."""

    schema_version: Literal[1] = 1
    functions: int
    cv: Number
    estimated_gain: Number
    spent_s: Number
    run_s: Number
    scenarios: list[Scenario]
    run_directory: str


def is_known(request: RunRequest, lab: Lab) -> bool:
    """Whether all is known what an outlook needs: the search is about to begin, or, where a window
    costs little, has gone on until it is clear how much undelayed ones vary."""
    if not request.is_run:
        return True
    if not request.targets or request.targets == lab.everything:
        return False
    return not lab.own.of_window or lab.baseline.count(CONTROL) >= LEAST_CONTROLS


def outlook(summary: Summary, functions: int, cv: float) -> Outlook | None:
    """The outlook of an investigation that was stopped before its search; None where it has ended,
    or nothing is known.

    Args:
        functions: how many can be slowed.
        cv: noise of one run, without what is explained by what else the processors do.
    """
    root = summary.root
    if summary.stop_reason != "interrupted" or root is None or root.estimated_gain is None:
        return None
    gain, dose = root.estimated_gain.estimate, root.dose
    run_s = summary.cost.wall_s / max(summary.cost.runs, 1)
    scenarios = []
    for entries in ENTRIES:
        if entries > functions or gain <= 0.0:
            continue
        plan = Plan(min(functions, MOST_FUNCTIONS), entries, gain * dose / entries, dose)
        study = Study(
            plan,
            cv=max(cv, LEAST_NOISE),
            trials=TRIALS,
            budget=MOST_RUNS,
            min_gain=min(0.01, 0.5 * plan.own),
            ladder=True,
            jobs=1,
        )
        scenarios.append(_scenario(entries, run(study), summary.cost.runs, run_s))
    return Outlook(
        functions=functions,
        cv=cv,
        estimated_gain=gain,
        spent_s=summary.cost.wall_s,
        run_s=run_s,
        scenarios=scenarios,
        run_directory=summary.run_directory,
    )


def _scenario(entries: int, said: dict[str, object], made: int, run_s: float) -> Scenario:
    if said["certified"] != 1.0:
        return Scenario(entries=entries, runs=None, runs_p90=None, seconds=None)
    every = said["runs"]["with_sweep_and_complete"]  # type: ignore[index]
    left, most = (max(every[which] - made, 0.0) for which in ("median", "p90"))
    return Scenario(entries=entries, runs=left, runs_p90=most, seconds=left * run_s)
