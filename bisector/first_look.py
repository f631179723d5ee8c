"""What has to be known of a living target before windows of it mean something.

Its unit of work, where the user has not named it; when its work is steady; and what it does, which
functions, how often and how long (discovery). The target is watched from its beginning, because
code that began before could not be told apart later. A target that ends before all is known is
started again, and the look goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median

from bisector.calibration import Calibration
from bisector.digest import digest
from bisector.discovery import Discovery, at_speed, needs_bare
from bisector.live_run import LiveRun, TargetEnded
from bisector.observations import RunObserved
from bisector.point import Point
from bisector.settings import Settings
from bisector.unit import Count, NoUnit, find_unit
from bisector.window import Shape, Window, longer_by
from bisector.workload import usable_cores
from injector.follow import between
from injector.plan import Plan
from injector.records import ProcessRecord, read_records

PATIENCE_S = 5.0
"""Without progress for this long a stretch is given up."""

COUNT_EVERY_S = 0.02
JUDGE_EVERY_S = 0.25
LEAST_WATCHED_S = 1.0
WATCHED_SHARE = 0.25
LONGEST_WATCHED_S = 20.0
LONGEST_SHARE = 0.1
MOST_OF_BUDGET = 0.2
SHORT_S, SHORTEST_S = 5.0, 2.0
"""To find the unit of work, calls are counted this often, and it is judged by the last second at
least, or the last quarter of the time, until two judgements agree, or this much time has passed (a
tenth of the budget if that is more, a fifth of it at most; where a fifth is too short for
two judgements of a program that begins slowly, half the budget between these bounds)."""

PATIENT_SHARE = 0.5
"""Share of that time in which no other call is taken because the best does not recur steadily."""

PARTS_AT_END = (0.9, 0.7, 0.5, 0.3)
"""Parts of a run that has ended in which its work may have been steady."""

AGREE = 0.15
"""Two stretches of work whose rates differ by less are taken for steady."""

STRETCHES = 8
"""After this many it goes on as it is: blocks are compared within themselves."""

STRETCH = Shape(settle=0, units=7, seconds=0.05, patience_s=PATIENCE_S)

COUNTED_UNITS, COUNTED_S = 30, 0.5
"""Discovery counts this much work at least,"""
JUST_ENOUGH = 10
"""or these units, where the target ends before that."""

USUAL = Shape(settle=2, units=14, seconds=0.05, patience_s=PATIENCE_S)
USUAL_WINDOWS = 5
"""Undelayed windows by which is judged how fast the processors are usually."""


class FirstLook:
    """See the module docstring. `look` is repeated with each new target until it has all."""

    def __init__(
        self, slot: Path, calibration: Calibration, settings: Settings, point: Point
    ) -> None:
        """``point``: the progress point; empty where it is to be found."""
        self._slot = slot
        self._calibration = calibration
        self._settings = settings
        self.point = point
        self.why = ""
        """Why that is the unit of work, if it was found."""
        self._warm_units = 0
        self._counted: dict[bool, tuple[Discovery, float | None, float]] = {}
        """By whether places were looked for: what was found, the CPU seconds of all processes in
        that time, time per unit."""
        self._usual: list[Window] = []
        """Undelayed windows."""
        self.discoveries: dict[bool, RunObserved] = {}
        """The same as observations, with own times as they usually are."""

    @property
    def is_known(self) -> bool:
        """Whether there is a progress point."""
        return bool(self.point.unit)

    def latency(self) -> tuple[float, float]:
        """(seconds, how many are on their way) in undelayed windows, where that is asked for."""
        return (
            median(window.time_per_unit_s for window in self._usual),
            median(window.time_per_unit_s / window.time_between_s for window in self._usual),
        )

    @property
    def learnt(self) -> int:
        """Grows with what is known."""
        return self.is_known + bool(self._warm_units) + len(self._counted) + len(self._usual)

    def plan(self) -> Plan:
        """What to start a target with."""
        return self._bare() if self._has_counted else self._watching(sites=True)

    def look(self, run: LiveRun) -> None:
        """Learn what is not known yet; afterwards the target does its steady work, undelayed.

        Raises:
            TargetEnded: it ended before that; start another, and look again.
            NoUnit: there is no unit of work to be found; the target still runs.
            NotMeasured: it does no work.
        """
        if not self.is_known:
            self._find_unit(run)
        # What begins units is told from other calls only once nothing else is watched.
        run.point = Point(self.point.unit)
        self._await_steady(run)
        if not (self.discoveries or self._has_counted):
            self._count(run)
            run.follow(self._bare())
        run.point = self.point
        if self.discoveries:
            return
        while len(self._usual) < USUAL_WINDOWS:
            self._usual.append(run.measure({}, (), USUAL))
        self.discoveries = dict(self._observed())

    # -- the unit of work -------------------------------------------------------------------------

    def _find_unit(self, run: LiveRun) -> None:
        counts: list[Count] = []
        last = Point()
        began = judged = time.monotonic()
        while True:
            try:
                run.look()
            except TargetEnded:
                self._judge_the_end(counts)
                run.point = self.point
                raise
            now = time.monotonic()
            counts.append(run.count())
            if now - judged >= JUDGE_EVERY_S and now - began >= LEAST_WATCHED_S:
                judged = now
                since_s = now - max(LEAST_WATCHED_S, WATCHED_SHARE * (now - began))
                patient = now - began < PATIENT_SHARE * self._longest_s
                try:
                    self._take_unit([c for c in counts if c.time_s >= since_s], patient)
                    if self.point == last:
                        return
                    last, self.point = self.point, Point()
                except NoUnit:
                    last = Point()
                    if now - began > self._longest_s:
                        raise
            time.sleep(COUNT_EVERY_S)

    @property
    def _longest_s(self) -> float:
        budget_s = self._settings.budget_s
        return max(
            min(LONGEST_WATCHED_S, MOST_OF_BUDGET * budget_s),
            min(SHORT_S, max(SHORTEST_S, 0.5 * budget_s)),
            LONGEST_SHARE * budget_s,
        )

    def _judge_the_end(self, counts: list[Count]) -> None:
        """The program has ended early; somewhere in what it did there may have been steady work.

        Raises:
            NoUnit: there was none.
        """
        reason = NoUnit("it ends at once")
        for patient, part in product((True, False), PARTS_AT_END if len(counts) > 1 else ()):
            since_s = counts[-1].time_s - part * (counts[-1].time_s - counts[0].time_s)
            try:
                return self._take_unit([c for c in counts if c.time_s >= since_s], patient)
            except NoUnit as none:
                reason = none
        raise reason

    def _take_unit(self, counts: list[Count], patient: bool) -> None:
        unit = find_unit(self._records(), counts, patient)
        self.point, self.why = Point(unit.target), unit.why

    # -- steady work ------------------------------------------------------------------------------

    def _await_steady(self, run: LiveRun) -> None:
        """Until two stretches of work in a row take as long; the next time, as many units."""
        patience_s = self._settings.timeout_s or max(60.0, self._settings.budget_s)
        warm_s = self._settings.warmup_s
        if self._warm_units:
            run.pass_units(self._warm_units, warm_s, patience_s)
            return
        run.pass_units(1, warm_s, patience_s)
        self._warm_units = units = 1  # if it ends meanwhile, it is too short to wait for more
        before = None
        for _ in range(STRETCHES):
            stretch = run.stretch((), replace(STRETCH, patience_s=patience_s))
            if before is not None and abs(longer_by(stretch, before)) < AGREE:
                break
            before = stretch
            units += stretch.units
        self._warm_units = units

    # -- what it does -----------------------------------------------------------------------------

    @property
    def _has_counted(self) -> bool:
        placed = self._counted.get(True)
        if placed is None:
            return False
        return not needs_bare(placed[0]) or False in self._counted

    def _count(self, run: LiveRun) -> None:
        if True not in self._counted:
            self._counted[True] = self._stretch(run, sites=True)
        if not self._has_counted:
            run.follow(self._watching(sites=False))
            # Until the unit is called, it is not known where those since the switch are counted.
            run.pass_units(1, 0.0, PATIENCE_S)
            self._counted[False] = self._stretch(run, sites=False)

    def _stretch(self, run: LiveRun, sites: bool) -> tuple[Discovery, float | None, float]:
        """Count a stretch of steady work, or what there was of it.

        Raises:
            TargetEnded: it ended before there was enough.
        """
        before = self._records()
        opened_s, first, cpu_s = time.monotonic(), run.units(), run.cpu_s()
        spent_s = None  # for each unit, by the last that was seen of it
        try:
            while run.units() - first < COUNTED_UNITS or time.monotonic() - opened_s < COUNTED_S:
                run.pass_units(JUST_ENOUGH, COUNTED_S / 10, PATIENCE_S)
                by_now_s = run.cpu_s()
                if cpu_s is not None and by_now_s is not None:
                    spent_s = (by_now_s - cpu_s) / (run.units() - first)
        except TargetEnded:
            if run.units() - first < JUST_ENOUGH:
                raise
        units = run.units() - first
        time_per_unit_s = (time.monotonic() - opened_s) / units
        records = between(before, self._records())
        # To read all records takes a while, and the target goes on meanwhile.
        units = _calls(records, self.point.unit) or units
        found = digest(
            records,
            time_per_unit_s=time_per_unit_s,
            window=(opened_s, opened_s + units * time_per_unit_s),
            whole_run_is_unit=False,
            overheads=self._calibration.discover_ns,
        )
        found = replace(
            found,
            cores=usable_cores(),
            callback_s=self._calibration.callback_s,
            sites=sites,
            cpu_units=float(units),
        )
        return found, None if spent_s is None else spent_s * units, time_per_unit_s

    def _observed(self) -> Iterator[tuple[bool, RunObserved]]:
        usual_s = _median_per_unit(self._usual, [window.cpu_s for window in self._usual])
        usual_own_s = _median_per_unit(self._usual, [window.own_cpu_s for window in self._usual])
        for sites, (found, cpu_s, time_per_unit_s) in self._counted.items():
            # Where looking for places slows code down, the other look says how fast it is.
            if not (sites and False in self._counted):
                found = replace(at_speed(found, cpu_s, usual_s), usual_cpu_s=usual_own_s)
            yield (
                sites,
                RunObserved(
                    0,
                    "ok",
                    0.0,
                    found.window_s,
                    value=1.0 / time_per_unit_s,
                    time_per_unit_s=time_per_unit_s,
                    discovery=found,
                ),
            )

    def _watching(self, sites: bool) -> Plan:
        # The calls of the unit are counted as those of any function; as a progress point they would
        # be counted twice.
        finer = self._settings
        return Plan(mode="discover", sites=sites, native=finer.native, lines=finer.lines, live=True)

    def _bare(self) -> Plan:
        return Plan(live=True, **self.point.of_plan())

    def _records(self) -> list[ProcessRecord]:
        return read_records(self._slot / "records")


def _calls(records: Sequence[ProcessRecord], target: str) -> int:
    functions = (entry for record in records for entry in record.of("function"))
    return sum(entry["calls"] for entry in functions if entry.fields["target"] == target)


def _median_per_unit(windows: Sequence[Window], seconds: Sequence[float | None]) -> float | None:
    """None where some are not known."""
    known = [s / w.units for w, s in zip(windows, seconds, strict=True) if s is not None]
    return median(known) if len(known) == len(windows) else None
