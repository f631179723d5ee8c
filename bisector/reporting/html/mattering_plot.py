"""Time against mattering: how long code takes to the right, what it would gain upwards.

Code on the diagonal is worth its time; what lies below is hidden behind something else, wholly
where it lies on the ground.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bisector.phrases import bound
from bisector.reporting.html.figures import Figure, axis, figure, lines, rounded, shown
from bisector.reporting.mattering import Weighed
from bisector.schema import UNBOUNDED
from bisector.wording import counted, duration_ns, percent, percent_range, shorten

NAMED = 3
"""Sensitive ones that have their name beside them."""
LEAST_HEIGHT = 0.4
"""Of the picture, in terms of its width: what is hidden is to be seen lying on the ground."""
SYMBOLS = {"sensitive": "circle", "insensitive": "triangle-down", "unresolved": "x-thin-open"}


def mattering_plot(points: Sequence[Weighed], unit: str) -> Figure:
    """The figure; a mark that points down is an upper bound."""
    widest = max((w.own_share for w in points), default=0.0)
    highest = max((_top(w) for w in points), default=0.0)
    right = 1.12 * max(widest, 0.01)
    top = max(1.15 * highest, LEAST_HEIGHT * right)
    end = min(right, top)
    diagonal = {
        "type": "scatter",
        "mode": "lines",
        "x": [0, rounded(end)],
        "y": [0, rounded(end)],
        "line": {"color": "--line-strong", "dash": "dot", "width": 2},
        "hoverinfo": "skip",
    }
    traces = [diagonal] + [
        _trace([w for w in points if w.verdict == verdict], verdict, unit)
        for verdict in ("insensitive", "unresolved", "sensitive")
    ]
    made = figure(
        [trace for trace in traces if trace["x"]],
        height=400,
        xaxis=axis(
            f"own time, share of the time per {unit}", tickformat="~%", range=[0, rounded(right)]
        ),
        yaxis=axis("gain", tickformat="~%", range=[-0.03 * top, rounded(top)]),
    )
    made["layout"]["annotations"] = _names(points, right, top)
    return made


def _top(point: Weighed) -> float:
    """The highest that is drawn of it."""
    if point.gain is not None and point.hi is not None:
        return min(point.hi, 2.0 * max(point.gain, 0.0) + 0.05)
    return point.own_share if point.hi is None else point.hi


def _height(point: Weighed) -> float:
    return _top(point) if point.gain is None else point.gain


def _trace(points: Sequence[Weighed], verdict: str, unit: str) -> dict[str, Any]:
    heights = [_height(w) for w in points]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [rounded(w.own_share) for w in points],
        "y": [rounded(y) for y in heights],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [rounded(_top(w) - y) for w, y in zip(points, heights, strict=True)],
            "arrayminus": [
                rounded(y - max(w.lo if w.lo is not None else 0.0, -1.0))
                for w, y in zip(points, heights, strict=True)
            ],
            "color": f"--mark-{verdict}",
            "thickness": 2,
            "width": 0 if verdict != "sensitive" else 5,
        },
        "marker": {
            "color": f"--mark-{verdict}",
            "symbol": SYMBOLS[verdict],
            "size": 11,
            "line": {"color": f"--mark-{verdict}", "width": 2},
        },
        "hovertext": [lines([shorten(w.target, 90), *said(w, unit)]) for w in points],
        "hoverinfo": "text",
    }


def said(point: Weighed, unit: str) -> list[str]:
    """What there is to say of a point, in a few lines."""
    own = (
        f"own time {percent(point.own_share)}: {duration_ns(point.cpu_ns)} on CPU, "
        f"{duration_ns(point.wait_ns)} waiting per {unit}"
    )
    return [own, worth(point)]


def worth(point: Weighed) -> str:
    """The verdict, with its interval or bound."""
    others = point.judged_with - 1
    together = f" (tested with {counted(others, 'other')})" if others else ""
    if point.gain is not None and point.lo is not None and point.hi is not None:
        return f"gain {percent(point.gain)} [{percent_range(point.lo, point.hi)}]"
    if point.verdict == "insensitive" and point.hi is not None and point.hi < UNBOUNDED:
        return f"gain at most {bound(point.hi)}{together}"
    return f"{point.verdict}: not known what it would gain"


def _names(points: Sequence[Weighed], right: float, top: float) -> list[dict[str, Any]]:
    """Names beside the marks that the picture is about."""
    named = [w for w in points if w.verdict == "sensitive"][:NAMED]
    others = [w for w in points if w.verdict == "insensitive"]
    if others:  # what a profiler of the clock and one of the CPU show first
        named += dict.fromkeys((others[0], max(others, key=lambda w: w.cpu_ns)))
    apart: list[Weighed] = []
    for w in named:
        if all(_is_apart(w, other, right, top) for other in apart):
            apart.append(w)
    return [
        {
            "x": rounded(w.own_share),
            "y": rounded(_height(w)),
            "text": shown(shorten(w.target.rpartition(":")[2], 26)),
            "showarrow": False,
            "xanchor": "left" if w.own_share < right / 2 else "right",
            "yanchor": "bottom",
            "xshift": 8 if w.own_share < right / 2 else -8,
            "yshift": 2,
            "font": {"color": "--text", "size": 12},
        }
        for w in apart
    ]


def _is_apart(a: Weighed, b: Weighed, right: float, top: float) -> bool:
    """Whether both names can be read."""
    across, upwards = abs(a.own_share - b.own_share) / right, abs(_height(a) - _height(b)) / top
    return across > 0.5 or upwards > 0.06
