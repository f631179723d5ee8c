"""Shows a live display with something in each of its lines until a line comes on standard input."""

from __future__ import annotations

import contextlib
import sys

import hostile
from rich.console import Console

from bisector.answer import Interval
from bisector.events import EstimateUpdated, NodeJudged, PhaseBegan, Warned
from bisector.reporting.live import LiveDisplay


class Budget:
    budget_s = 120.0


with LiveDisplay(Console(stderr=True), Budget()) as display:
    display.handle(PhaseBegan("search", "412 functions in company.platform.inference.runtime"))
    for name in hostile.NAMES[:4]:
        display.handle(NodeJudged(name * 2, 3, "sensitive", Interval(0.31, 0.28, 0.34)))
    display.handle(EstimateUpdated("界" * 60 + ":*", 12, Interval(0.3, 0.1, 0.5), 4))
    with contextlib.suppress(OSError):  # the terminal is gone
        sys.stdin.readline()
        display.handle(Warned("the machine is busy"))
        sys.stdin.readline()
