"""Windows in which work piles up are followed by others, until it does not."""

from __future__ import annotations

import pytest

from bisector.backlog import MOST_FOLLOWING, Backlog
from bisector.observations import Delivered
from bisector.window import Shape, Window

UNITS = 14
SHAPE = Shape(2, UNITS, 0.02, 5.0)
USUAL = {"stage:second": 1.0, "log:flush": 1.0}


def window(**calls):
    delivered = {
        target: Delivered(each, round(each), delayed_ns=each * 1e6)
        for target, each in (("stage:second", calls.get("second")), ("log:flush", calls.get("log")))
        if each is not None
    }
    return Window(0.005, UNITS, 0.01, 0.1, delivered, 1)


class Run:
    """A target whose further windows are these."""

    def __init__(self, *windows):
        self.windows = list(windows)

    def stretch(self, targets, shape):
        return self.windows.pop(0)


def passed(backlog, first, *following, usual=USUAL):
    run = Run(*following)
    found = backlog.let_pass(run, first, usual, SHAPE)
    return found, len(following) - len(run.windows)


@pytest.mark.parametrize("calls", [13.0, 14.0, 15.0])
def test_a_window_in_which_all_of_the_work_was_done_stands(calls):
    first = window(second=calls)
    assert passed(Backlog(), first) == (first, 0)


def test_a_window_in_which_a_queue_takes_in_work_is_followed_by_others_until_it_is_full():
    found, following = passed(
        Backlog(), window(second=11.0), window(second=12.0), window(second=14.0)
    )
    assert (found.delivered["stage:second"].calls, following) == (14.0, 2)
    assert found.wall_s == pytest.approx(0.3)


def test_code_that_nobody_waits_for_is_waited_for_only_once():
    backlog, slow = Backlog(), window(second=11.0)
    assert passed(backlog, slow, *[slow] * 20)[1] == MOST_FOLLOWING
    assert passed(backlog, slow, *[slow] * 20)[1] == 0


def test_what_has_little_of_the_delay_or_few_calls_is_left_to_chance():
    small = window(second=14.0, log=2.0)
    assert passed(Backlog(), small) == (small, 0)
    rare = window(second=1.0)
    assert passed(Backlog(), rare, usual={"stage:second": 0.2}) == (rare, 0)


def test_an_undelayed_window_stands():
    bare = window()
    assert passed(Backlog(), bare, usual={}) == (bare, 0)
