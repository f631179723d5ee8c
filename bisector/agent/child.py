"""One investigation in a process of its own, at the other end of the server's pipe.

It is started as a module, reads what to do as its first line of JSON, and from then on speaks the
words of `bisector.deciding.wire` and a few of its own (`bisector.agent.telling`). Two things are
why it is a process: whatever prints by accident never reaches the server's wire, and when the
server is gone, however it went, the pipe closes, the run in flight is killed and everything
measured is kept, as after Ctrl-C.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from bisector.agent.telling import Teller
from bisector.deciding.decider import Conversation, NoDecision
from bisector.deciding.wire import Message, written
from bisector.errors import Interrupted, SpeedbumpError
from bisector.session import begin, resume
from bisector.settings import Settings
from bisector.summary import exit_code

PATIENCE_S = 1800.0
"""Silence of an agent after which the investigation stops, to be resumed."""


class Wire:
    """Implements `bisector.deciding.decider.Channel` with the server at the other end.

    A thread reads, so that the end of the server is noticed also while something is measured.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self._reader = os.fdopen(reader, "rb")
        self._writer = writer
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._saying = threading.Lock()

    def first(self) -> dict[str, Any] | None:
        """What to do; None where the server has gone already."""
        line = self._reader.readline()
        if not line:
            return None
        order: dict[str, Any] = json.loads(line)
        threading.Thread(target=self._listen, daemon=True).start()
        return order

    def send(self, message: Message) -> None:
        """See `Channel.send`."""
        data = written(message)
        with self._saying:
            try:
                while data:
                    data = data[os.write(self._writer, data) :]
            except OSError:
                raise Interrupted("the server has gone") from None

    def receive(self, timeout_s: float) -> bytes | None:
        """See `Channel.receive`."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except Empty:
            return None
        if line is None:
            self._lines.put(None)
            raise Interrupted("the decision was not waited for")
        return line

    def interrupt(self) -> None:
        """Wait no longer, now and from now on."""
        self._lines.put(None)

    def _listen(self) -> None:
        main = threading.main_thread().ident or 0
        while line := self._reader.readline():
            self._lines.put(line)
        signal.pthread_kill(main, signal.SIGTERM)


def main() -> int:
    """Serve one investigation; returns its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wire = Wire(os.dup(0), os.dup(1))
    os.dup2(2, 1)  # what prints by accident does not reach the wire
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    agent = Conversation(wire, PATIENCE_S, remedy="", tries=sys.maxsize)
    teller = Teller(wire.send)
    listeners = (teller.handle,)
    code, sentence, summary = 1, "", None
    try:
        order = wire.first()
        if order is None:
            return 0
        if "resume" in order:
            summary = resume(Path(order["resume"]), listeners, agent, teller.look)
        else:
            settings, run = Settings(**order["begin"]), order["run"]
            summary = begin(settings, listeners, teller.look, agent, run)
        code, sentence = exit_code(summary), summary.headline
    except SpeedbumpError as error:
        code, sentence = error.exit_code, str(error)
    except (KeyboardInterrupt, NoDecision) as error:
        code, sentence = 130, str(error) or "stopped"
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    teller.end(code, sentence, summary)
    return code


if __name__ == "__main__":
    sys.exit(main())
