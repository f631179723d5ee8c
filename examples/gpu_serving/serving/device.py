"""A simulated GPU stream that needs no thread: all it keeps is when its work will be done.

Launching extends the finish time, synchronising sleeps until it. The queue is bounded as real ones
are: a launch into a full queue blocks until the oldest kernel has finished. Work that the host does
between a launch and the wait for it costs nothing as long as the kernel takes longer; a delay
before the wait is absorbed by it. That is the whole reason why a profile misleads here.
"""

from __future__ import annotations

import time
from collections import deque


class Stream:
    """Kernels that run one after the other; times are seconds on the monotonic clock."""

    def __init__(self, queue_depth: int) -> None:
        self._queue_depth = queue_depth
        self._finishes: deque[float] = deque()
        self._busy_until = 0.0

    def launch(self, kernel_s: float) -> None:
        """Queue one kernel behind those already there."""
        if len(self._finishes) >= self._queue_depth:
            self._wait_until(self._finishes.popleft())
        start = max(time.monotonic(), self._busy_until)
        self._busy_until = start + kernel_s
        self._finishes.append(self._busy_until)

    def synchronize_oldest(self) -> None:
        """Wait until the oldest kernel in the queue has finished."""
        if self._finishes:
            self._wait_until(self._finishes.popleft())

    def _wait_until(self, finish: float) -> None:
        remaining = finish - time.monotonic()
        if remaining > 0:
            time.sleep(remaining)
