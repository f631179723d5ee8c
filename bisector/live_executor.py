"""Experiments as windows of a living target: what `RunExecutor` does with a process tree each.

Invariant: as there, every request is answered with exactly one `RunObserved`. A target that ends is
started again and the request begins anew: what was measured before stays, and what was begun and
not finished was never told.

One start serves everything. The target is watched from its beginning, because code that began
before could not be told apart later; once it does its steady work what it does is counted for a
moment (discovery), and from then on it runs undisturbed but for what each window delays.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bisector.calibration import Calibration
from bisector.digest import digest
from bisector.discovery import SLOWED_BY_SITES
from bisector.dose import Universe, slowed_by_watching
from bisector.errors import Interrupted
from bisector.executor import RunFailed, how_it_ended, prepare
from bisector.live_run import LiveRun, NotMeasured, Shape, TargetEnded, Window
from bisector.metric import Metric, MetricSpec, progress_metric
from bisector.observations import Delivered, RunObserved, RunRequest, discovered
from bisector.output import last_words, tail
from bisector.settings import Settings
from bisector.warden import Ended, Launch, Warden
from bisector.workload import Workload, usable_cores
from injector.follow import between
from injector.ledger import read_records
from injector.plan import Plan

SETTLE_UNITS = 2
LEAST_UNITS = 7
LEAST_S = 0.02
"""A window lasts this many units, and this long at least.

