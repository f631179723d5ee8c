"""How long windows are, by what is known of the target."""

from __future__ import annotations

import pytest

from bisector.lengths import Lengths


def test_a_window_is_twice_the_shortest_stretch_and_the_first_ones_four_times():
    lengths = Lengths()
    assert lengths.window(0.0).units == 2 * lengths.stretch(0.0).units
    assert lengths.window(0.0, is_first=True).units == 4 * lengths.stretch(0.0).units


@pytest.mark.parametrize("lanes", [2, 4, 16])
def test_each_of_several_lanes_completes_some_units_and_no_more_are_needed(lanes):
    lengths = Lengths(lanes=lanes)
    assert lengths.window(0.0).units == lanes * Lengths().stretch(0.0).units
    assert lengths.window(0.0).settle == lanes * Lengths().window(0.0).settle


def test_a_target_that_ends_too_soon_to_hold_five_has_shorter_ones():
    long = Lengths().window(0.0)
    holds = 5 * (long.settle + long.units)
    assert Lengths(run_units=holds).window(0.0) == long
    short = Lengths(run_units=holds - 1)
    assert short.window(0.0) == short.stretch(0.0)
    assert short.window(0.0, is_first=True) == short.stretch(0.0)


def test_where_nothing_waits_only_the_first_windows_are_long():
    busy = Lengths(busy=True)
    assert busy.window(1.0).units < busy.stretch(1.0).units
    assert busy.window(0.0, is_first=True) == Lengths().window(0.0, is_first=True)


def test_what_was_measured_is_let_pass_after_a_switch_instead_of_a_guess():
    assert Lengths(lanes=4, settle=3).window(0.0).settle == 3


def test_patience_grows_with_the_unit_and_the_dose():
    assert (
        Lengths(unit_s=1.0).window(3.0).patience_s == 4 * Lengths(unit_s=1.0).window(0).patience_s
    )
    assert Lengths(unit_s=1e-6).window(0.0).patience_s >= 1.0
