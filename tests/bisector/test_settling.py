"""How long a target takes to settle, judged by stretches of its work before, during and after."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bisector.live_run import TargetEnded
from bisector.settling import Settling
from bisector.unit import NoUnit
from bisector.warden import Ended
from bisector.window import Shape, Window, longer_by

SHAPE = Shape(settle=2, units=7, seconds=0.02, patience_s=5.0)
DOSES = {0: 1.0}


class Run:
    """A target whose time per unit is a function of whether it is slowed and units since then."""

    def __init__(self, time_s, life=10**9):
        self.time_s, self.life = time_s, life
        self.slowed, self.since, self.before = False, 0, False

    def switch(self, doses):
        self.before, self.slowed, self.since = self.slowed, bool(doses), 0

    def pass_units(self, units, seconds, patience_s):
        self.since += units
        self.life -= units
        if self.life < 0:
            raise TargetEnded(Ended(returncode=0))
        return units

    def stretch(self, targets, shape):
        self.pass_units(shape.units, 0.0, 0.0)
        time_s = self.time_s(self.slowed, self.before, self.since)
        return Window(time_s, shape.units, None, 0.1, {}, 1)


def settle(*runs):
    settling = Settling()
    for run in runs:
        try:
            settling.measure(run, DOSES, SHAPE)
        except TargetEnded:
            continue
    return settling.units


def test_what_changes_at_once_needs_only_the_usual_units():
    assert settle(Run(lambda slowed, before, since: 0.013 if slowed else 0.01)) == SHAPE.settle


def test_a_queue_that_has_to_empty_first_is_waited_for():
    late = Run(lambda slowed, before, since: 0.013 if slowed and since > 9 else 0.01)
    assert settle(late) == SHAPE.settle + SHAPE.units


def test_what_catches_up_for_some_units_is_waited_for():
    def time_s(slowed, before, since):
        return 0.013 if slowed else 0.006 if before and since <= 16 else 0.01

    assert settle(Run(time_s)) == SHAPE.settle + 2 * SHAPE.units


def test_what_catches_up_for_longer_than_that_has_no_windows():
    def time_s(slowed, before, since):
        return 0.013 if slowed else 0.006 if before else 0.01

    with pytest.raises(NoUnit, match="made up for in the next"):
        settle(Run(time_s))


def test_disturbances_go_either_way_and_are_no_catching_up():
    ways = iter([0.8, 0.8, 0.8, 1.3, 0.7, 1.4, 1.3, 0.7, 1.2] * 100)

    class Disturbed(Run):
        def stretch(self, targets, shape):
            window = super().stretch(targets, shape)
            return replace(window, time_per_unit_s=window.time_per_unit_s * next(ways))

    assert settle(Disturbed(lambda *_: 0.01)) is not None


def test_repeats_are_gathered_from_targets_that_end():
    steady = [Run(lambda *_: 0.01, life=60) for _ in range(4)]
    assert settle(*steady) == SHAPE.settle


def test_targets_that_end_sooner_are_looked_at_in_shorter_stretches():
    late = [
        Run(lambda slowed, _, since: 0.013 if slowed and since > 6 else 0.01, life=30)
        for _ in range(20)
    ]
    assert settle(*late) == SHAPE.settle + round(SHAPE.units / 2)


def test_targets_that_end_before_one_repeat_have_no_windows():
    with pytest.raises(NoUnit, match="ends before"):
        settle(*[Run(lambda *_: 0.01, life=20) for _ in range(9)])


def window(time_s, cpu_s):
    own_cpu_s = None if cpu_s is None else 10 * cpu_s
    return Window(time_s, 10, own_cpu_s, 0.1, {}, 1, time_s, own_cpu_s)


@pytest.mark.parametrize(
    ("a", "b", "longer"),
    [
        (window(0.012, None), window(0.010, None), 0.2),
        (window(0.012, 0.005), window(0.010, 0.005), 0.2),
        (window(0.012, 0.007), window(0.010, 0.005), 0.0),
        (window(0.012, 0.009), window(0.010, 0.005), 0.0),
        (window(0.012, 0.006), window(0.010, 0.005), 0.1),
        (window(0.008, 0.004), window(0.010, 0.005), -0.1),
    ],
)
def test_what_slower_processors_explain_is_no_difference(a, b, longer):
    assert longer_by(a, b) == pytest.approx(longer, abs=1e-9)


def recovered(run, slowed_s=1.0):
    """Units that are let pass after a window that has just been slowed."""
    usual = run.stretch((), SHAPE)
    run.switch(DOSES)
    run.stretch((), SHAPE)
    Settling.recover(run, usual, SHAPE, slowed_s)
    return run.since


def test_after_more_than_it_was_measured_with_the_work_is_to_take_as_long_as_usual_again():
    def time_s(slowed, before, since):
        return 0.03 if slowed else 0.002 if before and since <= 40 else 0.01

    assert 40 < recovered(Run(time_s)) <= 40 + 2 * SHAPE.units
    assert recovered(Run(lambda slowed, *_: 0.03 if slowed else 0.01)) == 1 + SHAPE.units


def test_what_is_not_made_up_for_within_a_few_times_as_long_is_not_waited_for():
    def time_s(slowed, before, since):
        return 0.03 if slowed else 0.002 if before else 0.01

    assert recovered(Run(time_s)) < 300
