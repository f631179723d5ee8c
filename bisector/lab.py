"""The laboratory the stages of an investigation work in: state, blocks of runs, and the budget.

Stages are generators that yield `RunRequest` and are sent `RunObserved`; everything they share is
here. Nothing in here spawns, sleeps, prints or reads a clock: time is ``elapsed_s`` of what was
observed.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

from bisector.answer import Answer, Pruned, PruneReason, Unresolved
from bisector.deciding.question import Outside
from bisector.discovery import Discovery, unwatched
from bisector.disturbance import Disturbance
from bisector.dose import least_dose
from bisector.errors import UsageError
from bisector.events import Event, Warned
from bisector.finalists import Finalists
from bisector.measurements import Measurements
from bisector.observations import Purpose, RunObserved, RunRequest
from bisector.own_time import OwnTime
from bisector.statistics import CONTROL
from bisector.tree import ROOT, Tree
from bisector.trials import Arm, Trials
from injector.patterns import parse

Steps = Generator[RunRequest, RunObserved, None]

FAILURES_ALLOWED = 2
"""An undelayed benchmark that fails more often than this in a row ends the investigation."""

PATIENCE = 0.02
"""Share of the time left that one question may take before it is given up."""

MOST_BUSY = 0.75
"""Share of the processors that a slowed program may keep busy."""

NOISE_DOF = 6.0
"""How many degrees of freedom the baseline's noise lends to a new stage at most."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine needs to know of the user's wishes. Times in seconds, shares as fractions."""

    budget_s: float = 600.0
    threshold: float = 0.05
    min_gain: float = 0.01
    confidence: float = 0.95
    seed: int = 0
    dose: float | None = None
    delay_ns: float | None = None
    strategy: str = "bisect"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    timeout_s: float | None = None


class BudgetOver(Exception):
    """The stage's share of the budget is spent; what is known so far is the answer."""


class BenchmarkBroken(Exception):
    """The undelayed benchmark cannot be measured; the message says why."""


