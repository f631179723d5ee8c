"""Ctrl-C: the first stops the run in flight and ends in a partial summary, the second ends at once.

The handler only sets a flag and writes one line to the warden; it never raises the first time, so
that no transaction and no read is torn. Termination and hang-up requests are treated alike.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered in the main thread, how the process takes interruption; elsewhere nothing."""

    def __init__(self, stop_run: Callable[[], None]) -> None:
        self.asked = False
        """Whether the user asked to stop."""
        self._stop_run = stop_run
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._stop_run()
