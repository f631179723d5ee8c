"""What a dose response says of faster code."""

from __future__ import annotations

from dataclasses import replace

import answers
import pytest
from answers import CONTEXT, T0

from bisector.answer import CurvePoint, Interval
from bisector.reporting.forecast import added, forecast
from bisector.summary import summarize

BASE_NS = T0 * 1e9


def of(effect):
    summary = summarize(replace(answers.PYTHON_BOUND, root=effect), CONTEXT)
    return summary.root, forecast(summary.root, BASE_NS)


def test_free_code_gains_its_gain_and_its_interval():
    _, line = of(answers.effect(0.3))
    free = line.faster(1.0)
    assert free.time_ns == pytest.approx(0.7 * BASE_NS, rel=1e-3)
    assert (free.lo_ns, free.hi_ns) == (
        pytest.approx((0.7 - 0.012) * BASE_NS, rel=1e-3),
        pytest.approx((0.7 + 0.012) * BASE_NS, rel=1e-3),
    )


def test_it_goes_through_what_was_measured():
    effect, line = of(answers.effect(0.3))
    for level in added(effect, BASE_NS):
        assert line.at(level.added_ns).time_ns == pytest.approx(level.time_ns, rel=1e-3)
        assert level.lo_ns < level.time_ns < level.hi_ns


def test_hidden_code_gains_nothing_until_its_slack_is_used_up():
    curve = tuple(
        CurvePoint(r, r * 5e6, Interval(x := 150 / (1 + max(0.0, r - 1.0)), x - 1, x + 1))
        for r in (0.0, 0.5, 1.0, 2.0, 3.0)
    )
    hidden = replace(answers.effect(0.01, shape="threshold", slack=5e6), curve=curve)
    _, line = of(hidden)
    assert line.faster(1.0).time_ns == BASE_NS
    assert line.at(4e6).time_ns == BASE_NS
    assert line.at(15e6).time_ns == pytest.approx(3.0 * BASE_NS, rel=1e-3)


@pytest.mark.parametrize(
    "effect",
    [
        replace(answers.effect(0.3), curve=()),
        replace(answers.effect(0.3), curve=answers.effect(0.3).curve[:1]),
        replace(answers.effect(0.3), gain=Interval(0.3, -float("inf"), float("inf"))),
    ],
)
def test_without_doses_or_an_interval_there_is_none(effect):
    assert of(effect)[1] is None