class Lab:
    """See the module docstring. Attributes are read by the stages."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.random = random.Random(settings.seed)
        self.elapsed_s = 0.0
        self.deadline_s = settings.budget_s
        self.experiments = 0
        self.block = 0
        self.wall_s = 0.0
        """Wall time of one undelayed run: what a run costs."""
        self.cpu_s: float | None = None
        """CPU time of the least disturbed of the undelayed runs, if they say."""
        self.metric_is_time = False
        self.disturbance = Disturbance()
        self.baseline = Measurements(disturbance=self.disturbance)
        self.discovery: Discovery | None = None
        self.tree = Tree(())
        self.own = OwnTime({})
        self.computing = OwnTime({})
        """The same without waiting."""
        self.everything: frozenset[str] = frozenset()
        self._least_dose = 0.0
        self.exceeds_slack = False
        """Whether the coarse dose made hidden code look critical."""
        self.finalists = Finalists()
        self.outside = Outside()
        self.looked_at: set[frozenset[str]] = set()
        """Every set that was ever slowed."""
        self.known = Answer(stop_reason="interrupted")
        self._events: list[Event] = []
        self._seq = 0

    def learn(self, discovery: Discovery) -> None:
        """Take in what ran: choose the targets, build the tree.

        Raises:
            UsageError: the patterns given match nothing that ran.
        """
        self.discovery = discovery = unwatched(discovery, self.time_per_unit_s, self.cpu_s)
        self._least_dose = least_dose(discovery)
        settings = self.settings
        patterns = parse([*(settings.include or (ROOT,)), *(f"!{p}" for p in settings.exclude)])
        chosen = [
            function
            for function in discovery.functions
            if patterns.matches(*function.name, function.file, whole=True)
        ]
        if not chosen:
            asked = ", ".join((*settings.include, *(f"!{p}" for p in settings.exclude))) or ROOT
            raise UsageError(
                f"no function that ran matches {asked}: {len(discovery.functions)} functions ran, "
                "the first by name is "
                f"{discovery.functions[0].target if discovery.functions else '(none)'}"
            )
        refused = [f for f in chosen if f.unresolved is not None]
        self.know(
            unresolved=tuple(Unresolved(f.target, (f.target,), f.unresolved or "") for f in refused)
        )
        usable = {f.target: f for f in chosen if f.unresolved is None and f.own_per_call_s > 0.0}
        self.tree = Tree(usable.values(), beside=[f.target for f in refused])
        roster = self.tree.roster
        self.own = OwnTime(usable, settings.delay_ns, discovery, roster)
        computing = {target: function.computing() for target, function in usable.items()}
        self.computing = OwnTime(computing, settings.delay_ns, discovery, roster)
        self.everything = frozenset(usable)
        self.disturbance.lanes = discovery.lanes
        for warning in discovery.warnings:
            self.warn(warning)

    # -- what stages use --------------------------------------------------------------------------

    @property
    def base_dose(self) -> float:
        """The dose an investigation starts with."""
        given = self.settings.dose if self.settings.delay_ns is None else 1.0
        return given or max(0.25, self._least_dose)

    @property
    def top_dose(self) -> float:
        """The coarse dose: more power, more risk of exceeding slack.

        Smaller where it was seen to exceed one, and where several lanes, slowed that much, would
        begin to compete for processors.
        """
        given = self.settings.delay_ns is not None or self.settings.dose is not None
        coarse = max(1.0, 2.0 * self.base_dose)
        less = given or self.exceeds_slack or self._is_crowded(coarse)
        return 2.0 * self.base_dose if less else coarse

    def _is_crowded(self, dose: float) -> bool:
        """Whether the program would keep most of the processors busy at this dose."""
        found = self.discovery
        if found is None or found.lanes == 1 or found.cores == 0:
            return False
        busy = self.computing.per_unit_s(self.everything) / self.time_per_unit_s
        return busy * (1.0 + dose) > MOST_BUSY * found.cores

    @property
    def time_per_unit_s(self) -> float:
        """t0, from the baseline runs."""
        return self.baseline.fit().level(CONTROL).value

    def mass(self) -> dict[str, float]:
        """Upper bound of each function's gain: own time over time per unit."""
        shares = (self.own.by_target() / self.time_per_unit_s).tolist()
        found = zip(self.own.roster.targets, shares, strict=True)
        return {target: share for target, share in found if target in self.everything}

    def trials(self, own: OwnTime | None = None) -> Trials:
        """An empty set of runs for a stage; what the baseline says of the noise counts a little."""
        fit = self.baseline.fit()
        dof = min(fit.dof, NOISE_DOF) if self.baseline.count(CONTROL) > 1 else 0.0
        return Trials(own or self.own, (fit.sigma, dof), self.disturbance)

    def exploratory(self) -> Trials:
        """With all undelayed runs so far, which nobody chose, beside those it is going to have."""
        trials = Trials(self.own, (self.baseline.fit().sigma, 0.0), self.disturbance)
        self.baseline.repeat_into(trials.measurements)
        return trials

    def run_block(self, trials: Trials, arms: Sequence[Arm], purpose: Purpose) -> Steps:
        """One block: the control and the arms, in random order, under the same conditions.

        An arm may be named more than once. One that is alone is run twice where controls are
        plenty: all blocks share them.
        """
        if len(arms) == 1 and 0 < trials.count(arms[0]) < trials.measurements.count(CONTROL) - 1:
            arms = [*arms, self._again(trials, arms[0])]
        self.block += 1
        self.experiments += 1
        block = self.block
        order: list[Arm | None] = [None, *arms]
        self.random.shuffle(order)
        for arm in order:
            if arm is None:
                yield from self.control(trials.measurements, purpose, block)
            else:
                yield from self._slowed(trials, arm, purpose, block)

    def _again(self, trials: Trials, arm: Arm) -> Arm:
        """The arm, or, while its code is not seen to do the same work on CPU, its largest dose,
        which tells most about that."""
        if not self.disturbance.matters or self.disturbance.is_same_work(arm.targets):
            return arm
        return max(trials.arms(arm.targets), key=lambda known: known.dose, default=arm)

    def is_hopeless(self, trials: Trials, arm: Arm) -> bool:
        """Whether an arm fails whenever it is slowed."""
        return len(trials.failures.get(arm, ())) >= FAILURES_ALLOWED and trials.count(arm) == 0

    def know(self, **changes: object) -> None:
        """Update the answer."""
        self.known = replace(self.known, **changes)  # type: ignore[arg-type]

    def warn(self, message: str) -> None:
        """Say something to the user, once."""
        if message not in self.known.warnings:
            self.know(warnings=(*self.known.warnings, message))
            self.emit(Warned(message))

    def note(self, reason: str) -> None:
        """Say why nothing is certified, with the certificate."""
        certificate = self.known.certificate
        self.know(certificate=replace(certificate, notes=(reason, *certificate.notes)))

    def drain_events(self) -> list[Event]:
        """Events since the last call."""
        events, self._events = self._events, []
        return events

    def emit(self, event: Event) -> None:
        """Queue an event for displays and logs."""
        self._events.append(event)

    def pruned(
        self, targets: Iterable[str], reason: PruneReason, gain_hi: float, dose: float
    ) -> Pruned:
        """A pruned node with its bounds (the drop is that at ``dose``)."""
        functions = tuple(sorted(targets))
        gain_hi = max(gain_hi, 0.0)
        effect = gain_hi * dose
        return Pruned(
            self.tree.name(functions),
            functions,
            reason,
            gain_hi,
            effect / (1.0 + effect),
        )

    def leave_open(self, targets: Iterable[str], reason: str) -> None:
        """Claim nothing about these functions, and say why."""
        functions = tuple(sorted(targets))
        entry = Unresolved(self.tree.name(functions), functions, reason)
        self.know(unresolved=(*self.known.unresolved, entry))

    def reopen(self, targets: frozenset[str]) -> None:
        """Forget earlier judgements about these functions: they are looked at again."""
        self.know(
            insensitive=tuple(p for p in self.known.insensitive if not targets & {*p.functions}),
            unresolved=tuple(
                u
                for u in self.known.unresolved
                if not targets & {*u.functions} or self.everything.isdisjoint(u.functions)
            ),
        )

    def patience(self, least: int) -> int:
        """Runs after which noise is taken to have won: more where the budget allows for it."""
        left_s = max(self.settings.budget_s - self.elapsed_s, 0.0)
        return max(least, int(PATIENCE * left_s / max(self.wall_s, 1e-9)))

    def require_time(self, runs: float = 1.0) -> None:
        """Raise `BudgetOver` when the stage has no time for this many more runs."""
        if self.elapsed_s + (runs - 1.0) * self.wall_s >= self.deadline_s:
            raise BudgetOver

    # -- single runs ------------------------------------------------------------------------------

    def control(
        self, into: Measurements, purpose: Purpose, block: int = 0
    ) -> Generator[RunRequest, RunObserved, None]:
        """One undelayed run; retried a little.

        Raises:
            BenchmarkBroken: it keeps failing.
        """
        reason = ""
        for _ in range(FAILURES_ALLOWED + 1):
            self.require_time()
            observed = yield self.request(purpose, block=block, limit_s=self._limit_s(0.0))
            if observed.status == "ok" and observed.time_per_unit_s is not None:
                time_s, own_s = observed.time_per_unit_s, observed.own_cpu_s
                of_lanes = observed.lane_cpu_s is not None
                into.add(CONTROL, block, time_s, own_s)
                self.disturbance.learn(block, time_s, own_s, of_lanes=of_lanes)
                if observed.cpu_s is not None:
                    cpu_s = observed.cpu_s / observed.units
                    self.cpu_s = min(cpu_s, self.cpu_s or cpu_s)
                for own in (self.own, self.computing):
                    own.judge_speed(self.discovery, self.disturbance.cpu_s)
                if into is not self.baseline:
                    self.baseline.add(CONTROL, block, time_s, own_s)
                self.wall_s = 0.7 * self.wall_s + 0.3 * observed.wall_s
                return
            reason = observed.reason or f"it did not end within {self._limit_s(0.0):.0f} s"
        raise BenchmarkBroken(f"the undelayed benchmark keeps failing: {reason}")

    def _slowed(
        self, trials: Trials, arm: Arm, purpose: Purpose, block: int
    ) -> Generator[RunRequest, RunObserved, None]:
        if self.is_hopeless(trials, arm):
            return
        self.require_time()
        request = self.request(
            purpose,
            block=block,
            targets=arm.targets,
            dose=arm.dose,
            limit_s=self._limit_s(arm.dose),
            waits=arm.waits,
            label=self.tree.name(arm.targets),
        )
        observed = yield request
        if observed.status == "failed":
            trials.fail(arm, observed.reason or "the slowed run failed")
            return
        time_s = observed.time_per_unit_s
        if observed.status == "slow":
            # Stopped early: a lower bound, and a positive only if the counted delays explain it.
            counted = sum(d.delayed_ns for d in observed.delivered.values()) / 1e9
            if counted < 0.5 * (observed.wall_s - self.wall_s):
                trials.fail(
                    arm,
                    f"a slowed run was stopped after {observed.wall_s:.1f} s, far more than the "
                    f"{counted:.1f} s of delay it was given explain",
                )
                return
        if time_s is None:
            trials.fail(arm, observed.reason or "the slowed run gave no measurement")
            return
        trials.add(arm, block, observed, time_s)
        self.looked_at.add(arm.targets)
        if observed.own_cpu_s is not None:
            delays_s = {
                target: each.delayed_ns / 1e9 / observed.units
                for target, each in observed.delivered.items()
            }
            of_lanes = observed.lane_cpu_s is not None
            self.disturbance.learn(block, time_s, observed.own_cpu_s, delays_s, of_lanes)

    def request(
        self,
        purpose: Purpose,
        *,
        block: int = 0,
        targets: frozenset[str] = frozenset(),
        dose: float = 0.0,
        limit_s: float | None = None,
        waits: bool = True,
        sites: bool = True,
        label: str = "",
    ) -> RunRequest:
        """The next request, numbered."""
        self._seq += 1
        delay = self.settings.delay_ns
        return RunRequest(
            seq=self._seq,
            purpose=purpose,
            block=block,
            targets=targets,
            dose=dose,
            delay_ns=delay * dose if delay is not None and targets else None,
            limit_s=limit_s,
            waits=waits,
            sites=sites,
            label=label,
        )

    def _limit_s(self, dose: float) -> float:
        """Longest a run may last: generous for controls, what the dose can explain for the
        others."""
        if self.settings.timeout_s is not None and dose == 0.0:
            return self.settings.timeout_s
        lanes = 1.0
        if dose > 0.0:
            lanes = max(1.0, self.own.per_unit_s(self.everything) / self.time_per_unit_s)
        limit = 3.0 * self.wall_s * (1.0 + dose * lanes) + 5.0
        return min(limit, self.settings.timeout_s or max(10.0 * self.wall_s, limit))
