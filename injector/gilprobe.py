"""Finds native calls that compute without the GIL, by being the one who holds it.

A thread of the injector's own wakes about every millisecond. While it runs Python it holds the GIL;
a thread that is inside a native call and whose CPU clock goes on all the same is computing without
it: proof, not inference. The same look finds code that has been running for long without any event
(a loop that calls nothing) and arms it.

The thread is a `HiddenThread`: the program does not notice it.
"""

from __future__ import annotations

from time import clock_gettime_ns, monotonic_ns, sleep

from .hidden_thread import HiddenThread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PERIOD_S = 0.001
_LONG_NS = 2_000_000
"""Code that has run this long without an event is armed from outside."""

_HOLD_NS = 50_000
"""How long the GIL is held to see another thread's CPU clock move."""

_MOVED_NS = 35_000
"""A thread that has just let go of the GIL burns some 10 µs on its way to sleep, and no more."""

_PROOFS = 2
"""Sightings that it takes, all the same."""


class GilProbe:
    """The thread that looks. Only in discover mode, and only where there is a GIL."""

    def __init__(self, observer: Any, on_error: Callable[[BaseException], None]) -> None:
        self._observer = observer
        self._thread = HiddenThread(self._run, on_error)
        self._seen: dict[tuple[int, int], int] = {}
        self._cpu: dict[int, int] = {}

    def start(self) -> None:
        """Begin to look. Does nothing while it looks already."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._thread.stop()

    def _run(self) -> None:
        while not self._thread.stopping:
            sleep(_PERIOD_S)
            self.look()

    def look(self) -> None:
        """One look at every thread."""
        for clock, code, age_ns, offset in self._observer.look():
            if offset < 0:
                if age_ns > _LONG_NS:
                    self._observer.arm(code)
            elif clock and age_ns > _HOLD_NS and self._computes(clock) and _moves(clock):
                place = (id(code), offset)
                self._seen[place] = self._seen.get(place, 0) + 1
                if self._seen[place] == _PROOFS:
                    self._observer.released(code, offset)

    def _computes(self, clock: int) -> bool:
        """Whether the thread used the CPU since the last look: holding the GIL has a price."""
        try:
            now = clock_gettime_ns(clock)
        except OSError:
            return False
        before = self._cpu.get(clock, now)
        self._cpu[clock] = now
        return now - before > _HOLD_NS


def _moves(clock: int) -> bool:
    """Whether the thread with this CPU clock computes while this one holds the GIL."""
    try:
        begin = now = monotonic_ns()
        before = clock_gettime_ns(clock)
        while now - begin < _HOLD_NS:
            now = monotonic_ns()
        moved = clock_gettime_ns(clock) - before
    except OSError:
        return False  # the thread has ended
    # Much more than was asked for: this thread itself lost the GIL, and nothing is proved.
    return moved > _MOVED_NS and now - begin < 2 * _HOLD_NS
