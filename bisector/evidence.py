"""All that is known of a run, for reports that show more than its summary: the census of functions
and every measurement, in the order it was made.

Invariant: what stands here of measurements is what the journal holds, unweighted: medians and
ratios of raw values beside each other, no estimate and no claim. Claims are the summary's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from bisector.census import Census
from bisector.observations import Purpose, RunObserved, RunRequest
from bisector.schema import Summary


@dataclass(frozen=True, slots=True)
class Measured:
    """One run or window. ``what`` is slowed (empty: nothing), ``change`` is that of throughput
    against the undelayed runs of its block; ``set`` tells sets with the same name apart."""

    number: int
    purpose: Purpose
    block: int
    what: str
    functions: int
    dose: float
    delay_ns: float | None
    elapsed_s: float
    wall_s: float
    status: str
    time_per_unit_s: float | None
    reason: str
    set: int
    waits: bool = True
    change: float | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """The same code slowed by the same dose for the same purpose, in however many runs."""

    purpose: Purpose
    what: str
    functions: int
    dose: float
    delay_ns: float | None
    waits: bool
    runs: int
    failed: int
    slow: int
    time_per_unit_s: float | None
    change: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """See the module docstring. ``census`` None: the run was made before there was one.
    ``going_on``: it was still being made when this was read."""

    summary: Summary
    census: Census | None
    measured: Sequence[Measured] = ()
    going_on: bool = False

    @property
    def experiments(self) -> list[Experiment]:
        """What was measured, by what was done, in the order it was first done."""
        groups: dict[object, list[Measured]] = {}
        for run in self.measured:
            key = (run.purpose, run.set, run.dose, run.delay_ns, run.waits)
            groups.setdefault(key, []).append(run)
        return [_experiment(runs) for runs in groups.values()]


def measured(observations: Iterable[tuple[RunRequest, RunObserved]]) -> list[Measured]:
    """The rows of a journal, each compared with the undelayed runs of its block, or with all where
    its block has none."""
    sets: dict[frozenset[str], int] = {frozenset(): 0}
    rows = []
    undelayed: dict[int, list[float]] = {}
    for request, observed in observations:
        if not request.is_run:
            continue
        targets = request.targets if request.dose or request.delay_ns else frozenset[str]()
        rows.append(_row(request, observed, sets.setdefault(targets, len(sets)), len(targets)))
        if not targets and request.purpose != "discard" and _is_timed(observed):
            undelayed.setdefault(request.block, []).append(observed.time_per_unit_s or 0.0)
    everywhere = [time_s for times in undelayed.values() for time_s in times]
    return [_compared(row, undelayed.get(row.block) or everywhere) for row in rows]


def _is_timed(observed: RunObserved) -> bool:
    """Whether it says how long a unit takes when nobody looks closer."""
    return observed.status == "ok" and bool(observed.time_per_unit_s) and not observed.discovery


def _row(request: RunRequest, observed: RunObserved, number: int, functions: int) -> Measured:
    return Measured(
        number=request.seq,
        purpose=request.purpose,
        block=request.block,
        what=request.label if functions else "",
        functions=functions,
        dose=request.dose,
        delay_ns=request.delay_ns,
        elapsed_s=observed.elapsed_s,
        wall_s=observed.wall_s,
        status=observed.status,
        time_per_unit_s=observed.time_per_unit_s,
        reason=observed.reason or "",
        set=number,
        waits=request.waits,
    )


def _compared(row: Measured, undelayed: Sequence[float]) -> Measured:
    if not row.set or row.status != "ok" or not row.time_per_unit_s or not undelayed:
        return row
    return replace(row, change=median(undelayed) / row.time_per_unit_s - 1.0)


def _experiment(runs: Sequence[Measured]) -> Experiment:
    first = runs[0]
    times = [r.time_per_unit_s for r in runs if r.status == "ok" and r.time_per_unit_s is not None]
    changes = [r.change for r in runs if r.change is not None]
    return Experiment(
        purpose=first.purpose,
        what=first.what,
        functions=first.functions,
        dose=first.dose,
        delay_ns=first.delay_ns,
        waits=first.waits,
        runs=len(runs),
        failed=sum(r.status == "failed" for r in runs),
        slow=sum(r.status == "slow" for r in runs),
        time_per_unit_s=median(times) if times else None,
        change=median(changes) if changes else None,
        reason=next((r.reason for r in runs if r.reason), ""),
    )
