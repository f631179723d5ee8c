"""Thousands of trials of one kind of program, and what they say of a strategy and of the engine."""

from __future__ import annotations

import resource
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from bisector.engine import EngineSettings
from bisector.simulation.blueprints import Plan, blueprint
from bisector.simulation.noise import noise
from bisector.simulation.program import SyntheticProgram
from bisector.simulation.trial import Trial, investigate

BESIDE = ("sweep", "complete")
"""What is reported beside the runs that an answer takes: they only make it more certain."""

AT_ONCE = 8
"""Trials that a worker makes before it reports."""


@dataclass(frozen=True, slots=True)
class Study:
    """What is to be simulated. ``cv``: the noise of one run; ``budget`` in undelayed runs."""

    plan: Plan = field(default_factory=Plan)
    noise: str = "normal"
    cv: float = 0.03
    trials: int = 200
    seed: int = 0
    strategy: str = "bisect"
    budget: float = 2000.0
    threshold: float = 0.05
    min_gain: float | None = None
    ladder: bool = False
    """Whether other doses than the plan's may be used, as in an investigation; then that is where
    it begins."""
    confidence: float = 0.95
    jobs: int = -1

    @property
    def least(self) -> float:
        """The gain below which a program is insensitive: half of a planted one's, unless given."""
        return 0.5 * self.plan.own if self.min_gain is None else self.min_gain

    def trial(self, number: int) -> Trial:
        """One of them."""
        seed = self.seed + number
        program = SyntheticProgram(
            blueprint(self.plan, seed), noise(self.noise, self.cv, seed + 1_000_003)
        )
        settings = EngineSettings(
            budget_s=self.budget,
            threshold=self.threshold,
            min_gain=self.least,
            confidence=self.confidence,
            seed=seed,
            dose=None if self.ladder else self.plan.dose,
            strategy=self.strategy,
        )
        return investigate(program, settings)


def run(study: Study) -> dict[str, Any]:
    """All trials, side by side; the document of ``simulate --json``."""
    from joblib import Parallel, delayed  # type: ignore[import-untyped]

    at_once = max(1, min(AT_ONCE, study.trials // 4))
    numbers = range(study.trials)
    batches = [numbers[first : first + at_once] for first in range(0, study.trials, at_once)]
    made = Parallel(n_jobs=study.jobs)(delayed(_some)(study, batch) for batch in batches)
    trials = [trial for batch, _ in made for trial in batch]
    return document(study, trials, max(memory for _, memory in made))


def _some(study: Study, numbers: Sequence[int]) -> tuple[list[Trial], float]:
    return [study.trial(number) for number in numbers], _peak_mb()


def document(study: Study, trials: Sequence[Trial], memory_mb: float) -> dict[str, Any]:
    """What the trials come to."""
    counted = [_runs(trial) for trial in trials]
    every = [sum(trial.runs.values()) for trial in trials]
    decisions = [1e3 * s for trial in trials for s in trial.decisions_s]
    purposes = sorted({purpose for trial in trials for purpose in trial.runs})
    return {
        "schema_version": 1,
        "trials": len(trials),
        "recall": _share(sum(t.found for t in trials), sum(t.planted for t in trials)),
        "precision": _share(sum(t.found for t in trials), sum(t.reported for t in trials)),
        "family_wise_error": _share(sum(1 for t in trials if t.false), len(trials)),
        "coverage": _share(sum(t.covered for t in trials), sum(t.intervals for t in trials)),
        "bounds_exceeded": _share(sum(1 for t in trials if t.exceeded), len(trials)),
        "certified": _share(sum(1 for t in trials if t.stop_reason == "certified"), len(trials)),
        "verdicts": dict(Counter(t.verdict for t in trials)),
        "shapes": dict(Counter(shape for t in trials for shape in t.shapes)),
        "co_critical_named": _share(sum(1 for t in trials if t.together), len(trials)),
        "runs": {
            **_quantiles(counted),
            "with_sweep_and_complete": _quantiles(every),
            "by_purpose": {
                purpose: float(np.median([t.runs[purpose] for t in trials])) for purpose in purposes
            },
        },
        "cost_baseline_units": _quantiles([t.cost for t in trials]),
        "decision_ms": {**_quantiles(decisions), "mean": float(np.mean(decisions))},
        "memory_mb": memory_mb,
        "settings": {**asdict(study), "min_gain": study.least},
    }


def _runs(trial: Trial) -> int:
    return sum(count for purpose, count in trial.runs.items() if purpose not in BESIDE)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _quantiles(values: Iterable[float]) -> dict[str, float]:
    known = np.array(list(values))
    return {"median": float(np.median(known)), "p90": float(np.quantile(known, 0.9))}


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
