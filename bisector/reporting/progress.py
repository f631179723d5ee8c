"""What an investigation is doing, as the events tell it: the state behind the live display.

Invariant: taking in an event is a few assignments, however long the investigation has lasted; all
formatting waits until somebody looks. Looking never changes the state.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from bisector.answer import Interval
from bisector.events import (
    EstimateUpdated,
    Event,
    NodeJudged,
    PhaseBegan,
    RunBegan,
    RunEnded,
    Warned,
)
from bisector.schema import Estimate
from bisector.wording import clock_s, counted, percent_with_interval, shorten, visible

MEANINGLESS = 20.0
"""Width of an interval from which on its ends say nothing, after two or three windows."""
SHOWN = 6
"""How many of the latest judgements are on display."""


@dataclass(slots=True)
class Progress:
    """The state of an investigation. Times are seconds; ``now_s`` is any steady clock."""

    budget_s: float | None
    phase: str = "start"
    detail: str = ""
    runs: int = 0
    in_flight: str = ""
    estimate: EstimateUpdated | None = None
    judged: deque[NodeJudged] = field(default_factory=lambda: deque(maxlen=SHOWN))
    verdicts: dict[str, int] = field(default_factory=dict)
    _active_s: float = 0.0
    _as_of_s: float | None = None

    def take(self, event: Event, now_s: float) -> None:
        """Take in one event."""
        if self._as_of_s is None:
            self._as_of_s = now_s
        if isinstance(event, PhaseBegan):
            self.phase, self.detail, self.estimate = event.phase, event.detail, None
        elif isinstance(event, RunBegan):
            self.in_flight = event.request.label
            if not event.request.is_run:  # what passes until it is decided is not active time
                self._active_s, self._as_of_s = self.elapsed_s(now_s), None
                self.estimate = None
        elif isinstance(event, RunEnded):
            # A resumed investigation begins with the runs of its journal behind it.
            if event.request.is_run:
                self.runs = max(self.runs + 1, event.observed.seq)
            self.in_flight = ""
            self._active_s, self._as_of_s = event.observed.elapsed_s, now_s
        elif isinstance(event, EstimateUpdated):
            self.estimate = event
        elif isinstance(event, NodeJudged):
            self.judged.append(event)
            self.verdicts[event.verdict] = self.verdicts.get(event.verdict, 0) + 1

    def elapsed_s(self, now_s: float) -> float:
        """Active time of the investigation, resumed parts included."""
        return self._active_s + (0.0 if self._as_of_s is None else max(0.0, now_s - self._as_of_s))

    def clock(self, now_s: float) -> str:
        """``12 runs · 43 s of 2 min, 1 min 17 s left``."""
        elapsed_s = self.elapsed_s(now_s)
        text = f"{counted(self.runs, 'run')} · {clock_s(elapsed_s)}"
        if self.budget_s is None:
            return text
        left_s = self.budget_s - elapsed_s
        left = f"{clock_s(left_s)} left" if left_s >= 0.5 else "the last run"
        return f"{text} of {clock_s(self.budget_s)}, {left}"

    def lines(self, now_s: float, width: int) -> list[str]:
        """The display: what is done now, the tree as judged so far, the current estimate."""
        done = sum(self.verdicts.values())
        head = f"{self.phase}" + (f": {visible(self.detail)}" if self.detail else "")
        clock = f" · {self.clock(now_s)}"
        lines = [shorten(head, max(20, width - len(clock))) + clock]
        judged = tuple(self.judged)  # another thread may add to it meanwhile
        earlier = done - len(judged)
        if earlier > 0:
            lines.append(f"  {counted(earlier, 'earlier verdict')}")
        lines += [f"  {judgement(node, width - 2)}" for node in judged]
        if self.estimate is not None:
            lines.append("▸ " + estimate(self.estimate, width - 2))
        elif self.in_flight:
            lines.append("▸ " + shorten(visible(self.in_flight), width - 2))
        return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def judgement(event: NodeJudged, width: int | None = None) -> str:
    """One verdict of the search on a line of at most ``width``, names shortened to fit."""
    return _fitted(
        f"{event.verdict:<11}  ", event.target, event.functions, _gain(event.gain), width
    )


def estimate(event: EstimateUpdated, width: int | None = None) -> str:
    """The current estimate on a line."""
    tail = f"{_gain(event.gain)} after {counted(event.runs, 'run')}"
    return _fitted("", event.target, event.functions, tail, width)


def plain_line(event: Event) -> str | None:
    """What is said about an event where there is no live display; None for what is not worth it."""
    if isinstance(event, PhaseBegan):
        return f"{event.phase}: {visible(event.detail)}" if event.detail else event.phase
    if isinstance(event, NodeJudged):
        return judgement(event)
    if isinstance(event, Warned):
        return f"warning: {visible(event.message)}"
    return None


def _gain(gain: Interval | None) -> str:
    if gain is not None and MEANINGLESS < gain.width < math.inf:
        return "gain not known yet"
    return f"gain {percent_with_interval(Estimate.of(gain))}" if gain is not None else ""


def _fitted(head: str, target: str, functions: int, tail: str, width: int | None) -> str:
    count = f" ({counted(functions, 'function')})" if functions != 1 else ""
    tail = f"  {tail}" if tail else ""
    name = visible(target)
    if width is not None:
        name = shorten(name, max(12, width - len(head) - len(count) - len(tail)))
    return f"{head}{name}{count}{tail}"
