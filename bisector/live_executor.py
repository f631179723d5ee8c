"""Experiments as windows of a living target: what `RunExecutor` does with a process tree each.

Invariant: as there, every request is answered with exactly one `RunObserved`. A target that ends is
started again and the request begins anew: what was measured before stays, and what was begun and
not finished was never told.

One start serves everything. The target is watched from its beginning, because code that began
before could not be told apart later; once it does its steady work what it does is counted for a
moment (discovery), and from then on it runs undisturbed but for what each window delays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping
from dataclasses import replace
from statistics import median
from typing import Any

from bisector.backlog import Backlog
from bisector.discovery import MOST_DISTURBED, Discovery
from bisector.disturbance import BUSY
from bisector.dose import Universe, slowed_by_watching
from bisector.errors import Interrupted
from bisector.executor import RunFailed, TargetExecutor, how_it_ended
from bisector.first_look import FirstLook
from bisector.lengths import Lengths, longest_delay_s
from bisector.live_run import LiveRun, TargetEnded
from bisector.metric import latency_metric, progress_metric
from bisector.observations import Delivered, RunObserved, RunRequest, discovered
from bisector.output import last_words, tail
from bisector.run_directory import clear
from bisector.settings import Settings
from bisector.settling import Settling
from bisector.unit import NoUnit
from bisector.warden import Ended, Launch
from bisector.watching import Watching
from bisector.window import NotMeasured, Window

FEW_CALLS = 3.0
"""Calls in a window below which it is left to chance whether they fall into it."""

COARSE = 1.0
"""The dose by which everything is slowed to see how long the target takes to settle."""

MOST_LANES = 16
"""More are taken to be of those that come and go."""

RECENT = 8
"""Undelayed windows by which is judged how fast the processors are by now."""

ROOM = 1 << 18
"""Pieces of code that can be dosed: as many as a process can name."""

RESTARTS = 3
"""How often in a row a target may end before a window was had, or something else learnt."""


class LiveExecutor(TargetExecutor):
    """Implements `bisector.observations.Executor` with windows of a living target, which `close`
    ends."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """As `TargetExecutor`."""
        super().__init__(*arguments, **named)
        point = (self.metric or self.spec).point
        self._first = FirstLook(self.slot, self.calibration, self.settings, point)
        self._found: Discovery | None = None
        """What its discoveries come to."""
        self._run: LiveRun | None = None
        self._is_ready = False
        """Whether that does its steady work, and all is known that has to be before windows."""
        self._universes: dict[bool, Universe] = {}
        self._universe: Universe | None = None
        self._settling = Settling()
        self._watching = Watching(self.settings.budget_s)
        self._is_measured = False
        """Whether what delays do beside delaying is known."""
        self._run_units = 0
        """What the longest of the targets that have ended had done; 0 while none has."""
        self._unit_s = 0.0
        self._usual: Window | None = None
        """The latest undelayed window."""
        self._strained_s = 0.0
        """How long the latest window lasted, if it was slowed by more than what settling was
        measured with."""
        self._work_s: deque[float] = deque(maxlen=RECENT)
        """CPU seconds per unit in undelayed windows, the latest."""
        self._backlog = Backlog()

    def run(self, request: RunRequest) -> RunObserved:
        """Carry out one request.

        Raises:
            Interrupted: the target was stopped on the user's request.
            NoUnit: the progress point was to be found, and there is none; the target has ended.
        """
        try:
            observed = self._serve(request)
        except (RunFailed, NotMeasured) as failure:
            observed = RunObserved(request.seq, "failed", 0.0, 0.0, reason=str(failure))
        if observed.status == "ok":
            point = self._first.point
            if self.metric is None and not point.begins:
                self.metric = progress_metric(point.unit, self._first.why)
        observed = replace(observed, elapsed_s=self.elapsed_s())
        self.recall(request, observed)
        return observed

    def recall(self, request: RunRequest, observed: RunObserved) -> None:
        """Learn from an observation what later ones depend on."""
        if observed.discovery is not None:
            if request.sites not in self._first.discoveries:
                self._first.discoveries[request.sites] = observed
                self._universes.clear()
                self._found = None
        elif observed.time_per_unit_s is not None and not request.targets:
            self._unit_s = observed.time_per_unit_s
            if observed.own_cpu_s is not None:
                self._work_s.append(observed.own_cpu_s)

    def close(self) -> None:
        """End the target."""
        self._is_ready = False
        if self._run is not None:
            run, self._run = self._run, None
            run.close()
            clear(self.slot)

    # -- one request ------------------------------------------------------------------------------

    def _serve(self, request: RunRequest) -> RunObserved:
        in_vain = 0
        while in_vain < RESTARTS:
            learnt = self._learnt
            try:
                run = self._running(request.block)
                if request.purpose == "discover":
                    return self._discovered(request)
                return self._window(run, request)
            except TargetEnded as end:
                self._ended(end.ended)
                in_vain += learnt == self._learnt
            except NotMeasured:
                # What stands still or does not answer is started again; at once, if it ever worked.
                self.close()
                if learnt == self._learnt:
                    raise
        if not self._unit_s:
            raise NoUnit("it ends before a window of its steady work can be measured")
        raise RunFailed("the program ended in the middle of each window; let it run longer")

    @property
    def _learnt(self) -> int:
        return self._first.learnt + self._settling.learnt + self._watching.learnt

    def _discovered(self, request: RunRequest) -> RunObserved:
        known = self._first.discoveries.get(request.sites)
        if known is None:
            raise RunFailed("this was not looked for before the investigation was taken up again")
        return replace(known, seq=request.seq)

    def _window(self, run: LiveRun, request: RunRequest) -> RunObserved:
        universe = self._follow(run, request)
        doses = (
            universe.doses(request.targets, request.dose, self._slower)
            if request.dose > 0.0
            else {}
        )
        if self._strained_s and self._usual:
            slowed_s, self._strained_s = self._strained_s, 0.0
            self._settling.recover(run, self._usual, self._lengths.stretch(0.0), slowed_s)
        is_first = request.purpose in ("discard", "baseline")
        shape = self._lengths.window(request.dose, is_first)
        window = run.measure(doses, request.targets, shape)
        usual_calls = self._usual_calls(request.targets)
        if self._lanes > 1:
            window = self._backlog.let_pass(run, window, usual_calls, shape)
        self._strained_s = window.wall_s if request.dose > COARSE else 0.0
        self._usual = self._usual if doses else window
        for error in run.errors:
            self._warn(f"the injector failed in a process of the benchmark: {error}")
        delivered = self._delivered(window, request, usual_calls)
        time_s = window.time_per_unit_s
        value = 1.0 / time_s
        if run.point.begins:
            value = time_s
            if self.metric is None:
                self.metric = latency_metric(run.point, *self._first.latency())
            time_s /= self.metric.in_flight
        return RunObserved(
            request.seq,
            "ok",
            0.0,
            window.wall_s,
            value=value,
            time_per_unit_s=time_s,
            processes=window.processes,
            delivered=delivered,
            cpu_s=window.cpu_s,
            lane_cpu_s=_without(window, delivered),
            units=window.units,
        )

    def _delivered(
        self, window: Window, request: RunRequest, usual_calls: Mapping[str, float]
    ) -> dict[str, Delivered]:
        """What was counted, with what watching native calls added.

        Calls that last longer than windows are in few of them, and their work in all: where less
        than a few are to be expected, as many are taken as there would be on average.
        """
        placed = self._discovery
        slowed = {}
        if placed:
            longest_s = longest_delay_s(placed.time_per_unit_s)
            slowed = slowed_by_watching(placed, request, longest_s, self._slower)
        delivered = {}
        for target, each in window.delivered.items():
            usual = usual_calls.get(target, 0.0) * window.units
            calls = usual if 0.0 < usual < FEW_CALLS else each.calls
            added_ns = calls * slowed.get(target, 0.0) * 1e9
            delivered[target] = replace(
                each,
                calls=calls,
                delayed_ns=each.delayed_ns + added_ns,
                spun_ns=None if each.spun_ns is None else each.spun_ns + added_ns,
            )
        return delivered

    def _usual_calls(self, targets: Container[str]) -> dict[str, float]:
        """Of these functions, for each unit."""
        functions = self._discovery.functions if self._discovery else ()
        return {f.target: f.calls for f in functions if f.target in targets}

    def _universe_for(self, request: RunRequest) -> Universe:
        universe = self._universes.get(request.waits)
        if universe is None:
            placed = self._discovery
            assert placed is not None
            universe = self._universes[request.waits] = Universe.of(
                placed,
                waits=request.waits,
                delay_ns=self.settings.delay_ns,
                point=self._first.point,
                event_ns=self.calibration.event_ns,
                longest_s=longest_delay_s(placed.time_per_unit_s),
            )
        return universe

    @property
    def _lengths(self) -> Lengths:
        lanes = self._lanes
        busy = lanes == 1 and bool(self._work_s) and self._work_s[-1] >= BUSY * self._unit_s
        return Lengths(lanes, self._settling.units, self._run_units, self._unit_s, busy)

    @property
    def _lanes(self) -> int:
        found = self._discovery
        return min(max(found.lanes, 1), MOST_LANES) if found else 1

    @property
    def _discovery(self) -> Discovery | None:
        if self._found is None:
            found = discovered(self._first.discoveries.values())
            self._found = found and self._watching.applied(found)
        return self._found

    @property
    def _slower(self) -> float:
        """How many times as long the same work takes by now as when it was discovered: doses are
        shares of what code takes, and processors that others use too change their speed."""
        usual_s = self._discovery.usual_cpu_s if self._discovery else None
        if not usual_s or len(self._work_s) < RECENT // 2:
            return 1.0
        return min(max(median(self._work_s) / usual_s, 1.0 / MOST_DISTURBED), MOST_DISTURBED)

    # -- the target's life ------------------------------------------------------------------------

    def _running(self, block: int) -> LiveRun:
        """The living target, in its steady work, started if there is none.

        Raises:
            RunFailed: it cannot be started, or nothing attaches.
            TargetEnded: it ended before it came so far.
        """
        if self._run is not None and self._is_ready:
            self._run.look()
            return self._run
        self.close()
        clear(self.slot)
        self._strained_s = 0.0
        self._prepare()
        known = bool(self._first.discoveries)
        self._universe = self._universe_for(RunRequest(0, "baseline", 0)) if known else None
        plan = self._universe.plan if self._universe else self._first.plan()
        self._run = run = LiveRun(self.warden, self._launch(block), self.slot, plan, room=ROOM)
        self._first.look(run)
        if not self._is_measured:
            self._measure(run)
        self._is_ready = True
        return run

    def _measure(self, run: LiveRun) -> None:
        """What delays do beside delaying.

        Raises:
            TargetEnded: it ended before that is known.
            NoUnit: it does not settle.
        """
        universe = self._follow(run, RunRequest(0, "search", 0, dose=COARSE))
        if self._settling.units is None:
            doses = universe.doses(universe.entries, COARSE)
            self._settling.measure(run, doses, self._lengths.stretch(COARSE))
        found = self._discovery
        if found is not None and self.settings.delay_ns is None:
            longest_s = longest_delay_s(found.time_per_unit_s)
            self._watching.measure(run, found, universe, longest_s, self._lengths.window(0.0))
            watched = self._watching.applied(found)
            if watched is not found:
                self._found = watched
                self._universes.clear()
        self._is_measured = True

    def _follow(self, run: LiveRun, request: RunRequest) -> Universe:
        """Have the target follow the plan that a request is for."""
        universe = self._universe_for(request)
        if universe is not self._universe:
            run.follow(universe.plan)
            self._universe = universe
        return universe

    def _launch(self, block: int) -> Launch:
        return Launch(
            argv=self.workload.argv,
            cwd=self.workload.cwd,
            env=self.workload.environment_for(self.slot, self.settings.seed, block),
            stdout=self.slot / "stdout",
            stderr=self.slot / "stderr",
            outlives=True,
        )

    def _ended(self, ended: Ended) -> None:
        """The target has ended by itself: that is no failure if it says so.

        Raises:
            RunFailed: it failed.
            Interrupted: it was stopped on the user's request.
        """
        output, errors = tail(self.slot / "stdout"), tail(self.slot / "stderr")
        units = self._run.units() if self._run else 0
        has_moved = not self._first.is_known or units > 0
        self._run_units = max(units, self._run_units)
        records = any((self.slot / "records").iterdir())
        self.close()
        if ended.error is not None:
            raise RunFailed(f"the benchmark could not be started: {ended.error}")
        if ended.stopped == "killed":
            raise Interrupted("the target was stopped")
        if ended.returncode != 0:
            words = last_words(errors) or last_words(output)
            raise RunFailed(f"the benchmark {how_it_ended(ended)}{words}")
        if not records:
            raise RunFailed(self.workload.why_nothing_attached())
        if not has_moved:
            raise RunFailed(
                f"the progress point {self._first.point.unit} was never called; name a function "
                "that every unit of work calls"
            )


def _without(window: Window, delivered: Mapping[str, Delivered]) -> float | None:
    """The CPU time of the lanes without what watching added to it."""
    if window.own_cpu_s is None:
        return None
    counted, with_watching = (
        sum(each.spun_ns or 0.0 for each in known.values())
        for known in (window.delivered, delivered)
    )
    return max(window.own_cpu_s - (with_watching - counted) / 1e9, 0.0)


def mode_of(settings: Settings) -> str:
    """What the settings ask for: ``auto`` only where it is to be seen whether windows can be had.

    Whoever names what a run prints, its time, or a part of it wants runs measured.
    """
    if settings.mode != "auto":
        return settings.mode
    if settings.metric.startswith(("progress:", "latency:")):
        return "live"
    wants_runs = settings.metric != "auto" or settings.lower_is_better or settings.duration_s
    return "runs" if wants_runs else "auto"
