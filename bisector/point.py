"""What a unit of work is, for those who count it: a function's calls, or the time between two's.

A leaf: nothing of ours is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """A progress point: the calls of ``unit`` (``module:qualname``, empty where it is to be found)
    are units of work. With ``begins``, a function whose calls begin what those of ``unit`` end, it
    is the time in between that counts."""

    unit: str = ""
    begins: str = ""

    def of_plan(self) -> dict[str, Any]:
        """The fields of a plan (`injector.plan.Plan`) that have it counted."""
        return {"progress": self.unit or None, "begins": self.begins or None}


def time_on_the_way_ns(begun: int, ended: int, began_ns: int, ended_ns: int, now_ns: int) -> int:
    """What all that were begun have spent on their way until ``now_ns``, from the counts of both
    and the sums of their times modulo 2**64.

    Divided by the number of ends it is the mean latency, and by the time that passed the mean
    number on the way (Little 1961); nothing has to tell which end belongs to which beginning.
    """
    return signed(now_ns * (begun - ended) - began_ns + ended_ns)


def signed(difference: int) -> int:
    """Of counters modulo 2**64."""
    difference %= 1 << 64
    return difference - (1 << 64) if difference >> 63 else difference
