"""Dose response of one piece of code: time per unit against the time that was added to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bisector.reporting.forecast import Forecast, Level, added
from bisector.reporting.html.figures import Figure, axis, figure, lines, rounded, shown
from bisector.schema import EffectPart
from bisector.wording import duration_ns

STEPS = 24
"""Points on the fitted line, on either side of zero."""


def response_plot(effect: EffectPart, line: Forecast | None, base_ns: float, unit: str) -> Figure:
    """The measured doses with intervals, the line through them, and where it leads below zero."""
    points = added(effect, base_ns)
    most = max((p.added_ns for p in points), default=0.0)
    scale, word = _scale(max(base_ns, most))
    traces: list[dict[str, Any]] = []
    if line is not None:
        beyond = [line.at(most * step / STEPS) for step in range(STEPS + 1)]
        faster = [line.faster(1.0 - step / STEPS) for step in range(STEPS + 1)]
        traces += [
            _band(faster, scale),
            _line(faster, scale, "dash", f"if it were faster, per {unit}"),
            _line(beyond, scale, "solid", "fitted"),
        ]
    traces.append(_measured(points, scale, unit))
    return figure(
        traces,
        height=260,
        xaxis=axis(f"added per {unit}, {word} (below 0: taken away)", zeroline=True),
        yaxis=axis(f"time per {unit}, {word}", rangemode="normal"),
    )


def _scale(ns: float) -> tuple[float, str]:
    for limit, scale, word in ((1e3, 1.0, "ns"), (1e6, 1e3, "µs"), (1e9, 1e6, "ms")):
        if ns < limit:
            return scale, word
    return 1e9, "s"


def _measured(points: Sequence[Level], scale: float, unit: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [rounded(p.added_ns / scale) for p in points],
        "y": [rounded(p.time_ns / scale) for p in points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [rounded((p.hi_ns - p.time_ns) / scale) for p in points],
            "arrayminus": [rounded((p.time_ns - p.lo_ns) / scale) for p in points],
            "color": "--text",
            "thickness": 1.5,
            "width": 5,
        },
        "marker": {"color": "--text", "size": 8},
        "hovertext": [
            lines(
                [
                    f"{duration_ns(p.added_ns)} added",
                    f"{duration_ns(p.time_ns)} per {unit}",
                    f"95%: {duration_ns(p.lo_ns)} … {duration_ns(p.hi_ns)}",
                ]
            )
            for p in points
        ],
        "hoverinfo": "text",
    }


def _line(levels: list[Level], scale: float, dash: str, name: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [rounded(p.added_ns / scale) for p in levels],
        "y": [rounded(p.time_ns / scale) for p in levels],
        "line": {"color": "--accent", "dash": dash, "width": 2},
        "hovertext": [
            lines([name, f"{duration_ns(p.added_ns)}: {duration_ns(p.time_ns)}"]) for p in levels
        ],
        "hoverinfo": "text",
        "name": shown(name),
    }


def _band(levels: list[Level], scale: float) -> dict[str, Any]:
    around = [(p.added_ns, p.hi_ns) for p in levels]
    around += [(p.added_ns, p.lo_ns) for p in reversed(levels)]
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [rounded(x / scale) for x, _ in around],
        "y": [rounded(y / scale) for _, y in around],
        "fill": "toself",
        "fillcolor": "--band",
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
