"""Own CPU times as they are while nobody watches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bisector.discovery import (
    CodeProfile,
    Discovery,
    Function,
    SiteProfile,
    at_speed,
    callbacks_by,
    timed_by,
    unwatched,
)


def function(target: str, gil_s: float, wait_s: float = 0.0, nogil_s: float = 0.0) -> Function:
    code = CodeProfile(1, (SiteProfile("entry", 0, 1.0, gil_s, nogil_s, wait_s),))
    return Function(target, "x.py", 1, 1.0, gil_s, nogil_s, wait_s, (code,), 1.0)


def gil(found: Discovery) -> dict[str, float]:
    for entry in found.functions:
        assert entry.codes[0].sites[0].gil_s == pytest.approx(entry.gil_s)
    return {entry.target: entry.gil_s for entry in found.functions}


def nogil(found: Discovery) -> dict[str, float]:
    for entry in found.functions:
        assert entry.codes[0].sites[0].nogil_s == pytest.approx(entry.nogil_s)
    return {entry.target: entry.nogil_s for entry in found.functions}


SLOWED = Discovery(
    (function("m:a", 4e-3), function("m:b", 2e-3, wait_s=5e-3)), lanes=2, gil_s=0.6, nogil_s=0.1
)


def test_own_times_are_scaled_to_the_cpu_time_of_undelayed_runs() -> None:
    found = unwatched(SLOWED, 10e-3, cpu_s=0.35)
    assert gil(found) == pytest.approx({"m:a": 2e-3, "m:b": 1e-3})
    assert [entry.wait_s for entry in found.functions] == [0.0, 5e-3]


def test_native_code_that_almost_fills_the_cpu_time_leaves_other_code_its_own() -> None:
    """A helper that goes by the clock ran more often beside each unit while processors were slow:
    code that takes 2 ms was taken to take a quarter of that."""
    look = Discovery(
        (function("m:transform", 2e-3), function("m:zlib", 0.0, nogil_s=3.2e-3)),
        lanes=2,
        gil_s=2e-3,
        nogil_s=3.2e-3,
    )
    assert gil(unwatched(look, 6e-3, cpu_s=3.6e-3))["m:transform"] > 1.3e-3


def test_a_look_at_windows_is_for_processors_of_another_speed_than_the_first_runs() -> None:
    look = Discovery(
        (function("m:transform", 2.5e-3), function("m:zlib", 0.0, nogil_s=2.9e-3)),
        lanes=2,
        gil_s=70 * 2.5e-3,
        nogil_s=70 * 2.9e-3,
        cpu_units=70.0,
        usual_cpu_s=2.7e-3,
    )
    assert unwatched(look, 6e-3, cpu_s=3.6e-3) == look


def test_without_the_core_on_311_it_differs_from_code_to_code_and_only_a_warning_says_so() -> None:
    found = unwatched(replace(SLOWED, backend="profile"), 10e-3, cpu_s=0.4)
    assert gil(found) == gil(SLOWED)
    assert "2.0 times slower while it is watched" in found.warnings[0]


@pytest.mark.parametrize("cpu_s", [None, 0.05, 2.0])
def test_without_knowing_better_times_stay_as_they_were_seen(cpu_s: float | None) -> None:
    assert unwatched(SLOWED, 10e-3, cpu_s) == SLOWED


def test_one_lane_spends_no_more_time_than_passes() -> None:
    one = Discovery(SLOWED.functions, lanes=1)
    assert gil(unwatched(one, 8e-3, None)) == pytest.approx({"m:a": 2e-3, "m:b": 1e-3})


def test_times_come_from_a_run_that_did_not_look_for_places() -> None:
    placed = Discovery((function("m:loop", 9e-3), function("m:native", 2e-3, 5e-3)), gil_s=11e-3)
    bare = Discovery((function("m:loop", 3e-3), function("m:native", 2e-3)), gil_s=5e-3)
    found = timed_by(placed, bare)
    assert gil(found) == pytest.approx({"m:loop": 3e-3, "m:native": 2e-3})
    assert [f.wait_s for f in found.functions] == [0.0, 5e-3]  # what waited is known from places
    assert [f.codes[0].slowed for f in found.functions] == pytest.approx([2.0, 0.0])
    assert found.gil_s == pytest.approx(5e-3)


def test_a_look_in_a_moment_of_fast_processors_says_how_long_things_usually_take() -> None:
    """Twice as fast as usual: the work, 3 ms of it, and what watching costs, 1 ms."""
    look = Discovery(
        (function("m:a", 1.5e-3),), gil_s=10 * 1.5e-3, watching_s=10e-3, cpu_units=10.0
    )
    found = at_speed(look, cpu_s=10 * 2e-3, usual_s=3e-3)
    assert gil(found) == pytest.approx({"m:a": 3e-3})
    assert found.gil_s == pytest.approx(10 * 3e-3)
    assert at_speed(look, None, 3e-3) is look
    # What watching costs may be much overrated, where little functions are called very often.
    found = at_speed(replace(look, watching_s=40e-3), cpu_s=10 * 2e-3, usual_s=3e-3)
    assert gil(found) == pytest.approx({"m:a": 3e-3})


def test_so_does_native_code() -> None:
    look = Discovery(
        (function("m:zlib", 1e-3, nogil_s=3e-3),), gil_s=10e-3, nogil_s=30e-3, cpu_units=10.0
    )
    found = at_speed(look, cpu_s=10 * 4e-3, usual_s=2e-3)
    assert (gil(found), nogil(found)) == ({"m:zlib": 0.5e-3}, {"m:zlib": 1.5e-3})
    assert (found.gil_s, found.nogil_s) == pytest.approx((5e-3, 15e-3))


def test_what_a_discovery_run_took_more_tells_what_callbacks_cost() -> None:
    """Measured while processors were slow: twelve million callbacks that took 0.5 s were taken to
    cost 1 s, and a gain of 1 for 0.65."""
    look = Discovery((), backend="monitoring", watching_s=1.0)
    assert callbacks_by(look, cpu_s=1.5, usual_s=1.0) == pytest.approx(0.53, abs=0.01)
    assert callbacks_by(look, cpu_s=2.0, usual_s=1.0) == pytest.approx(1.0)
    seldom = replace(look, watching_s=0.02)
    assert callbacks_by(seldom, cpu_s=1.1, usual_s=1.0) == pytest.approx(1.03, abs=0.01)
    assert callbacks_by(seldom, cpu_s=None, usual_s=1.0) == 1.0
    assert callbacks_by(seldom, cpu_s=1.1, usual_s=None) == 1.0
    # There bytecode itself is slowed.
    assert callbacks_by(replace(look, backend="frame_eval"), cpu_s=4.0, usual_s=1.0) == 1.0


def test_looks_of_different_length_are_compared_by_the_unit() -> None:
    placed = Discovery((function("m:loop", 9e-3),), gil_s=60 * 9e-3, cpu_units=60.0)
    bare = Discovery((function("m:loop", 3e-3),), gil_s=20 * 3e-3, cpu_units=20.0)
    assert timed_by(placed, bare).gil_s == pytest.approx(60 * 3e-3)


def test_times_are_compared_call_by_call() -> None:
    placed = Discovery((function("m:loop", 9e-3),))
    often = replace(function("m:loop", 3e-3), calls=4.0, calls_total=4.0)
    code = replace(often.codes[0], sites=(replace(often.codes[0].sites[0], visits=4.0),))
    found = timed_by(placed, Discovery((replace(often, codes=(code,)),)))
    assert gil(found) == pytest.approx({"m:loop": 3e-3})


def test_what_the_other_run_cannot_time_takes_the_average_of_the_rest() -> None:
    placed = Discovery(
        (function("m:loop", 6e-3), function("m:zlib", 1e-3, nogil_s=8e-3), function("m:once", 4e-3))
    )
    bare = Discovery((function("m:loop", 3e-3), function("m:zlib", 8.5e-3)))
    found = timed_by(placed, bare)
    assert gil(found) == pytest.approx({"m:loop": 3e-3, "m:zlib": 0.5e-3, "m:once": 2e-3})
    assert nogil(found)["m:zlib"] == pytest.approx(8e-3)


def test_native_code_takes_as_long_as_on_the_processors_of_the_other_run() -> None:
    """Looked at in a moment of fast processors, and then in a slow one."""
    placed = Discovery((function("m:zlib", 0.1e-3, nogil_s=5e-3),), gil_s=0.1e-3, nogil_s=5e-3)
    bare = Discovery((function("m:zlib", 7.6e-3),), gil_s=7.6e-3, usual_cpu_s=7.6e-3)
    found = timed_by(placed, bare)
    assert nogil(found) == pytest.approx({"m:zlib": 7.5e-3})
    assert (found.gil_s, found.nogil_s) == pytest.approx((0.1e-3, 7.5e-3))
    assert found.usual_cpu_s == 7.6e-3


def test_own_times_and_what_is_usual_are_for_processors_of_the_same_speed() -> None:
    """All of it once more on faster processors: what is usual becomes less by as much as all own
    times together do, and not by what the part that holds the GIL does."""
    look = Discovery(
        (function("m:zlib", 1e-3, nogil_s=6e-3),), gil_s=1e-3, nogil_s=6e-3, usual_cpu_s=7e-3
    )
    found = unwatched(replace(look, lanes=1), 6.3e-3, None)
    assert gil(found) == pytest.approx({"m:zlib": 0.9e-3})
    assert nogil(found) == pytest.approx({"m:zlib": 5.4e-3})
    assert found.usual_cpu_s == pytest.approx(6.3e-3)


@pytest.mark.parametrize(("timed_s", "expected_s"), [(9e-3, 6e-3), (0.1e-3, 1.2e-3)])
def test_chance_makes_no_code_faster_by_watching_nor_much_too_slow(
    timed_s: float, expected_s: float
) -> None:
    found = timed_by(Discovery((function("m:a", 6e-3),)), Discovery((function("m:a", timed_s),)))
    assert gil(found) == pytest.approx({"m:a": expected_s})