Not longer where it is noisy: disturbances last for some tenths of a second, and what is compared
has to lie closer together than that.
"""

AGREE = 0.15
"""Two stretches of work whose rates differ by less are taken for steady."""

STRETCHES = 12
"""After this many it goes on as it is: blocks are compared within themselves."""

STRETCH_S = 0.05
DISCOVERY_UNITS = 30
DISCOVERY_S = 0.5
PATIENCE_S = 5.0
PATIENCE_UNITS = 40.0
RESTARTS = 3
"""How often in a row a target may end before a window was had."""


class LiveExecutor:
    """Implements `bisector.observations.Executor` with windows of a living target.

    Use it as a context manager: leaving ends the target.
    """

    def __init__(
        self,
        settings: Settings,
        workload: Workload,
        warden: Warden,
        slot: Path,
        calibration: Calibration,
        elapsed_s: Callable[[], float],
        metric: Metric | None = None,
    ) -> None:
        self.settings = settings
        self.workload = workload
        self.warden = warden
        self.slot = slot
        self.calibration = calibration
        self.elapsed_s = elapsed_s
        self.progress = MetricSpec.parse(settings.metric).detail
        self.metric = metric
        self._discoveries: dict[bool, RunObserved] = {}
        self._run: LiveRun | None = None
        self._universes: dict[bool, Universe] = {}
        self._universe: Universe | None = None
        self._unit_s = 0.0
        self._warm_units = 0
        self._warnings: list[str] = []
        self._warned: set[str] = set()

    def run(self, request: RunRequest) -> RunObserved:
        """Carry out one request.

        Raises:
            Interrupted: the target was stopped on the user's request.
            RunDirectoryError: the disk is full or no longer writable.
        """
        try:
            observed = self._serve(request)
        except (RunFailed, NotMeasured) as failure:
            observed = RunObserved(request.seq, "failed", 0.0, 0.0, reason=str(failure))
        if observed.status == "ok":
            self.metric = self.metric or progress_metric(self.progress)
        observed = replace(observed, elapsed_s=self.elapsed_s())
        self.recall(request, observed)
        return observed

    def recall(self, request: RunRequest, observed: RunObserved) -> None:
        """Learn from an observation what later ones depend on."""
        if observed.discovery is not None:
            self._discoveries.setdefault(request.sites, observed)
            self._universes.clear()
        elif observed.time_per_unit_s is not None and not request.targets:
            self._unit_s = observed.time_per_unit_s

    def drain_warnings(self) -> list[str]:
        """What the user should know that is no failure; each sentence once."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def close(self) -> None:
        """End the target."""
        if self._run is not None:
            run, self._run = self._run, None
            run.close()

    # -- one request ------------------------------------------------------------------------------

    def _serve(self, request: RunRequest) -> RunObserved:
        for _ in range(RESTARTS):
            try:
                run = self._running(request.block)
                if request.purpose == "discover":
                    known = self._discoveries[request.sites]
                    return replace(known, seq=request.seq)
                return self._window(run, request)
            except TargetEnded as end:
                self._ended(end.ended)
        raise RunFailed(
            "the program ends before one window of its work could be measured; let it run longer, "
            "or measure whole runs with --mode runs"
        )

    def _window(self, run: LiveRun, request: RunRequest) -> RunObserved:
        universe = self._universe_for(request)
        if universe is not self._universe:
            run.follow(universe.plan)
            self._universe = universe
        doses = universe.doses(request.targets, request.dose) if request.dose > 0.0 else {}
        window = run.measure(doses, request.targets, self._shape(request.dose))
        for error in run.errors:
            self._warn(f"the injector failed in a process of the benchmark: {error}")
        return RunObserved(
            request.seq,
            "ok",
            0.0,
            window.wall_s,
            value=1.0 / window.time_per_unit_s,
            time_per_unit_s=window.time_per_unit_s,
            processes=window.processes,
            delivered=self._delivered(window, request),
            calls_total=sum(each.calls for each in window.delivered.values()),
            cpu_s=window.cpu_s,
            units=window.units,
        )

    def _delivered(self, window: Window, request: RunRequest) -> dict[str, Delivered]:
        placed = discovered(self._discoveries.values())
        slowed = slowed_by_watching(placed, request)
        return {
            target: replace(each, delayed_ns=each.delayed_ns + each.calls * added_s * 1e9)
            if (added_s := slowed.get(target, 0.0))
            else each
            for target, each in window.delivered.items()
        }

    def _universe_for(self, request: RunRequest) -> Universe:
        universe = self._universes.get(request.waits)
        if universe is None:
            placed = discovered(self._discoveries.values())
            assert placed is not None
            universe = self._universes[request.waits] = Universe.of(
                placed,
                waits=request.waits,
                delay_ns=self.settings.delay_ns,
                progress=self.progress,
                event_ns=self.calibration.event_ns,
            )
        return universe

    def _shape(self, dose: float = 0.0) -> Shape:
        """How long a window is, for code that takes (1 + dose) times as long at most."""
        patience_s = max(PATIENCE_S, PATIENCE_UNITS * self._unit_s * (1.0 + dose))
        return Shape(SETTLE_UNITS, LEAST_UNITS, LEAST_S, patience_s)

    # -- the target's life ------------------------------------------------------------------------

    def _running(self, block: int) -> LiveRun:
        """The living target, in its steady work, started if there is none.

        Raises:
            RunFailed: it cannot be started, or nothing attaches.
            TargetEnded: it ended before it came so far.
        """
        if self._run is not None:
            self._run.look()
            return self._run
        self._prepare()
        universe = None
        if self._discoveries:
            universe = self._universe_for(RunRequest(0, "baseline", 0))
        plan = universe.plan if universe else self._watching(sites=True)
        self._run = run = LiveRun(self.warden, self._launch(block), self.slot, plan, room=1 << 18)
        self._universe = universe
        self._await_steady(run)
        if universe is None:
            self._discover(run)
        return run

    def _launch(self, block: int) -> Launch:
        return Launch(
            argv=self.workload.argv,
            cwd=self.workload.cwd,
            env=self.workload.environment_for(self.slot, self.settings.seed, block),
            stdout=self.slot / "stdout",
            stderr=self.slot / "stderr",
            outlives=True,
        )

    def _watching(self, sites: bool) -> Plan:
        return Plan(mode="discover", sites=sites, live=True, progress=self.progress)

    def _await_steady(self, run: LiveRun) -> None:
        """Until two stretches of work in a row take as long; the next time, as many units."""
        patience_s = self.settings.timeout_s or max(60.0, self.settings.budget_s)
        warm_s = self.settings.warmup_s
        if self._warm_units:
            run.pass_units(self._warm_units, warm_s, patience_s)
            return
        run.pass_units(1, warm_s, patience_s)
        units, before = 1, 0.0
        for _ in range(STRETCHES):
            began = time.monotonic()
            passed = run.pass_units(LEAST_UNITS, STRETCH_S, patience_s)
            rate = passed / (time.monotonic() - began)
            units += passed
            if abs(rate - before) < AGREE * rate:
                break
            before = rate
        self._warm_units = max(units - LEAST_UNITS, 1)

    def _discover(self, run: LiveRun) -> None:
        """Count what it does for a moment; afterwards it runs unwatched."""
        self._discoveries[True] = self._counted(run, sites=True)
        found = self._discoveries[True].discovery
        if found is not None and found.backend in SLOWED_BY_SITES:
            run.follow(self._watching(sites=False))
            self._discoveries[False] = self._counted(run, sites=False)
        self._universe = self._universe_for(RunRequest(0, "baseline", 0))
        run.follow(self._universe.plan)

    def _counted(self, run: LiveRun, sites: bool) -> RunObserved:
        opened_s, before = time.monotonic(), read_records(self.slot / "records")
        units = run.pass_units(DISCOVERY_UNITS, DISCOVERY_S, PATIENCE_S)
        closed_s, after = time.monotonic(), read_records(self.slot / "records")
        time_per_unit_s = (closed_s - opened_s) / units
        found = digest(
            between(before, after),
            time_per_unit_s=time_per_unit_s,
            window=(opened_s, closed_s),
            whole_run_is_unit=False,
            overheads=self.calibration.discover_ns,
        )
        found = replace(found, cores=usable_cores(), sites=sites, cpu_units=float(units))
        return RunObserved(
            0,
            "ok",
            0.0,
            closed_s - opened_s,
            value=1.0 / time_per_unit_s,
            time_per_unit_s=time_per_unit_s,
            discovery=found,
        )

    def _ended(self, ended: Ended) -> None:
        """The target has ended by itself: that is no failure if it says so.

        Raises:
            RunFailed: it failed.
            Interrupted: it was stopped on the user's request.
        """
        output, errors = tail(self.slot / "stdout"), tail(self.slot / "stderr")
        attached = bool(self._run and self._run.units())
        records = any((self.slot / "records").iterdir())
        self.close()
        self._clear()
        if ended.error is not None:
            raise RunFailed(f"the benchmark could not be started: {ended.error}")
        if ended.stopped == "killed":
            raise Interrupted("the target was stopped")
        if ended.returncode != 0:
            words = last_words(errors) or last_words(output)
            raise RunFailed(f"the benchmark {how_it_ended(ended)}{words}")
        if not records:
            raise RunFailed(self.workload.why_nothing_attached())
        if not attached:
            raise RunFailed(
                f"the progress point {self.progress} was never called; name a function that every "
                "unit of work calls"
            )

    def _prepare(self) -> None:
        self._clear()
        prepare(self.workload, self.warden, self.settings, self.slot)

    def _clear(self) -> None:
        shutil.rmtree(self.slot / "records", ignore_errors=True)
        (self.slot / "records").mkdir(exist_ok=True)

    def _warn(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            self._warnings.append(sentence)
