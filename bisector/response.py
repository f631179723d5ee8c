"""Dose response: what shape it has, where it bends, and what it says about making code faster.

The model is a convex hinge through the control, ``e(x) = slope · max(0, x - slack)`` with x the
injected time per unit. ``slack`` 0 is the straight line. Which one holds is decided by comparing
the two weighted least-squares fits, not by one coarse positive: a hidden function that a large
dose uncovers shows nothing at a small one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bisector.answer import Shape
from bisector.statistics import t_quantile

WOBBLE = 0.03
"""Deviation from its model, relative to itself, that a real response may show and mean nothing; a
third of it relative to the largest effect (hidden programs lose a little before their hinge)."""

CLEAR = 2.6
"""Standard errors that count as clear when shapes are told apart (about 99 %, two-sided)."""


@dataclass(frozen=True, slots=True)
class Point:
    """One dose: injected time ``x`` (any unit), effect ``t/t0 - 1`` and its standard error."""

    x: float
    effect: float
    se: float


@dataclass(frozen=True, slots=True)
class Response:
    """A fitted curve. ``slope``: effect per unit of x beyond ``slack`` (same unit as `Point.x`)."""

    shape: Shape
    slope: float
    slope_se: float
    slack: float

    def extrapolate(self, x: float, dof: float = 30.0) -> tuple[float, float, float]:
        """Effect at ``x`` (negative: that much faster) with its 95 % interval."""
        radius = t_quantile(0.025, dof) * self.slope_se * abs(x)
        value = self.slope * (x if x < 0 or self.slack == 0 else max(0.0, x - self.slack))
        if x < 0 and self.shape in ("threshold", "none"):
            value = 0.0
        return value, value - radius, value + radius


def respond(points: Sequence[Point]) -> Response:
    """Classify a curve of positive doses (the control is the origin) and fit it.

    ``none``: no dose shows an effect. ``linear``: a line through the origin fits. ``threshold``:
    small doses show less than proportional, as far as nothing. ``sublinear``: large doses show
    less than proportional.
    """
    points = sorted((p for p in points if p.x > 0.0), key=lambda p: p.x)
    if not points or not any(p.effect > CLEAR * p.se for p in points):
        slope, se = _line(points) if points else (0.0, 0.0)
        return Response("none", slope, se, points[-1].x if points else 0.0)
    most = max(p.effect for p in points)
    points = [
        Point(p.x, p.effect, math.hypot(p.se, WOBBLE * abs(p.effect), WOBBLE / 3.0 * most))
        for p in points
    ]
    slope, se = _line(points)
    if len(points) == 1:
        return Response("linear", slope, se, 0.0)
    slack, steep, steep_se = _hinge(points)
    if slack > 0.0 and _loss(points, slope, 0.0) - _loss(points, steep, slack) >= CLEAR**2:
        return Response("threshold", steep, steep_se, slack)
    first, last = points[0], points[-1]
    fall = first.effect / first.x - last.effect / last.x
    if fall >= CLEAR * math.hypot(first.se / first.x, last.se / last.x):
        return Response("sublinear", first.effect / first.x, first.se / first.x, 0.0)
    return Response("linear", slope, se, 0.0)


def _loss(points: Sequence[Point], slope: float, slack: float) -> float:
    """Weighted sum of squares left by a hinge."""
    return sum(((p.effect - slope * max(0.0, p.x - slack)) / max(p.se, 1e-6)) ** 2 for p in points)


def _line(points: Sequence[Point]) -> tuple[float, float]:
    """Slope through the origin by weighted least squares, and its standard error."""
    weight = sum((p.x / p.se) ** 2 for p in points if p.se > 0)
    if weight <= 0:
        return 0.0, 0.0
    slope = sum(p.x * p.effect / p.se**2 for p in points if p.se > 0) / weight
    return slope, weight**-0.5


def _hinge(points: Sequence[Point]) -> tuple[float, float, float]:
    """Best hinge by a scan over the slack: (slack, slope beyond it, its standard error)."""
    x, effect, se = np.array([(p.x, p.effect, p.se) for p in points]).T
    slacks = x[-1] * np.arange(400) / 400.0
    beyond = np.maximum(0.0, x - slacks[:, None])
    weights = np.divide(1.0, se**2, out=np.zeros_like(se), where=se > 0.0)
    weight = (beyond**2 * weights).sum(axis=1)
    slopes = (beyond * effect * weights).sum(axis=1) / np.maximum(weight, 1e-300)
    left = (effect - slopes[:, None] * beyond) / np.maximum(se, 1e-6)
    best = int(np.argmin((left**2).sum(axis=1)))
    return float(slacks[best]), float(slopes[best]), float(max(weight[best], 1e-300) ** -0.5)
