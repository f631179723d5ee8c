"""A living target: started once, switched many times, measured while it runs.

It knows processes, epochs and progress points, and nothing of experiments: `LiveRun.measure` says
how long a unit of work took in one window and what the injector counted in it. A window begins when
every process has followed the switch and some units have passed since, so that what was begun under
other doses is over.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bisector.point import Point
from bisector.unit import Count
from bisector.warden import Ended, Launch, Warden
from bisector.window import Moment, NotMeasured, Shape, Window, between
from injector.control import Control
from injector.follow import Follower, stems
from injector.plan import ByState, Plan

LOOK_S = 0.0005
"""How often counters are looked at when what is awaited is near,"""
FAR_S = 0.005
"""and when it is not. Every look takes time from a target on a machine with few processors."""

SEARCH_S = 0.02
"""How often new processes and new names are looked for."""

STILL_UNITS = 4
"""Units, for each process that does some, after which no more stills are waited for."""

WAKE_S = 0.01
"""How often a process that has not followed is woken again."""

MOST_ENDED = 64
"""Processes that have ended whose records are kept at hand."""

FOLLOW_S = 5.0
"""How long a process may take to follow a switch."""


class TargetEnded(Exception):
    """The target has ended; `ended` says how."""

    def __init__(self, ended: Ended) -> None:
        super().__init__("the target has ended")
        self.ended = ended


class LiveRun:
    """See the module docstring. `close` ends the target."""

    def __init__(self, warden: Warden, launch: Launch, slot: Path, plan: Plan, room: int) -> None:
        """Start it with ``plan``. ``room``: how many doses a plan may have.

        Raises:
            OSError: the slot cannot be written to.
        """
        self._warden = warden
        self._slot = slot
        self._plans = 1
        self._followers: dict[str, Follower] = {}
        self._forgotten: set[str] = set()
        self._looked_s = 0.0
        self._ended: Ended | None = None
        self._stills = 0
        self._underway = 0
        """How many more units began than ended in processes that are forgotten."""
        self.point = Point()
        """What the units of work are."""
        self.control = Control(str(slot / "control"), room, create=True)
        self.control.change({}, self._plans)
        self._write(plan)
        warden.start(launch)

    # -- switching --------------------------------------------------------------------------------

    def follow(self, plan: Plan) -> None:
        """Replace the plan; all doses become 0."""
        for follower in self._followers.values():
            follower.begin_plan()
        self._write(plan)
        self._plans += 1
        self.switch({})

    def switch(self, doses: Mapping[int, ByState]) -> None:
        """Delay these entries of the plan from now on, and no others."""
        self._await(self.control.change(doses, self._plans))

    def _await(self, epoch: int) -> None:
        """Until every process has followed.

        Raises:
            TargetEnded: it has ended meanwhile.
            NotMeasured: a process does not follow.
        """
        began = time.monotonic()
        woken = 0.0
        while True:
            self.look(now=True)
            alive = self._alive()
            late = [f for f in alive if f.epoch < epoch]
            if alive and not late:
                return
            now = time.monotonic()
            if now - woken > WAKE_S:
                woken = now
                for follower in late:
                    follower.wake(self.control.epoch)
            if now - began > FOLLOW_S:
                raise NotMeasured(
                    f"{len(late)} of {len(alive)} processes did not follow a switch within "
                    f"{FOLLOW_S:g} s"
                )
            time.sleep(LOOK_S)

    # -- measuring --------------------------------------------------------------------------------

    def measure(self, doses: Mapping[int, ByState], targets: Iterable[str], shape: Shape) -> Window:
        """One window with these entries of the plan delayed.

        Raises:
            TargetEnded: it ended before the window did.
            NotMeasured: no progress, or a process that does not follow.
        """
        began = time.monotonic()
        self._forget_ended()
        self.switch(doses)
        self.pass_units(shape.settle - 1, 0.0, shape.patience_s)
        window = self.stretch(targets, shape)
        return replace(window, wall_s=time.monotonic() - began)

    def stretch(self, targets: Iterable[str], shape: Shape) -> Window:
        """A window that begins with the next unit, under the doses that are in force.

        Raises:
            TargetEnded: it ended before the window did.
            NotMeasured: no progress.
        """
        began = time.monotonic()
        before = self._moment(targets, shape.patience_s)
        self.pass_units(shape.units - 1, shape.seconds, shape.patience_s)
        after = self._moment(targets, shape.patience_s)
        return between(before, after, time.monotonic() - began, len(self._alive()))

    def pass_units(self, units: int, seconds: float, patience_s: float) -> int:
        """Wait until so many units and seconds have passed; returns how many units have.

        Raises:
            TargetEnded: it has ended.
            NotMeasured: nothing moves.
        """
        return self._pass(
            lambda count, passed_s: count >= units and passed_s >= seconds,
            (units, seconds),
            patience_s,
        )

    def _pass(
        self,
        is_over: Callable[[int, float], bool],
        foreseen: tuple[int, float],
        patience_s: float,
    ) -> int:
        """Wait until ``is_over`` (units that have passed, seconds that have), probably when so many
        have; returns how many units have.

        Raises:
            TargetEnded: it has ended.
            NotMeasured: nothing moves.
        """
        units, seconds = foreseen
        began = moved = time.monotonic()
        first = last = self.units()
        while True:
            self.look()
            now, count = time.monotonic(), self.units()
            if count != last:
                last, moved = count, now
            if is_over(count - first, now - began):
                return count - first
            left = max(units - (count - first), 0) / max(count - first, 1)
            near_s = max(left * (now - began), seconds - (now - began)) if count > first else 0.0
            if now - moved > patience_s:
                raise NotMeasured(
                    "the progress point was never called"
                    if last == 0
                    else f"there was no progress for {patience_s:.3g} s"
                )
            time.sleep(min(max(0.3 * near_s, LOOK_S), FAR_S))

    def units(self) -> int:
        """Calls of the progress point so far."""
        return sum(f.progress(self.point.unit).calls for f in self._followers.values())

    def cpu_s(self) -> float | None:
        """CPU seconds of all processes so far; None where some do not say."""
        spent = [follower.cpu_ns() for follower in self._followers.values()]
        return None if None in spent else sum(filter(None, spent)) / 1e9

    def count(self) -> Count:
        """Calls of every function while everything is watched."""
        return Count(
            time.monotonic(),
            {
                (follower.key, slot): calls
                for follower in self._followers.values()
                for slot, calls in follower.calls().items()
            },
        )

    @property
    def errors(self) -> list[str]:
        """What went wrong with the injector, in all processes."""
        return [error for follower in self._followers.values() for error in follower.errors]

    def look(self, now: bool = False) -> None:
        """Find new processes and new names, if it is time to, or at once.

        Raises:
            TargetEnded: the target has ended.
        """
        time_s = time.monotonic()
        if now or time_s - self._looked_s >= SEARCH_S:
            self._looked_s = time_s
            self._search()
        self._ended = self._ended or self._warden.wait(0.0)
        if self._ended is not None:
            raise TargetEnded(self._ended)

    def _search(self) -> None:
        for stem in stems(str(self._slot / "records")):
            if stem not in self._followers and stem not in self._forgotten:
                with contextlib.suppress(OSError):
                    self._followers[stem] = follower = Follower(stem)
                    follower.wake(self.control.epoch)
        for follower in self._followers.values():
            follower.read_names()

    def _forget_ended(self) -> None:
        """A target may start processes without end."""
        ended = [stem for stem, follower in self._followers.items() if follower.has_ended]
        for stem in ended if len(ended) > MOST_ENDED else ():
            begun, done = (
                self._followers[stem].progress(point).calls
                for point in (self.point.begins, self.point.unit)
            )
            self._underway += begun - done
            self._followers[stem].close()
            self._forgotten.add(stem)
            del self._followers[stem]

    def _alive(self) -> list[Follower]:
        return [f for f in self._followers.values() if not f.has_ended]

    def _working(self, followers: Iterable[Follower]) -> list[Follower]:
        """Those of them that have done units."""
        points = (self.point.unit, self.point.begins)
        return [f for f in followers if any(map(f.takes_stills, points))]

    def _moment(self, targets: Iterable[str], patience_s: float) -> Moment:
        """All counters, those of each process as they are inside its next unit's first call.

        A process that does no unit while the others do several is read as it is. Where all that did
        units have ended, the last unit is over and was counted when it began: no window ends there.

        Raises:
            TargetEnded: it has ended.
            NotMeasured: nothing moves.
        """
        self._stills = number = self._stills + 1
        asked = self._working(self._alive())
        if not asked and self._working(self._followers.values()):
            self._pass(lambda *_: bool(self._working(self._alive())), (1, 0.0), patience_s)
            asked = self._working(self._alive())
        for follower in asked:
            follower.want_still(number)
        enough = STILL_UNITS * len(asked)

        def is_over(units: int, _: float) -> bool:
            return units >= enough or all(f.has_still(number) for f in asked)

        self._pass(is_over, (len(asked), 0.0), patience_s)
        followers, begins = list(self._followers.values()), self.point.begins
        still = {f: f.has_still(number) for f in followers}
        return Moment(
            {f: f.progress(self.point.unit, still[f]) for f in followers},
            {f: f.counted(targets, still[f]) for f in followers},
            {f: f.progress(begins, still[f]) for f in followers} if begins else {},
            self._underway,
        )

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """End the target, if it lives, and let go of its records."""
        if self._warden.is_running:
            self._warden.stop()
            self._warden.wait()
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()
        self.control.close()

    def _write(self, plan: Plan) -> None:
        """Processes may read it at any moment: they find the old one or the new one."""
        path = self._slot / "plan.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(plan.to_json(), encoding="utf-8")
        fresh.replace(path)
