"""What a process is called: its name in multiprocessing where it has one, else what it runs.

A process attaches before it knows its multiprocessing name: a spawned child learns it from its
parent's message, a forked one from the object whose `start` is still on its stack. So a name may be
announced later, by a line of kind ``role``; the reader puts it into the header.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

    from .ledger import Ledger

_SPAWNED = "--multiprocessing-fork"


class Role:
    """The name of this process, as far as it is known."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        """Where a name found later is announced; a forked child puts its own here."""
        self._pending = _SPAWNED in sys.argv or _SPAWNED in getattr(sys, "orig_argv", ())

    @staticmethod
    def at_start() -> str:
        """The name to begin with: what is run, without its folder."""
        argv = getattr(sys, "orig_argv", sys.argv)
        if sys.argv and sys.argv[0] not in ("", "-c", "-m"):
            return sys.argv[0].rpartition("/")[2]
        if "-m" in argv[:-1]:
            return str(argv[argv.index("-m") + 1])
        return str(argv[0]).rpartition("/")[2] if argv else "python"

    def of_child(self) -> str:
        """The name of a process just forked: that of the multiprocessing process being started."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "_launch":
                process = frame.f_locals.get("process_obj")
                if process is not None:
                    return str(process.name)
            frame = frame.f_back
        self._pending = "multiprocessing.process" in sys.modules  # a fork server's child
        return Role.at_start()

    def look(self) -> None:
        """Announce the name of a spawned child once it is known; called when new code is met."""
        if not self._pending:
            return
        # Its attribute, not `current_process()`: the module may still be being imported.
        process = sys.modules.get("multiprocessing.process")
        name = getattr(getattr(process, "_current_process", None), "name", "MainProcess")
        if name != "MainProcess":
            self._pending = False
            self.ledger.note("role", name=name)
