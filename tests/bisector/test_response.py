"""Dose response: shapes, slack and extrapolation."""

from __future__ import annotations

import pytest

from bisector.response import Point, respond


def curve(slope: float, slack: float, se: float = 0.001) -> list[Point]:
    return [Point(x, slope * max(0.0, x - slack), se) for x in (0.5, 2.5, 5.0, 10.0)]


def test_the_methods_own_example_extrapolates_to_a_gain() -> None:
    """100 tokens/s at 0, 95 at 10 µs, 70 at 100 µs: about 104 to 106 at -10 µs."""
    points = [Point(10.0, 100 / 95 - 1, 0.002), Point(100.0, 100 / 70 - 1, 0.002)]
    effect, low, high = respond(points).extrapolate(-10.0)
    assert 104 <= 100 / (1 + effect) <= 106
    assert low <= effect <= high


def test_a_line_is_linear() -> None:
    response = respond(curve(0.1, 0.0))
    assert response.shape == "linear"
    assert response.slope == pytest.approx(0.1)


def test_a_hinge_is_a_threshold_with_its_slack() -> None:
    response = respond(curve(0.1, 3.0))
    assert response.shape == "threshold"
    assert response.slack == pytest.approx(3.0, rel=0.05)
    assert response.extrapolate(-1.0)[0] == 0.0


def test_nothing_is_none() -> None:
    assert respond([Point(x, 0.0, 0.01) for x in (1.0, 2.0)]).shape == "none"
    assert respond([]).shape == "none"


def test_saturation_is_sublinear() -> None:
    points = [Point(x, e, 0.001) for x, e in ((1.0, 0.1), (4.0, 0.2), (8.0, 0.22))]
    assert respond(points).shape == "sublinear"
