"""What the process of an investigation tells the server beside its questions: how it goes.

* ``progress``: ``phase``, ``detail``, ``runs``, ``elapsed_s``, ``now`` (what is being measured); a
  few times a second at most, because runs that are measured must not wait for it;
* ``judged``: a verdict of the search, exploratory;
* ``warned``: a sentence for the user;
* ``census``: every function that was seen, once; ``known``: what is known by now of the whole;
* ``ended``: the last word, with the exit code and a sentence.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from bisector.census import take_census
from bisector.deciding.wire import Message
from bisector.engine import Engine
from bisector.errors import Interrupted
from bisector.events import (
    EstimateUpdated,
    Event,
    NodeJudged,
    PhaseBegan,
    RunBegan,
    RunEnded,
    Warned,
)
from bisector.observations import RunRequest
from bisector.schema import Estimate, Summary

EVERY_S = 0.3
"""Between two signs of progress."""

KNOWN_EVERY_S = 10.0
"""Between two answers to what is known so far."""


@dataclass(slots=True)
class Teller:
    """A listener of a session (`handle`), and what it asks before each run (`look`)."""

    send: Callable[[Message], None]
    phase: str = "start"
    detail: str = ""
    runs: int = 0
    elapsed_s: float = 0.0
    now: str = ""
    _told_s: float = 0.0
    _known_s: float = 0.0
    _has_census: bool = False

    def handle(self, event: Event) -> None:
        """Take in one event, and pass it on if it is time."""
        if isinstance(event, PhaseBegan):
            self.phase, self.detail, self._told_s, self._known_s = event.phase, event.detail, 0, 0
        elif isinstance(event, RunBegan):
            self.now = event.request.label or "nothing"
        elif isinstance(event, RunEnded):
            self.runs += event.request.is_run
            self.elapsed_s = event.observed.elapsed_s
        elif isinstance(event, EstimateUpdated):
            self.now = event.target
        elif isinstance(event, NodeJudged):
            gain = Estimate.of(event.gain)
            self._say(
                "judged",
                target=event.target,
                functions=event.functions,
                verdict=event.verdict,
                gain=gain and gain.model_dump(mode="json"),
            )
        elif isinstance(event, Warned):
            self._say("warned", message=event.message)
        if time.monotonic() - self._told_s >= EVERY_S:
            self._progress()

    def look(self, request: RunRequest, engine: Engine) -> bool:
        """Tell what is known by now, if it is time; never a reason to stop."""
        self.runs, self.elapsed_s = engine.runs, engine.lab.elapsed_s
        late = time.monotonic() - self._known_s >= KNOWN_EVERY_S
        if late or not request.is_run:
            self._known_s = time.monotonic()
            if engine.lab.discovery is not None:
                self._know(engine)
            self._progress()
        return False

    def end(self, exit_code: int, sentence: str, summary: Summary | None = None) -> None:
        """The last word."""
        if summary is not None:
            self.runs, self.elapsed_s = summary.cost.runs, summary.cost.wall_s
            gain = summary.root.estimated_gain if summary.root else None
            self._say("known", gain=gain and gain.model_dump(mode="json"))
        self._progress()
        self._say("ended", exit_code=exit_code, sentence=sentence)

    def _progress(self) -> None:
        self._told_s = time.monotonic()
        self._say(
            "progress",
            phase=self.phase,
            detail=self.detail,
            runs=self.runs,
            elapsed_s=self.elapsed_s,
            now=self.now,
        )

    def _know(self, engine: Engine) -> None:
        answer = engine.answer()
        census = take_census(answer).model_dump(mode="json")
        if not self._has_census:
            self._has_census = True
            self._say("census", members=census["members"])
        gain = Estimate.of(answer.root.gain) if answer.root else None
        baseline = answer.baseline
        self._say(
            "known",
            gain=gain and gain.model_dump(mode="json"),
            time_per_unit_s=baseline and baseline.time_per_unit_s,
            cv=baseline and baseline.cv,
            judgements=census["judgements"],
        )

    def _say(self, kind: str, **content: object) -> None:
        with contextlib.suppress(Interrupted):  # the server has gone: the session is told of that
            self.send({"type": kind, **content})
