"""Whether we were in the processes that did the work: what nothing attached to cannot matter to us.

Nobody looks for such processes while a run is measured. How much CPU time all of its processes took
is known at its end, and each that we were in says how much of that was its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from injector.records import ProcessRecord

LEAST_SHARE, LEAST_S = 0.25, 0.1
"""CPU time of other processes that is worth a word: the share of all, and seconds (interpreters end
after they have said how much they took)."""

RUNNER = "pyperf"
"""Starts what it measures with an environment of its own, and measures nothing by itself."""


def work_elsewhere(cpu_s: float, records: Sequence[ProcessRecord]) -> str | None:
    """What to say of CPU time in processes that the injector is not in; None if it is little, or
    not known because one that it is in was killed.

    Args:
        cpu_s: of all processes of the run.
    """
    own = [record.cpu_s for record in records]
    if not own or None in own:
        return None
    unseen_s = cpu_s - sum(filter(None, own))
    if unseen_s < max(LEAST_S, LEAST_SHARE * cpu_s):
        return None
    return (
        f"{unseen_s / cpu_s:.0%} of the CPU time was used by processes that nothing attached to: "
        "other programs, or Python that is started without PYTHONPATH and SPEEDBUMP_BISECT in its "
        "environment (pyperf: --inherit-environ=PYTHONPATH,SPEEDBUMP_BISECT)"
    )


def is_runner(records: Sequence[ProcessRecord]) -> bool:
    """Whether the program is one that leaves what it measures to others: it imports `RUNNER`."""
    return any(entry.fields["module"] == RUNNER for r in records for entry in r.of("import"))
