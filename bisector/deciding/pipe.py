"""Lines to and from another process, over two pipes that never block for ever.

While something is sent, what comes in is read, so that a partner that speaks before it listens
costs nothing; a partner that does not listen at all, or speaks without end, is given up. Waiting
sleeps, and a signal handler ends it through `Pipe.interrupt`.
"""

from __future__ import annotations

import contextlib
import os
import select
import time

from bisector.deciding.decider import NoDecision
from bisector.deciding.wire import Message, written
from bisector.errors import Interrupted

LONGEST_LINE = 1 << 20
MOST_UNREAD = 4 * LONGEST_LINE
"""What has come in before it was asked for; more is left in the pipe."""

LISTEN_S = 60.0
"""How long a partner may take to read what it is told."""


class Ended(NoDecision):
    """The other side has closed its end; the message says so as a verb."""


class Pipe:
    """Implements `bisector.deciding.decider.Channel`; owns both descriptors."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer = reader, writer
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._buffer = b""
        self._is_ended = False

    def send(self, message: Message) -> None:
        """See `Channel.send`."""
        data = memoryview(written(message))
        deadline = time.monotonic() + LISTEN_S
        while data:
            listens = [] if self._is_ended or len(self._buffer) > MOST_UNREAD else [self._reader]
            readable, writable = self._wait(listens, [self._writer], deadline)
            if self._reader in readable:
                self._read()
            if writable:
                try:
                    data = data[os.write(self._writer, data) :]
                except BlockingIOError:
                    continue
                except OSError:
                    raise Ended("ended") from None
            elif not readable and time.monotonic() >= deadline:
                raise NoDecision(f"the decider did not read what it was told for {LISTEN_S:.0f} s")

    def receive(self, timeout_s: float) -> bytes | None:
        """See `Channel.receive`."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._buffer:
            if len(self._buffer) > LONGEST_LINE:
                raise NoDecision(
                    f"the decider sent a line of more than {LONGEST_LINE // 1000} kB; an answer is "
                    "one JSON object a line"
                )
            if self._is_ended:
                if not self._buffer.strip():
                    raise Ended("ended")
                line, self._buffer = self._buffer, b""
                return line
            readable, _ = self._wait([self._reader], [], deadline)
            if not readable:
                if time.monotonic() >= deadline:
                    return None
                continue
            self._read()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def interrupt(self) -> None:
        """Wait no longer, now and from now on."""
        with contextlib.suppress(OSError):
            os.write(self._wake, b"!")

    def close(self) -> None:
        """Close everything. Idempotent."""
        descriptors = self._writer, self._reader, self._woken, self._wake
        self._writer = self._reader = self._woken = self._wake = -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)

    def _read(self) -> None:
        try:
            data = os.read(self._reader, 65536)
        except BlockingIOError:
            return
        self._is_ended = not data
        self._buffer += data

    def _wait(
        self, readers: list[int], writers: list[int], deadline: float
    ) -> tuple[list[int], list[int]]:
        left_s = max(0.0, deadline - time.monotonic())
        readable, writable, _ = select.select([*readers, self._woken], writers, [], left_s)
        if self._woken in readable:
            raise Interrupted("the decision was not waited for")
        return readable, writable
