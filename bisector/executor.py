"""One run per request: plan, launch, metric, records, observation.

Invariant: `RunExecutor.run` answers every request with exactly one `RunObserved` and leaves nothing
of the run behind. What goes wrong in a benchmark becomes a ``failed`` observation with one
sentence; only the user's interruption is an exception, because then there is nothing to observe.

No run counts without proof that its injection was live: a run in which no process attached failed,
and so did one whose targets were to be delayed but in which the injector broke.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bisector.calibration import Calibration
from bisector.digest import digest
from bisector.discovery import Discovery, callbacks_by
from bisector.dose import plan_for, slowed_by_watching
from bisector.errors import Interrupted
from bisector.metric import Metric, MetricError, MetricSpec, RunOutput, resolve
from bisector.observations import Delivered, RunObserved, RunRequest, discovered
from bisector.output import last_words, tail
from bisector.quantities import format_time
from bisector.reach import is_runner, work_elsewhere
from bisector.run_directory import clear, unusable
from bisector.settings import Settings
from bisector.warden import Ended, Launch, Warden
from bisector.workload import Workload, usable_cores
from injector.records import ProcessRecord, read_records

TOO_FAST_S = 0.02
"""A program whose own code runs for less than this did nothing that could be measured."""
TIMEOUT_FACTOR = 10.0
SHORTEST_TIMEOUT_S = 5.0
PREPARE_TIMEOUT_S = 600.0


class RunFailed(Exception):
    """This run is no measurement; the message becomes the observation's ``reason``."""


