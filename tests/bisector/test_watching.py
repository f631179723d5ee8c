"""What seeing native calls adds: found by comparing windows, whatever the processors do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import pytest

from bisector.discovery import CodeProfile, Discovery, Function, SiteProfile
from bisector.dose import Universe
from bisector.live_run import TargetEnded
from bisector.observations import Delivered
from bisector.point import Point
from bisector.watching import MOST_ROUNDS, Watching
from bisector.window import Shape, Window
from injector.plan import ByState

SHAPE = Shape(2, 14, 0.04, 5.0)
LOOP, HELPER, PLAIN = "m:loop", "m:helper", "m:plain"
OWN_S = {LOOP: 4e-3, HELPER: 1e-3, PLAIN: 1e-3}
SLOWED = {LOOP: 0.75, HELPER: 0.2}
USUAL_S = sum(OWN_S.values())


def function(target: str, native: bool) -> Function:
    sites = (
        SiteProfile("call", 20, 10.0, OWN_S[target], 0.0, 0.0, native=native),
        SiteProfile("return", 40, 10.0, 0.0, 0.0, 0.0),
    )
    code = CodeProfile(7, sites, slowed=0.3)
    return Function(target, "m.py", 1, 1.0, OWN_S[target], 0.0, 0.0, (code,), 10.0)


FOUND = Discovery(
    (function(LOOP, True), function(HELPER, True), function(PLAIN, False)),
    backend="frame_eval",
    cpu_units=10.0,
    usual_cpu_s=USUAL_S,
)
UNIVERSE = Universe.of(
    FOUND, waits=True, delay_ns=None, point=Point("m:step"), event_ns={}, longest_s=1.0
)


class Target:
    """Takes as much CPU time as it should, on processors so many times slower each time."""

    def __init__(self, speeds: Iterator[float], ends_after: int = 1000) -> None:
        self._speeds = speeds
        self._left = ends_after

    def measure(self, doses: Mapping[int, ByState], targets: Any, shape: Shape) -> Window:
        assert bool(doses) == bool(targets)
        assert all(0.0 < each < 0.01 for dose in doses.values() for each in dose)
        if self._left == 0:
            raise TargetEnded(None)  # type: ignore[arg-type]
        self._left -= 1
        slower, spun_s = next(self._speeds), 0.3e-3
        own_s = slower * USUAL_S
        cpu_s = slower * sum(OWN_S[t] * SLOWED.get(t, 0.0) for t in targets) + own_s
        delivered = {t: Delivered(14, 14, spun_s * 14 * 1e9, spun_s * 14 * 1e9) for t in targets}
        cpu_s += spun_s * len(targets)
        return Window(7e-3, 14, 14 * cpu_s, 0.1, delivered, 1, own_cpu_s=14 * own_s)


def measured(watching: Watching, target: Target) -> dict[str, float]:
    watching.measure(target, FOUND, UNIVERSE, 1.0, SHAPE)  # type: ignore[arg-type]
    return {f.target: f.codes[0].slowed for f in watching.applied(FOUND).functions}


def steady() -> Iterator[float]:
    return iter(lambda: 1.0, None)


def test_each_marked_target_is_watched_by_itself() -> None:
    slowed = measured(Watching(60.0), Target(steady()))
    assert slowed == pytest.approx({LOOP: 0.75, HELPER: 0.2, PLAIN: 0.3})


def test_processors_that_change_their_speed_change_nothing() -> None:
    speeds = (1.0 + 0.5 * ((each // 7) % 2) for each in count())
    slowed = measured(Watching(60.0), Target(speeds))
    assert slowed[LOOP] == pytest.approx(0.75, abs=0.02)


def test_a_target_that_ends_is_gone_on_with() -> None:
    watching, learnt = Watching(60.0), []
    for _ in range(3):
        with pytest.raises(TargetEnded):
            measured(watching, Target(steady(), ends_after=2))
        learnt.append(watching.learnt)
    assert learnt == [2, 4, 6]
    assert measured(watching, Target(steady())) == pytest.approx(
        {LOOP: 0.75, HELPER: 0.2, PLAIN: 0.3}
    )


def test_what_stays_noisy_ends_all_the_same() -> None:
    speeds = (0.5 + (each * 0.618) % 1.0 for each in count())
    watching = Watching(1e6)
    measured(watching, Target(speeds))
    assert watching.learnt == MOST_ROUNDS * 3 + 1


def test_where_watching_slows_nothing_no_window_is_needed() -> None:
    found = Discovery(FOUND.functions, backend="monitoring")
    watching = Watching(60.0)
    watching.measure(Target(steady()), found, UNIVERSE, 1.0, SHAPE)  # type: ignore[arg-type]
    assert watching.learnt == 0
    assert watching.applied(found) is found
