"""Whether functions overlap is judged by what is known of them together and of each alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from bisector.answer import Interval
from bisector.finalists import Finalist
from bisector.statistics import Estimate
from bisector.sweep import _is_less
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
