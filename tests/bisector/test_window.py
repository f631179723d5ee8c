"""What a window shows, read off counters at its two ends."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bisector.window import Moment, NotMeasured, between
from injector.follow import Progress


class Process(SimpleNamespace):
    __hash__ = object.__hash__


def moment(ends, begun=None, counted=None):
    """``ends`` and ``begun``: by process, the times (ms) of the calls so far."""

    def progress(times):
        at = [round(t * 1e6) for t in times]
        return Progress(len(at), max(at, default=0), 0, sum(at) % (1 << 64))

    return Moment(
        {process: progress(times) for process, times in ends.items()},
        {process: dict(counted or {}) for process in ends},
        {process: progress(times) for process, times in (begun or {}).items()},
    )


def test_throughput_is_from_the_last_call_before_to_the_last_call_of_the_window():
    one = Process()
    window = between(moment({one: [1, 2]}), moment({one: [1, 2, 4, 6, 8]}), 0.1, 1)
    assert window.units == 3
    assert window.time_per_unit_s == pytest.approx(0.002)
    assert window.time_between_s == window.time_per_unit_s


def test_processes_side_by_side_have_a_rate_each():
    one, two = Process(), Process()
    before = moment({one: [1], two: [1.5]})
    after = moment({one: [1, 3, 5], two: [1.5, 5.5]})
    assert between(before, after, 0.1, 2).time_per_unit_s == pytest.approx(1 / (500 + 250))


def test_what_was_on_its_way_at_the_beginning_counts_from_there():
    """Two are underway when the window begins with an end at 10 ms; one more begins and ends."""
    one = Process()
    before = moment({one: [2, 10]}, {one: [0, 3, 4, 9]})
    after = moment({one: [2, 10, 12, 16, 20]}, {one: [0, 3, 4, 9, 14]})
    window = between(before, after, 0.1, 1)
    assert window.units == 3
    # 10..12 and 10..16 of those underway, 14..20 of the new one.
    assert window.time_per_unit_s == pytest.approx((2 + 6 + 6) / 3 / 1e3)
    assert window.time_between_s == pytest.approx(10 / 3 / 1e3)


def test_what_begins_in_one_process_may_end_in_another():
    one, two = Process(), Process()
    before = moment({one: [], two: [10]}, {one: [1, 4], two: []})
    after = moment({one: [], two: [10, 14, 18]}, {one: [1, 4, 12], two: []})
    assert between(before, after, 0.1, 2).time_per_unit_s == pytest.approx((4 + 6) / 2 / 1e3)


def test_more_ends_than_beginnings_are_no_latency():
    one = Process()
    with pytest.raises(NotMeasured, match="more calls end"):
        between(moment({one: [1, 2]}, {one: [0]}), moment({one: [1, 2, 3]}, {one: [0]}), 0.1, 1)


def test_begins_after_the_last_end_are_underway_from_there():
    """A service that is idle in between: one unit of 2 ms, then one that has just begun."""
    one = Process()
    before = moment({one: [2]}, {one: [0, 9]})
    after = moment({one: [2, 11]}, {one: [0, 9, 30]})
    assert between(before, after, 0.1, 1).time_per_unit_s == pytest.approx(0.002)


def test_ends_in_processes_that_are_forgotten_still_count():
    one = Process()
    before = replace(moment({one: [10]}, {one: [5, 8, 9]}), underway=-2)
    after = replace(moment({one: [10, 12]}, {one: [5, 8, 9, 11]}), underway=-2)
    assert between(before, after, 0.1, 1).time_per_unit_s == pytest.approx(0.001)
