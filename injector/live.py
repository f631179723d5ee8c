"""Live mode, in the target: a thread that sleeps until the tool switches something.

The thread reads a named pipe that nobody else reads, so it costs nothing until it is woken, and
learns at once when the tool is gone: then the process runs on at full speed. What is wanted stands
in the shared page (`injector.control`); a wake-up only says that it has changed, so none that gets
lost while the thread is away for a fork matters: it looks first.

Where another thread lets go of the GIL often and for moments only, as an event loop under load
does, this one could wait for it for seconds: nobody is ever asked to let go. So whoever comes by at
an event meanwhile steps aside (`give_way`).

A process that starts meanwhile is not delayed until the tool has found its pipe. One that is forked
goes on as its parent was at that moment.
"""

from __future__ import annotations

import os
from _thread import get_ident
from time import monotonic_ns, sleep

from .hidden_thread import HiddenThread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .control import Control
    from .ledger import Ledger

_EPOCH, _SWITCH, _EAR = 3, 6, 7
"""Counters of the process in its ledger."""

_WAY_NS = 50_000_000
"""How long the ear is waited for; in vain, and it is waited for again only twice as long after."""

_known, _again_ns, _pause_ns = 0, 0, _WAY_NS
"""The switch that is due, when it is waited for again, and how long it was not."""


class Live:
    """One process' ear. ``attachment`` is told what to do; see `injector.attach.Attachment`."""

    def __init__(
        self,
        attachment: Any,
        control: Control,
        core: Any,
        on_error: Callable[[BaseException], None],
    ) -> None:
        """The plan file, as it is now, is taken to be in force. ``core``: None for the twin."""
        self._attachment = attachment
        self._control = control
        self._hears = listen if core is None else core.listen
        self._pipe = ""
        self._plan = control.plan
        self._thread = HiddenThread(self._listen, on_error, self._wake)

    def start(self, ledger: Ledger) -> None:
        """Listen at the pipe of this ledger."""
        self._ledger = ledger
        pipe = ledger.names_path.removesuffix(".names") + ".wake"
        if pipe != self._pipe:
            os.mkfifo(pipe, 0o600)
            self._pipe = pipe
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; what is in force stays."""
        self._thread.stop()

    def _wake(self) -> None:
        # Opened for both, it neither blocks nor fails, whether or not the thread has it open yet.
        pipe = os.open(self._pipe, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.write(pipe, b".")
            self._thread.wait(0.5)
        finally:
            os.close(pipe)

    def _listen(self) -> None:
        counters = self._ledger.counters
        counters[_EAR] = get_ident()  # first: from here on others step aside
        pipe = -1
        try:
            pipe = os.open(self._pipe, os.O_RDONLY | os.O_CLOEXEC)  # until the tool opens it, too
            while not self._thread.stopping:
                self._look()
                if not self._hears(pipe, counters) and not self._thread.stopping:
                    self._attachment.let_go()
                    counters[_EPOCH] = counters[_SWITCH]
                    return
        finally:
            counters[_EAR] = 0
            if pipe >= 0:
                os.close(pipe)

    def _look(self) -> None:
        """Do what the page says, and say so."""
        control, counters = self._control, self._ledger.counters
        epoch, plan = control.epoch, control.plan
        if counters[_EPOCH] == epoch:
            return
        if plan != self._plan:
            self._plan = plan
            self._attachment.follow_plan()
        self._attachment.switch(control)
        counters[_EPOCH] = epoch


def listen(pipe: int, counters: memoryview[int]) -> bool:
    """Until the pipe is written to: True; or nobody is left to write: False.

    The twin of ``counters_listen`` in the core, which lets whoever comes by at an event step aside
    for that, too.
    """
    return bool(os.read(pipe, 4096))


def give_way(counters: memoryview[int]) -> None:
    """Let the ear have the GIL until it has followed the switch that it was woken for, if it was.

    The twin of ``counters_give_way`` in the core.
    """
    global _known, _again_ns, _pause_ns
    number = counters[_SWITCH]
    if number <= counters[_EPOCH] or counters[_EAR] in (0, get_ident()):
        return
    if number != _known:
        _known, _again_ns, _pause_ns = number, 0, _WAY_NS
    now = monotonic_ns()
    if now < _again_ns:
        return
    end = now + _WAY_NS
    while counters[_SWITCH] > counters[_EPOCH]:
        if monotonic_ns() > end:
            _pause_ns *= 2
            _again_ns = monotonic_ns() + _pause_ns
            return
        sleep(0.00005)
