"""A thread of the injector's own that the program does not notice.

Invariant: it is not one of `threading`'s, it keeps no process alive, and after `HiddenThread.stop`
it is gone, from the operating system too: so it can be stopped before every fork, and no warning
about forking with threads appears that the program did not earn.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, get_native_id, start_new_thread
from time import monotonic_ns, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_GIVE_UP_NS = 50_000_000


class HiddenThread:
    """Runs ``work`` until it returns; a long one looks at `stopping` now and then."""

    def __init__(
        self,
        work: Callable[[], None],
        on_error: Callable[[BaseException], None],
        wake: Callable[[], None] | None = None,
    ) -> None:
        """``wake`` makes a ``work`` that blocks look at `stopping`."""
        self._work = work
        self._on_error = on_error
        self._wake = wake
        self._running = allocate_lock()
        self._native_id = 0
        self.stopping = False

    def start(self) -> None:
        """Begin. Does nothing while it runs already."""
        if self._running.acquire(False):
            self.stopping = False
            try:
                start_new_thread(self._run, ())
            except RuntimeError:
                self._running.release()
                raise

    def stop(self) -> None:
        """End the thread and wait until the operating system has forgotten it (about 1 ms)."""
        if not self._running.locked():
            return
        self.stopping = True
        if self._wake is not None:
            self._wake()
        self.wait(1.0)
        task = f"/proc/self/task/{self._native_id}"
        give_up = monotonic_ns() + _GIVE_UP_NS
        while monotonic_ns() < give_up:
            try:
                os.stat(task)
            except OSError:
                return
            sleep(0.00005)

    def wait(self, timeout_s: float) -> None:
        """Until ``work`` has returned."""
        if self._running.acquire(timeout=timeout_s):
            self._running.release()

    def _run(self) -> None:
        self._native_id = get_native_id()
        try:
            self._work()
        except Exception as error:
            self._on_error(error)
        finally:
            self._running.release()
