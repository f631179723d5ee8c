"""What one sees while it runs, on standard error: a display in place, or plain lines.

On a terminal a few lines are redrawn twice a second by a thread of their own, from state that the
session's events have set; in a pipe there is one line for each phase, verdict and warning, and a
sign of life at most every ten seconds. Invariant: `handle` never waits, never raises and does next
to nothing, because it is called between runs whose time is being measured.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.text import Text

from bisector.events import Event, RunEnded, Warned
from bisector.reporting.in_place import InPlace
from bisector.reporting.progress import Progress, estimate, plain_line

REDRAWS_PER_S = 2
HEARTBEAT_S = 10.0


class HasBudget(Protocol):
    """The part of the settings that is shown."""

    @property
    def budget_s(self) -> float:
        """Seconds the investigation may take."""
        ...


class LiveDisplay:
    """A context manager to be told every event with `handle`.

    Args:
        console: where to; standard error, so that standard output carries the result only.
        settings: for the budget; None where there is none.
        clock: seconds, steady.
    """

    def __init__(
        self,
        console: Console,
        settings: HasBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._clock = clock
        self._progress = Progress(settings.budget_s if settings is not None else None)
        self._spoke_s = clock()
        self._place: InPlace | None = None
        self._drawing = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="display", daemon=True)
        if console.is_terminal and not console.is_dumb_terminal:
            self._place = InPlace(console)

    def __enter__(self) -> LiveDisplay:
        if self._place is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._place is not None:
            self._over.set()
            self._thread.join(timeout=2.0)  # a terminal that was stopped holds it up
            with contextlib.suppress(OSError, ValueError):
                self._place.erase()

    def handle(self, event: Event) -> None:
        """Take in one event."""
        now_s = self._clock()
        self._progress.take(event, now_s)
        if self._place is None:
            line = plain_line(event)
            if line is None and isinstance(event, RunEnded):
                line = self._sign_of_life(now_s)
            if line is not None:
                self._spoke_s = now_s
                self._say(line)
        elif isinstance(event, Warned):
            self._say(plain_line(event) or "")

    def _sign_of_life(self, now_s: float) -> str | None:
        if now_s - self._spoke_s < HEARTBEAT_S:
            return None
        state = self._progress
        now = estimate(state.estimate) if state.estimate is not None else state.phase
        return f"{now} · {state.clock(now_s)}"

    def _say(self, line: str) -> None:
        with self._drawing, contextlib.suppress(OSError, ValueError, UnicodeError):
            if self._place is not None:
                self._place.erase()
            self._console.print(
                Text(_carried(line, self._console)), highlight=False, markup=False, soft_wrap=True
            )

    def _redraw(self) -> None:
        """Until it is over, or the terminal is gone."""
        while not self._over.is_set():
            try:
                self.draw()
            except (OSError, ValueError):
                return
            self._over.wait(1.0 / REDRAWS_PER_S)

    def draw(self) -> None:
        """Show how things stand.

        Raises:
            OSError, ValueError: the terminal is gone.
        """
        assert self._place is not None
        lines = self._progress.lines(self._clock(), max(20, self._console.width - 1))
        with self._drawing:
            self._place.draw([_carried(line, self._console) for line in lines])


def _carried(text: str, console: Console) -> str:
    """``text`` as far as the stream can carry it."""
    encoding = console.encoding
    if encoding.lower().startswith("utf"):
        return text
    return text.encode(encoding, "replace").decode(encoding)