class TargetExecutor:
    """What executors have in common: what they measure and with what, and what they say of it."""

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
        self.metric = metric
        self.spec = MetricSpec.parse(settings.metric)
        self._warnings: list[str] = []
        self._warned: set[str] = set()

    def close(self) -> None:
        """End what lives longer than a request."""

    def drain_warnings(self) -> list[str]:
        """What the user should know that is no failure; each sentence once."""
        warnings, self._warnings = self._warnings, []
        return warnings

    def _warn(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            self._warnings.append(sentence)

    def _prepare(self) -> None:
        """Run the command that the user wants run before the benchmark.

        Raises:
            RunFailed: it failed.
            Interrupted: it was stopped on the user's request.
        """
        if self.workload.prepare is None:
            return
        output = self.slot / "prepare"
        ended = self.warden.run(
            Launch(
                argv=("/bin/sh", "-c", self.workload.prepare),
                cwd=self.workload.cwd,
                env=self.workload.environment,
                stdout=output,
                stderr=output,
                limit_s=self.settings.timeout_s or PREPARE_TIMEOUT_S,
            )
        )
        if ended.stopped == "killed":
            raise Interrupted("the command given by --prepare was stopped")
        if ended.stopped == "limit":
            raise RunFailed("the command given by --prepare did not end in time")
        if ended.returncode != 0:
            raise RunFailed(
                f"the command given by --prepare {how_it_ended(ended)}{last_words(tail(output))}"
            )


class RunExecutor(TargetExecutor):
    """Implements `bisector.observations.Executor` with one process tree per request.

    State that later runs depend on (the metric, the discovery, the first run's length) is set by
    `run` and, when an investigation is taken up again, by `recall`.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """As `TargetExecutor`."""
        super().__init__(*arguments, **named)
        self._discoveries: list[RunObserved] = []
        self._discovery: Discovery | None = None
        self._usual_cpu_s: list[float] = []
        self._first_wall_s: float | None = None
        self._longest_control_s = 0.0
        self._shortest_unit_s = float("inf")

    def run(self, request: RunRequest) -> RunObserved:
        """Carry out one request.

        Raises:
            Interrupted: the run was stopped on the user's request and is not part of the record.
            RunDirectoryError: the disk is full or no longer writable.
        """
        records: list[ProcessRecord] = []
        wall_s = 0.0
        cpu_s: float | None = None
        try:
            self._prepare()
            launched_s, ended = self._launch(request)
            wall_s = ended.wall_s
            records = read_records(self.slot / "records")
            cpu_s = ended.cpu_s - sum(record.cpu_before_s for record in records)
            observed = self._observe(request, ended, records, launched_s, cpu_s)
        except RunFailed as failure:
            observed = RunObserved(request.seq, "failed", 0.0, wall_s, reason=str(failure))
        except OSError as error:
            raise unusable(self.slot.parent, error) from error
        observed = replace(
            observed,
            elapsed_s=self.elapsed_s(),
            processes=len(records),
            delivered=_delivered(records, slowed_by_watching(self._discovery, request)),
            calls_total=sum(e["calls"] for r in records for e in r.of("target")),
            cpu_s=cpu_s,
        )
        clear(self.slot)
        observed = _with_speed(observed)
        self.recall(request, observed)
        return observed

    def recall(self, request: RunRequest, observed: RunObserved) -> None:
        """Learn from an observation what later runs depend on."""
        if observed.discovery is not None:
            self._discoveries.append(observed)
            self._discovery = discovered(self._discoveries)
        if observed.status != "ok" or request.purpose == "discover":
            return
        if self._first_wall_s is None:
            self._first_wall_s = observed.wall_s
        if not request.targets and observed.time_per_unit_s is not None:
            if observed.cpu_s is not None:
                self._usual_cpu_s.append(observed.cpu_s)
            self._longest_control_s = max(self._longest_control_s, observed.wall_s)
            self._shortest_unit_s = min(self._shortest_unit_s, observed.time_per_unit_s)

    @property
    def timeout_s(self) -> float:
        """After this a run counts as hanging."""
        if self.settings.timeout_s is not None:
            return self.settings.timeout_s
        if self._first_wall_s is None:
            return max(self.settings.budget_s, SHORTEST_TIMEOUT_S)
        return max(TIMEOUT_FACTOR * self._first_wall_s, SHORTEST_TIMEOUT_S)

    @property
    def _has_window(self) -> bool:
        """Whether only a part of a run is looked at: not where the whole run is the unit."""
        if self.settings.warmup_s == 0.0 and self.settings.duration_s is None:
            return False
        return self.metric is None or not self.metric.is_time

    def _launch(self, request: RunRequest) -> tuple[float, Ended]:
        """Write the plan and run the command; returns when it was launched (monotonic s)."""
        point, settings = self.spec.point, self.settings
        plan = plan_for(self._discovery, request, self.calibration.event_ns)
        launched_ns = time.monotonic_ns()
        plan = replace(plan, launched_ns=launched_ns, **point.of_plan())
        if request.purpose == "discover":
            plan = replace(plan, native=settings.native, lines=settings.lines)
        if self._has_window and (point.unit or request.purpose == "discover"):
            # A number that the program itself measures covers more than the window: delays that
            # are active only there would be diluted in it.
            lasts_s = settings.duration_s
            length_ms = None if lasts_s is None else lasts_s * 1e3
            plan = replace(plan, warmup_ms=settings.warmup_s * 1e3, duration_ms=length_ms)
        (self.slot / "plan.json").write_text(plan.to_json(), encoding="utf-8")
        limits = [limit for limit in (request.limit_s, self.timeout_s) if limit is not None]
        ended = self.warden.run(
            Launch(
                argv=self.workload.argv,
                cwd=self.workload.cwd,
                env=self.workload.environment_for(self.slot, self.settings.seed, request.block),
                stdout=self.slot / "stdout",
                stderr=self.slot / "stderr",
                limit_s=min(limits),
            )
        )
        return launched_ns / 1e9, ended

    def _observe(
        self,
        request: RunRequest,
        ended: Ended,
        records: list[ProcessRecord],
        launched_s: float,
        cpu_s: float,
    ) -> RunObserved:
        """The observation of a run that ended, one way or another (without the counts).

        Raises:
            RunFailed: it is no measurement.
        """
        if ended.error is not None:
            raise RunFailed(f"the benchmark could not be started: {ended.error}")
        if ended.stopped == "killed":
            raise Interrupted("the run in flight was stopped")
        if ended.leftovers:
            self._warn(
                "the benchmark leaves processes behind, which were killed after the run: "
                + ", ".join(ended.leftovers[:3])
            )
        if ended.stopped == "limit":
            return self._cut_short(request, ended)
        output = RunOutput(
            tail(self.slot / "stdout"), tail(self.slot / "stderr"), ended.wall_s, tuple(records)
        )
        if ended.returncode != 0:
            words = last_words(output.stderr) or last_words(output.stdout)
            raise RunFailed(f"the benchmark {how_it_ended(ended)}{words}")
        self._require_attachment(request, records, ended.cpu_s)
        self._require_length(records, launched_s, ended)
        try:
            if self.metric is None:
                self.metric = resolve(self.spec, self.settings.lower_is_better, output)
                if self.metric.is_time and (self.settings.warmup_s or self.settings.duration_s):
                    self._warn(
                        "--warmup and --duration do nothing where the metric is the time of the "
                        "whole run; give --metric a rate or a progress point"
                    )
            value = self.metric.value(output)
            time_per_unit_s = self.metric.time_per_unit_s(value, output)
            time_between_s = self.metric.time_between_s(value, output)
        except MetricError as error:
            raise RunFailed(str(error)) from None
        discovery = None
        if request.purpose == "discover":
            discovery = self._discovered(
                partial(
                    digest,
                    records,
                    time_per_unit_s=time_between_s,
                    window=self._window(launched_s, ended),
                    whole_run_is_unit=self.metric.is_time,
                ),
                cpu_s,
            )
            discovery = replace(discovery, cores=usable_cores(), sites=request.sites)
        return RunObserved(
            request.seq,
            "ok",
            0.0,
            ended.wall_s,
            value=value,
            time_per_unit_s=time_per_unit_s,
            discovery=discovery,
        )

    def _discovered(self, digested: Callable[..., Discovery], cpu_s: float) -> Discovery:
        """What a run of this CPU time has shown, with callbacks taken to cost what they did in it.

        Args:
            digested: makes it of ``overheads``.
        """
        overheads = self.calibration.discover_ns
        found = digested(overheads=overheads)
        callbacks = 1.0
        if self._usual_cpu_s and not self._has_window:
            callbacks = callbacks_by(found, cpu_s, median(self._usual_cpu_s))
        if callbacks != 1.0:
            found = digested(overheads={kind: callbacks * ns for kind, ns in overheads.items()})
        callback_s = callbacks * self.calibration.callback_s
        return replace(found, callbacks=callbacks, callback_s=callback_s)

    def _cut_short(self, request: RunRequest, ended: Ended) -> RunObserved:
        """A run stopped at its limit: slow if slowed and limited by the engine, else hanging.

        A program does its units between start-up and end, so a run lasting L instead of W takes at
        least L / W times as long per unit: a lower bound.
        """
        limit_s = min(filter(None, (request.limit_s, self.timeout_s)))
        if not request.targets or limit_s != request.limit_s or not self._longest_control_s:
            raise RunFailed(
                f"the benchmark did not end within {format_time(round(limit_s, 3))} and was "
                "killed; shorten it, or give it longer with --timeout"
            )
        bound = self._shortest_unit_s * ended.wall_s / self._longest_control_s
        return RunObserved(request.seq, "slow", 0.0, ended.wall_s, time_per_unit_s=bound)

    def _require_attachment(
        self, request: RunRequest, records: list[ProcessRecord], cpu_s: float
    ) -> None:
        if not records:
            raise RunFailed(self.workload.why_nothing_attached())
        elsewhere = work_elsewhere(cpu_s, records) if request.purpose == "discover" else None
        if elsewhere and is_runner(records):
            raise RunFailed(elsewhere)
        if elsewhere:
            self._warn(elsewhere)
        errors = [error for record in records for error in record.errors]
        for error in errors:
            self._warn(f"the injector failed in a process of the benchmark: {error}")
        if errors and request.targets and not any(r.of("target") for r in records):
            raise RunFailed(f"the injector failed in the benchmark: {errors[0]}")

    def _require_length(
        self, records: list[ProcessRecord], launched_s: float, ended: Ended
    ) -> None:
        """By what its processes noted: start-up takes as long as the machine likes."""
        if self._first_wall_s is not None:
            return
        begin_s = min(record.header["start_ns"] for record in records) / 1e9
        detached = [record.entries[0]["detached_ns"] / 1e9 for record in records]
        own_s = (max(detached) if all(detached) else launched_s + ended.wall_s) - begin_s
        if own_s < TOO_FAST_S:
            raise RunFailed(
                f"the benchmark is too fast to be measured: it takes {ended.wall_s * 1e3:.0f} ms, "
                f"its own code {own_s * 1e3:.0f} ms of them; make it do a second of work"
            )

    def _window(self, launched_s: float, ended: Ended) -> tuple[float, float] | None:
        """The user's measurement window on the monotonic clock, None where there is none."""
        if not self._has_window:
            return None
        warmup_s, duration_s = self.settings.warmup_s, self.settings.duration_s
        end_s = ended.started_s + ended.wall_s
        start_s = min(launched_s + warmup_s, end_s)
        return start_s, end_s if duration_s is None else min(start_s + duration_s, end_s)


def _with_speed(observed: RunObserved) -> RunObserved:
    """A discovery run says by its CPU time how fast the processors were."""
    found, cpu_s = observed.discovery, observed.cpu_s
    if found is None or cpu_s is None or cpu_s <= found.watching_s:
        return observed
    return replace(observed, discovery=replace(found, usual_cpu_s=cpu_s - found.watching_s))


def how_it_ended(ended: Ended) -> str:
    """How a command that did not succeed ended, as the end of a sentence."""
    code = ended.returncode
    if code is None:
        return "could not be killed"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _delivered(records: list[ProcessRecord], slowed: Mapping[str, float]) -> dict[str, Delivered]:
    """What the injector counted, and what watching added, in seconds per call of a target."""
    totals: dict[str, list[int]] = {}
    for record in records:
        for entry in record.of("target"):
            sums = totals.setdefault(str(entry.fields["target"]), [0, 0, 0, 0])
            for index, name in enumerate(("calls", "delays", "delayed_ns", "wait_ns")):
                sums[index] += entry[name]
    delivered = {}
    for target, (calls, delays, delayed_ns, waited_ns) in totals.items():
        added_ns = delayed_ns + calls * slowed.get(target, 0.0) * 1e9
        delivered[target] = Delivered(calls, delays, added_ns, added_ns - waited_ns)
    return delivered
