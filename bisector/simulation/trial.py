"""One investigation of a synthetic program, and how far its answer is right."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from bisector.answer import Answer, Interval, Pruned
from bisector.engine import Engine, EngineSettings
from bisector.observations import RunRequest
from bisector.simulation.program import SyntheticProgram

MOST_RUNS = 20_000


@dataclass(slots=True)
class Trial:
    """What came of one. Sets count as found only where they are exactly right."""

    verdict: str
    stop_reason: str
    planted: int
    found: int
    reported: int
    false: int
    """Reported ones that hold code which does not matter."""
    together: bool
    """Whether co-critical ones were named as such."""
    intervals: int = 0
    covered: int = 0
    bounds: int = 0
    exceeded: int = 0
    shapes: list[str] = field(default_factory=list)
    """Of the entries that were found."""
    runs: Counter[str] = field(default_factory=Counter)
    """By what they were for: calibration, search, sweep, necessary, sufficient, complete."""
    cost: float = 0.0
    """Time of all runs, in undelayed runs."""
    decisions_s: list[float] = field(default_factory=list)


def investigate(program: SyntheticProgram, settings: EngineSettings) -> Trial:
    """The whole engine on one program."""
    engine = Engine(settings)
    runs: list[RunRequest] = []
    decisions_s: list[float] = []
    while (request := engine.ask()) is not None and len(runs) < MOST_RUNS:
        observed = program.run(request)
        if request.is_run:
            runs.append(request)
        began = time.perf_counter()
        engine.tell(observed)
        decisions_s.append(time.perf_counter() - began)
    answer = engine.answer()
    trial = judge(answer, program)
    trial.decisions_s = decisions_s
    trial.runs = _by_purpose(runs, answer, frozenset(program.blueprint.names))
    trial.cost = program.elapsed_s
    return trial


def judge(answer: Answer, program: SyntheticProgram) -> Trial:
    """Compare an answer with the truth."""
    truth = program.blueprint
    reported = {frozenset(finding.functions): finding for finding in answer.sensitive}
    matters = frozenset[str]().union(*truth.truth) if truth.truth else frozenset()
    found = [finding for functions, finding in reported.items() if functions in truth.truth]
    trial = Trial(
        verdict=answer.verdict,
        stop_reason=answer.stop_reason,
        planted=len(truth.truth),
        found=len(found),
        reported=len(reported),
        false=sum(1 for functions in reported if not functions <= matters),
        together=sum(1 for finding in found if finding.co_critical_with) == 2,
        shapes=[finding.effect.shape for finding in found],
    )
    for functions, finding in reported.items():
        effect = finding.effect
        trial.intervals += 1
        trial.covered += _holds(effect.gain, program.gain(functions, effect.dose))
    for pruned in answer.insensitive:
        trial.bounds += 1
        true = program.gain(frozenset(pruned.functions), dose_of(pruned))
        trial.exceeded += true > pruned.gain_upper95 + 1e-9
    return trial


def dose_of(pruned: Pruned) -> float:
    """The dose that a bound is for: what that adds is the gain times as much, and lowers throughput
    by the drop. A larger one may exceed a slack."""
    added = pruned.drop_upper95 / (1.0 - pruned.drop_upper95)
    return added / pruned.gain_upper95 if pruned.gain_upper95 > 0.0 else 1.0


def _holds(interval: Interval, value: float) -> bool:
    return interval.lo <= value <= interval.hi


def _by_purpose(runs: list[RunRequest], answer: Answer, everything: frozenset[str]) -> Counter[str]:
    """The control of a block that is there for the last question alone counts for that."""
    members = {frozenset(finding.functions) for finding in answer.sensitive}
    counts: Counter[str] = Counter()
    claims = {
        request.block
        for request in runs
        if request.purpose == "certificate" and any(m <= request.targets for m in members)
    }
    for request in runs:
        if request.purpose in ("discard", "discover", "baseline"):
            counts["calibration"] += 1
        elif request.purpose != "certificate":
            counts[request.purpose] += 1
        elif not request.targets:
            counts["necessary" if request.block in claims else "complete"] += 1
        elif request.targets == everything:
            counts["sufficient"] += 1
        elif request.targets in members:
            counts["necessary"] += 1
        elif any(member <= request.targets for member in members):
            counts["sufficient"] += 1
        else:
            counts["complete"] += 1
    return counts
