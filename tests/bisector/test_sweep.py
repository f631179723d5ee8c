"""Whether functions overlap is judged by what is known of them together and of each alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bisector.answer import Interval
from bisector.finalists import Finalist
from bisector.lab import Lab
from bisector.statistics import Estimate
from bisector.sweep import LIKELY_RUNS, _is_known, _is_less
from bisector.trials import Arm, Trials

F, G = frozenset({"m:f"}), frozenset({"m:g"})


@pytest.mark.parametrize(
    ("alone", "is_less"),
    [
        (Estimate(0.5, 0.01, 20.0), True),
        (Estimate(0.5, 0.3, 20.0), False),
        (Estimate(0.3, 0.01, 20.0), False),
    ],
    ids=["plainly", "by what is hardly known", "by what was thought of it before"],
)
def test_functions_overlap_where_the_sum_of_their_gains_is_surely_more(
    alone: Estimate, is_less: bool
) -> None:
    gains = {F | G: Estimate(0.7, 0.005, 20.0), F: Estimate(0.4, 0.01, 20.0), G: alone}
    trials = cast(Trials, SimpleNamespace(gain=lambda arm: gains[arm.targets]))
    thought = Interval(0.5, 0.4, 0.6)
    members = [Finalist("m:f", F, "function", thought), Finalist("m:g", G, "function", thought)]
    assert _is_less(trials, Arm(F | G, 0.25), members) is is_less


@pytest.mark.parametrize(
    ("same", "matters", "runs", "is_known"),
    [
        ({"m:f", "m:g"}, True, 2, True),
        ({"m:f"}, True, 2, False),
        ({"m:f"}, True, LIKELY_RUNS, True),
        (set(), False, 2, True),
    ],
    ids=["noise taken out of all", "not of one", "of which there are many runs", "of none"],
)
def test_a_few_runs_do_not_tell_where_noise_is_taken_out_of_some_and_not_of_others(
    same: set[str], matters: bool, runs: int, is_known: bool
) -> None:
    """In a single thread two functions were said to overlap: two runs of one, as measured while
    others used the processors as well, seemed to be worth eight times what it is."""
    disturbance = SimpleNamespace(matters=matters, is_same_work=lambda targets: targets <= same)
    lab = cast(Lab, SimpleNamespace(disturbance=disturbance))
    trials = cast(Trials, SimpleNamespace(count=lambda _: runs))
    thought = Interval(0.5, 0.4, 0.6)
    members = [Finalist("m:f", F, "function", thought), Finalist("m:g", G, "function", thought)]
    assert _is_known(lab, trials, Arm(F | G, 0.25), members) is is_known
