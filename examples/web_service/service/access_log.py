"""The access log, compressed in a thread of its own while requests are served.

Compressing releases the GIL, so this is work beside the requests and not in front of them; the
thread waits a fixed time between two rounds.
"""

from __future__ import annotations

import threading
import zlib

INTERVAL_S = 0.02


class AccessLog:
    """Notes requests and archives them in the background."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self.run, name="access log", daemon=True)
        self._template = b"".join(b"GET /search?q=%d 200\n" % (n * 7919) for n in range(4_000))
        self.archived = 0

    def start(self) -> None:
        """Begin to archive."""
        self._thread.start()

    def stop(self) -> None:
        """Archive nothing any more."""
        self._stopped.set()
        self._thread.join()

    def note(self, path: str, size: int) -> None:
        """Remember one answered request."""
        self._lines.append(f"GET {path} 200 {size}")

    def run(self) -> None:
        """Archive what has come up, round after round."""
        while not self.pause():
            self.archive(self.take())

    def pause(self) -> bool:
        """Wait for the next round; True when there is none."""
        return self._stopped.wait(INTERVAL_S)

    def take(self) -> bytes:
        """The lines noted since the last round, among those of the rotated log."""
        lines, self._lines = self._lines, []
        return self._template + "\n".join(lines).encode()

    def archive(self, lines: bytes) -> None:
        """Compress."""
        self.archived += len(zlib.compress(lines, 6))
