"""The page of memory by which the tool switches a running target, in all its processes at once.

A file of 64-bit words that the tool and every process of the run map: for each entry of the plan's
``doses`` a *dose* for each state, and before them what all share. The tool alone writes. It writes
the doses first and the epoch last, and wakes whoever listens after that; a process reads the epoch
first. So a process that says it has applied an epoch has applied its doses, or later ones.
"""

from __future__ import annotations

import mmap
import os
from _struct import Struct

from .tracker import NOTHING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .plan import ByState

_HEADER = 8
_EPOCH, _PLAN = range(2)
_ENTRY = Struct("3d")
"""The doses of an entry, as `injector.plan.ByState`."""


class Control:
    """The page, as either side sees it."""

    def __init__(self, path: str, doses: int = 0, create: bool = False) -> None:
        """Map it. ``doses``: how many there are room for, where it is created.

        Raises:
            OSError: it cannot be mapped.
        """
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_TRUNC if create else 0)
        file = os.open(path, flags, 0o644)
        try:
            if create:
                os.ftruncate(file, 8 * _HEADER + _ENTRY.size * doses)
            self._map = mmap.mmap(file, os.fstat(file).st_size)
        finally:
            os.close(file)
        self._words = memoryview(self._map).cast("Q")
        self._given: set[int] = set()

    @property
    def epoch(self) -> int:
        """Grows with every change."""
        return self._words[_EPOCH]

    @property
    def plan(self) -> int:
        """Grows when the plan file has been replaced."""
        return self._words[_PLAN]

    def doses(self, entries: int) -> list[ByState]:
        """What the delays of the first so many entries of the plan are multiplied by; all 0: it is
        not delayed."""
        begin = 8 * _HEADER
        return list(_ENTRY.iter_unpack(self._map[begin : begin + _ENTRY.size * entries]))

    def change(self, doses: Mapping[int, ByState], plan: int) -> int:
        """Say what is wanted from now on, all doses that are not given being 0; returns the
        epoch."""
        for entry in self._given - doses.keys():
            self._set(entry, NOTHING)
        for entry, dose in doses.items():
            self._set(entry, dose)
        self._given = set(doses)
        self._words[_PLAN] = plan
        self._words[_EPOCH] += 1
        return self._words[_EPOCH]

    def _set(self, entry: int, dose: ByState) -> None:
        _ENTRY.pack_into(self._map, 8 * _HEADER + _ENTRY.size * entry, *dose)

    def close(self) -> None:
        """Let go of the page."""
        self._words.release()
        self._map.close()
