"""Reading what processes record while they run, over and over, without reading it all again.

The tool's side of `injector.ledger` in live mode. Names are only ever appended, and counters lie in
a file that the process has mapped: mapping it as well makes reading them a look at memory.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterable
from time import clock_gettime_ns
from typing import NamedTuple

from .ledger import COUNTERS, COUNTS_BYTES, SLOTS, WIDTH
from .records import ProcessRecord
from .wire import decode

_PROCESS = COUNTERS["process"]
_DETACHED, _EPOCH, _SWITCH = map(_PROCESS.index, ("detached_ns", "epoch", "switch"))
_WANTED, _TAKEN = map(_PROCESS.index, ("wanted", "taken"))
_CPU_NS, _MOMENTS_NS, _OWN_NS, _LAST_NS = (
    COUNTERS["progress"].index(name) for name in ("cpu_ns", "moments_ns", "own_ns", "last_ns")
)
_STILL = SLOTS * WIDTH
"""Where the still begins."""


class Progress(NamedTuple):
    """Calls of the progress point, when the last one came (monotonic ns, 0 none), and the process'
    CPU time then; where it has no progress point, its CPU time now, None where unknown. And, of the
    calls that were counted as a progress point's, the sum of their times (modulo 2**64) and the CPU
    time of the threads that made them, without delays."""

    calls: int
    last_ns: int
    cpu_ns: int | None
    moments_ns: int = 0
    own_ns: int = 0


class Follower:
    """One process of a running target: its names so far, its counters as they are, its ear."""

    def __init__(self, stem: str) -> None:
        """``stem``: the path of its records without suffix.

        Raises:
            OSError: they are not there (yet).
        """
        self.key = os.path.basename(stem)
        self.pid = int(self.key.partition("-")[0])
        self.errors: list[str] = []
        self._stem = stem
        self._names = os.open(stem + ".names", os.O_RDONLY | os.O_CLOEXEC)
        self._rest = b""
        self._slots: dict[tuple[str, str], list[int]] = {}
        self._first = self._next = 0
        """Slots that belong to the plan in force, and to what comes: stills are of those alone."""
        self._pipe = -1
        try:
            counts = os.open(stem + ".counts", os.O_RDWR | os.O_CLOEXEC)
            try:
                self._map = mmap.mmap(counts, COUNTS_BYTES)
            finally:
                os.close(counts)
        except (OSError, ValueError) as error:
            os.close(self._names)
            raise OSError(f"{stem}.counts is not complete: {error}") from error
        self._counters = memoryview(self._map).cast("Q")

    def wake(self, epoch: int) -> bool:
        """Have the process look at the page, which has come to ``epoch``; False while it does not
        listen."""
        self._counters[_SWITCH] = epoch
        try:
            if self._pipe < 0:
                self._pipe = os.open(
                    self._stem + ".wake", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
                )
            os.write(self._pipe, b".")
        except BlockingIOError:
            return True  # full of wake-ups that it has not got round to
        except OSError as error:
            if error.errno not in (errno.ENXIO, errno.ENOENT, errno.EPIPE):
                raise
            return False
        return True

    @property
    def epoch(self) -> int:
        """The last change of the page that the process has followed."""
        return self._counters[_EPOCH]

    @property
    def has_ended(self) -> bool:
        """Whether it watches no more, or is gone."""
        if self._counters[_DETACHED]:
            return True
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                return file.read().rpartition(b")")[2].split()[:1] in ([b"Z"], [b"X"])
        except OSError:
            return True

    def read_names(self) -> None:
        """Take in what has been announced since."""
        while data := os.read(self._names, 1 << 20):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for raw in lines:
                line = decode(raw.decode())
                kind = line.get("kind")
                self._next = max(self._next, line.get("slot", 0) + 1)
                if kind == "error":
                    self.errors.append(f"{line.get('type')}: {line.get('message')}")
                elif kind in ("target", "progress", "function"):
                    self._slots.setdefault((kind, line["target"]), []).append(line["slot"])

    def begin_plan(self) -> None:
        """Another plan comes: what is known so far will not change any more."""
        self.read_names()
        self._first = self._next

    def want_still(self, number: int) -> None:
        """Ask for a still, to be taken at the next call of the progress point."""
        self._counters[_WANTED] = number

    def has_still(self, number: int) -> bool:
        """Whether that still is the one that can be read."""
        return self._counters[_TAKEN] == number

    def takes_stills(self, point: str) -> bool:
        """Whether the process has called ``point`` as its progress point."""
        slots = self._slots.get(("progress", point), ())
        return any(self._counters[slot * WIDTH] for slot in slots)

    def progress(self, point: str, still: bool = False) -> Progress:
        """How far the process has come, by the calls of ``point``; ``still``: when that was taken.

        While everything is watched it is a function like any other.
        """
        counters = self._counters
        calls = last_ns = cpu_ns = moments_ns = own_ns = 0
        for kind in ("function", "progress"):
            for slot in self._slots.get((kind, point), ()):
                at = self._place(slot, still)
                calls += counters[at]
                if kind == "progress":
                    moments_ns += counters[at + _MOMENTS_NS]
                    own_ns += counters[at + _OWN_NS]
                if counters[at + _LAST_NS] > last_ns:
                    last_ns = counters[at + _LAST_NS]
                    cpu_ns = counters[at + _CPU_NS] if kind == "progress" else 0
        return Progress(calls, last_ns, cpu_ns or self.cpu_ns(), moments_ns, own_ns)

    def calls(self) -> dict[int, int]:
        """Calls so far of each function that is watched, by its slot."""
        return {
            slot: self._counters[slot * WIDTH]
            for (kind, _), slots in self._slots.items()
            if kind == "function"
            for slot in slots
        }

    def cpu_ns(self) -> int | None:
        """CPU time of the process now; None if that is not to be had any more."""
        try:
            return clock_gettime_ns((~self.pid << 3) | 2)  # as clock_getcpuclockid(3) makes it
        except OSError:
            return None

    def counted(self, targets: Iterable[str], still: bool = False) -> dict[str, tuple[int, ...]]:
        """The counters of these targets, as `injector.ledger.COUNTERS` names them; ``still``: when
        that was taken."""
        found: dict[str, tuple[int, ...]] = {}
        for target in targets:
            for slot in self._slots.get(("target", target), ()):
                at = self._place(slot, still)
                new = tuple(self._counters[at : at + WIDTH])
                old = found.get(target, (0,) * WIDTH)
                found[target] = tuple(a + b for a, b in zip(old, new, strict=True))
        return found

    def _place(self, slot: int, still: bool) -> int:
        """Where the counters of a slot begin; a still holds those of the plan in force."""
        return slot * WIDTH + (_STILL if still and slot >= self._first else 0)

    def close(self) -> None:
        """Let go of its files; a process that still listens takes it for the tool's end."""
        for file in (self._names, self._pipe):
            if file >= 0:
                os.close(file)
        self._pipe = self._names = -1
        self._counters.release()
        self._map.close()


_LEVELS = {"site": 4}
"""Counters from this one on are states, not sums, and first and last times are times of day."""


def between(before: list[ProcessRecord], after: list[ProcessRecord]) -> list[ProcessRecord]:
    """What was counted between two readings of the records of the same run; threads that did
    nothing meanwhile are left out."""
    known = {
        (record.key, entry.slot): entry.counters
        for record in before
        for entry in record.entries
        if entry.slot
    }
    for record in after:
        for entry in record.entries:
            then = known.get((record.key, entry.slot))
            if then is not None:
                sums = _LEVELS.get(entry.kind, 6)
                entry.counters = (
                    *(max(b - a, 0) for a, b in zip(then, entry.counters[:sums], strict=False)),
                    *entry.counters[sums:],
                )
        record.entries[:] = [e for e in record.entries if e.kind != "thread" or any(e.counters)]
    return after


def stems(directory: str) -> list[str]:
    """The processes that have begun to leave records there, by the stem of their files."""
    return [
        os.path.join(directory, name.removesuffix(".names"))
        for name in os.listdir(directory)
        if name.endswith(".names")
    ]
