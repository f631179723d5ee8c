"""The investigation as an I/O-free state machine: `ask` for a run, `tell` what came of it.

The stages read top to bottom in `Engine._investigate`; each is a generator that yields requests and
is sent observations, so the same observations always lead to the same answer, which is how a
journal is replayed. The engine knows time only as ``elapsed_s`` of what it was told.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from bisector.answer import Answer, Finding, Unresolved
from bisector.certificate import certify
from bisector.discovery import Discovery, needs_bare, slowed
from bisector.events import Event, PhaseBegan
from bisector.finalists import Finalists
from bisector.guarded import StrategyFailed
from bisector.lab import BenchmarkBroken, BudgetOver, EngineSettings, Lab, Steps
from bisector.observations import RunObserved, RunRequest, discovered, effort
from bisector.root import judge_root
from bisector.search import search
from bisector.statistics import CONTROL
from bisector.sweep import sweep
from strategies.decision import Decision

if TYPE_CHECKING:
    from bisector.settings import Settings

__all__ = ["Engine", "EngineSettings", "engine_settings"]

AGREE = 1.03
"""What two discovery runs took, relative to each other, that shows neither was disturbed."""

MOST_DISCOVERIES = 5
DISCOVERY_SHARE = 0.15
"""Share of the budget by which discovery ends with what it has."""

SUSPECTED_RUNS = 3
"""Runs of a set before it is suspected without a certificate: one may have been disturbed."""

SEARCHES = 3
"""How often the search begins anew, on fresh runs, while it finds nothing: something matters."""


def engine_settings(settings: Settings) -> EngineSettings:
    """What the engine needs to know of what the user asked for."""
    return EngineSettings(
        budget_s=settings.budget_s,
        threshold=settings.threshold,
        min_gain=settings.min_gain,
        confidence=settings.confidence,
        seed=settings.seed,
        dose=settings.dose,
        delay_ns=settings.delay_ns,
        strategy=settings.strategy,
        include=settings.include,
        exclude=settings.exclude,
        timeout_s=settings.timeout_s,
    )


class Engine:
    """See the module docstring."""

    def __init__(self, settings: EngineSettings) -> None:
        self.lab = Lab(settings)
        self.runs = 0
        self._steps = self._investigate()
        self._pending: RunRequest | None = next(self._steps, None)

    def ask(self) -> RunRequest | None:
        """The run wanted next, or None when the investigation is over."""
        return self._pending

    def tell(self, observed: RunObserved) -> None:
        """What came of the pending request.

        Raises:
            UsageError: the patterns given match nothing that ran.
        """
        if self._pending is None or observed.seq != self._pending.seq:
            raise ValueError(f"observation {observed.seq} answers no pending request")
        self.lab.elapsed_s = max(self.lab.elapsed_s, observed.elapsed_s)
        self.runs += self._pending.is_run
        try:
            self._pending = self._steps.send(observed)
        except StopIteration:
            self._pending = None

    def objection(self, decision: Decision) -> str | None:
        """Why a decision cannot answer the pending request, in one sentence; None where it can."""
        objects = self.lab.outside.objection
        return "nothing is to be decided now" if objects is None else objects(decision)

    def answer(self) -> Answer:
        """Everything known so far."""
        known = _without_guesses(self.lab)
        disturbed = self.lab.disturbance.sentence()
        if disturbed is not None:
            known = replace(known, warnings=(*known.warnings, disturbed))
        trend = self.lab.baseline.trend(CONTROL)
        if trend is not None:
            sentence = (
                f"undelayed, a unit of work took {abs(trend):.0%} "
                f"{'longer' if trend > 0 else 'less'} at the end than at the beginning: does its "
                "work grow, or was it still warming up? What is compared lies close together, but "
                "gains are those of the average"
            )
            known = replace(known, warnings=(*known.warnings, sentence))
        sets = self.lab.outside.not_looked_into
        sentences = (
            f"{found.target} matters as a whole; whoever decided where to look did not look which "
            "part of it does"
            for found in known.sensitive
            if len(found.functions) > 1 and any(each.issuperset(found.functions) for each in sets)
        )
        known = replace(known, warnings=(*known.warnings, *sentences))
        discovery = self.lab.discovery
        return replace(
            known,
            baseline=self.lab.baseline.known(),
            discovery=discovery and slowed(discovery, self.lab.own.slower),
            runs=self.runs,
            experiments=self.lab.experiments,
        )

    def drain_events(self) -> list[Event]:
        """Events since the last call."""
        return self.lab.drain_events()

    def _investigate(self) -> Steps:
        lab = self.lab
        try:
            yield from self._calibrate()
            lab.emit(PhaseBegan("root", f"slowing all {len(lab.everything)} functions"))
            yield from judge_root(lab)
            if lab.known.verdict == "insensitive":
                lab.know(stop_reason="certified")
                return
            try:
                for _ in range(SEARCHES):
                    lab.finalists = Finalists()
                    lab.emit(PhaseBegan("search", f"{len(lab.everything)} functions"))
                    yield from search(lab)
                    nothing_more = lab.outside.is_done and not lab.finalists.members
                    yield from sweep(lab)
                    if lab.finalists.members or nothing_more:
                        break
            except BudgetOver:
                # The certificate has time of its own, and does not depend on how its set was found.
                lab.warn("the budget ended the search early; what it had found was put to the test")
            lab.emit(PhaseBegan("certificate", "fresh runs"))
            yield from certify(lab)
        except BudgetOver:
            lab.know(stop_reason="budget")
        except (BenchmarkBroken, StrategyFailed) as broken:
            lab.know(verdict="inconclusive", stop_reason="failed", failure=str(broken))

    def _calibrate(self) -> Steps:
        lab = self.lab
        lab.emit(PhaseBegan("calibration", "undelayed runs"))
        observed = yield lab.request("discard", limit_s=lab.settings.timeout_s)
        if observed.status != "ok" or observed.time_per_unit_s is None:
            raise BenchmarkBroken(observed.reason or "the benchmark could not be measured")
        lab.wall_s = observed.wall_s
        lab.metric_is_time = observed.time_per_unit_s == observed.wall_s
        yield from lab.control(lab.baseline, "baseline")
        lab.emit(PhaseBegan("discovery", "which modules, functions, calls, own times"))
        lab.learn((yield from self._discover()))

    def _discover(self) -> Generator[RunRequest, RunObserved, Discovery]:
        """Find out what runs, and, where finding out also the places slows it, how long without."""
        runs = yield from self._watch(sites=True)
        if any(run.discovery and needs_bare(run.discovery) for run in runs):
            runs += yield from self._watch(sites=False)
        found = discovered(runs)
        assert found is not None
        return found

    def _watch(self, sites: bool) -> Generator[RunRequest, RunObserved, list[RunObserved]]:
        """Discovery runs until two agree, as long as that is cheap."""
        lab = self.lab
        limit = lab.settings.timeout_s or max(60.0, 20.0 * lab.wall_s)
        runs: list[RunObserved] = []
        while len(runs) < MOST_DISCOVERIES:
            observed = yield lab.request("discover", limit_s=limit, sites=sites)
            if observed.status == "ok" and observed.discovery is not None:
                runs.append(observed)
            elif sites and not runs:
                raise BenchmarkBroken(
                    f"the discovery run failed: {observed.reason or 'no data came back'}"
                )
            efforts = sorted(effort(run) for run in runs)
            if len(efforts) > 1 and efforts[1] <= AGREE * efforts[0]:
                break
            if lab.elapsed_s + observed.wall_s > DISCOVERY_SHARE * lab.settings.budget_s:
                break
        return runs


def _without_guesses(lab: Lab) -> Answer:
    """Where nothing is certified, only what clearly reaches the threshold is suspected; the rest of
    what the search was after is open.

    What a search comes upon is the largest of much that it looked at, so its p-values count as many
    times as there were sets (Bonferroni); those of fresh runs are adjusted among themselves.
    """
    known, alpha = lab.known, 1.0 - lab.settings.confidence
    if known.verdict == "sensitive" or known.root is None:
        return known
    least = max(lab.settings.threshold * known.root.gain.estimate, 0.0)
    looked_at = max(len(lab.looked_at), 1)
    fresh = dict(known.certificate.necessary_p_values)
    suspects: list[Finding] = []
    guesses: list[Finding] = []
    for finding in known.sensitive:
        effect = finding.effect
        adjusted = fresh.get(finding.target, min(1.0, effect.p_value * looked_at))
        enough = effect.gain.lo > least and effect.runs >= SUSPECTED_RUNS and adjusted <= alpha
        found = replace(finding, p_value_adjusted=adjusted)
        (suspects if enough else guesses).append(found)
    unresolved = (
        Unresolved(
            f.target,
            f.functions,
            f"looked into; so far its gain is between {f.effect.gain.lo:.1%} and "
            f"{f.effect.gain.hi:.1%}",
        )
        for f in guesses
    )
    return replace(known, sensitive=tuple(suspects), unresolved=(*known.unresolved, *unresolved))
