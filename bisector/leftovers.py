"""Processes of a benchmark whose tool was killed: a living target runs on then, as it should.

Who takes the investigation up again starts another, and two of the same would share processors,
ports and files. They are known by the slot in their environment, which no other run has.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from bisector.workload import SLOT_VARIABLE

ROUNDS = 5
"""What is being stopped may start others: it is looked again until there are none."""

END_S = 3.0
"""How long they may take to end by themselves."""


def end_processes_of(slot: Path) -> list[str]:
    """Stop every process that was started for a run in this slot; returns their command lines."""
    import psutil

    ended: list[str] = []
    for _ in range(ROUNDS):
        found: dict[psutil.Process, str] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                # By its name, which is unique: the folder may go by another path now.
                if Path(process.environ().get(SLOT_VARIABLE, "")).name == slot.name:
                    found[process] = " ".join(process.cmdline())
        if not found:
            break
        ended += found.values()
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.terminate()
        _, alive = psutil.wait_procs(list(found), timeout=END_S)
        for process in alive:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(alive, timeout=END_S)
    return ended
