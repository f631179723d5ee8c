"""The records a process leaves behind: written while it runs, so that they survive its death.

Two files per process. ``<pid>-<start ns>.names`` says what was seen, one JSON object a line, each
line appended by a single ``write``. ``<pid>-<start ns>.counts`` is a sparse memory-mapped array of
slots, eight unsigned 64-bit little-endian counters each; slot *i* lies at byte 64·*i* and belongs
to the line with ``"slot": i``. (An empty third, ``.full``, says that the disk was.) The second half
of the array is the *still*: a copy of the counters as they were inside one call of the progress
point, taken there when the tool has asked for it (the one counter that the tool writes), so that
what it reads belongs together.

Invariant: nothing has to happen at exit. A process that is killed between two instructions leaves
at worst a torn last line; its counters are complete as of the kill, because they live in a file's
page cache and not in the process. Room on the disk is reserved before a slot is used: what there is
none for is counted in the spare slot, and said.

Nothing here takes a lock, because a lock held by another thread at the moment of a fork is held
forever in the child: slot numbers come from `itertools.count` and lines from one ``write``.

The first line of the names file is the header (version, pid, ppid, python, executable, backend,
reason, compiled, mode, argv, start_ns, forked, name). The kinds of the other lines, with their
counters, are listed in `COUNTERS`.
"""

from __future__ import annotations

import mmap
import os
import time
from itertools import count

from .wire import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

VERSION = 1
SLOTS = 262_144
SPARE = SLOTS - 1
"""A slot that is never announced: for counting what has no slot, so that no counting code asks."""

WIDTH = 8
"""Counters per slot."""

COUNTERS: dict[str, tuple[str, ...]] = {
    "process": (
        *("attached_ns", "detached_ns", "cpu_before_ns", "epoch"),
        *("wanted", "taken", "switch", "ear"),
    ),
    "target": (
        *("calls", "delays", "delayed_ns", "gil_ns"),
        *("nogil_ns", "wait_ns", "first_ns", "last_ns"),
    ),
    "progress": (
        *("calls", "cpu_ns", "cpu_at_ns", "moments_ns"),
        *("own_ns", "", "first_ns", "last_ns"),
    ),
    "function": (
        *("calls", "gil_ns", "nogil_ns", "wait_ns"),
        *("callee_calls", "events", "first_ns", "last_ns"),
    ),
    "native": (
        *("calls", "gil_ns", "nogil_ns", "wait_ns"),
        *("callee_calls", "events", "first_ns", "last_ns"),
    ),
    "site": ("visits", "gil_ns", "nogil_ns", "wait_ns", "given_up", "native"),
    "edge": ("calls",),
    "thread": ("gil_ns", "inside_ns", "nogil_ns", "wait_ns"),
    "import": (),
    "unplaced": (),
    "role": (),
    "error": (),
    "end": (),
}
"""What the counters of a slot mean, by kind of line. Times of day are monotonic nanoseconds;
``moments_ns`` is the sum of those of all calls (modulo 2**64), ``own_ns`` CPU time of the threads
that call it, since each did so first, without that of delays; ``inside_ns`` is what events took
and is in no own time; ``wanted`` and ``taken`` number the stills, ``switch`` is the epoch that the
process was woken to follow, ``epoch`` the last one that it has followed, ``ear`` the thread that
does so (0: none)."""

COUNTS_BYTES = 2 * SLOTS * WIDTH * 8
"""Of a counts file, the still included."""

_NOT_INHERITED = ("error", "thread", "role", "end")
"""What was said of the parent alone."""


FULL = ".full"
"""Of the name of a file that says so: the disk was."""

_CHUNK = 128
"""Slots that room on the disk is reserved for at a time."""


def _reserve(counts: int, *places: int) -> None:
    """Room for a chunk of slots at each of these bytes.

    Raises:
        OSError: there is none.
    """
    for at in places:
        os.posix_fallocate(counts, at, _CHUNK * WIDTH * 8)


class Ledger:
    """The writing side, in the target. One per process; a forked child makes its own."""

    def __init__(self, directory: str, header: dict[str, Any]) -> None:
        """Create the two files and write the header.

        Raises:
            OSError: the directory does not exist or cannot be written to.
        """
        self.directory = directory
        self.header = header | {
            "version": VERSION,
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "start_ns": time.monotonic_ns(),
        }
        stem = f"{directory}/{self.header['pid']}-{self.header['start_ns']}"
        self.names_path = stem + ".names"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._names = os.open(self.names_path, flags | os.O_APPEND, 0o644)
        self._counts_path = stem + ".counts"
        counts = os.open(self._counts_path, flags, 0o644)
        try:
            os.ftruncate(counts, COUNTS_BYTES)
            _reserve(counts, 0, COUNTS_BYTES // 2)
            _reserve(counts, SPARE * WIDTH * 8)
            self._map = mmap.mmap(counts, COUNTS_BYTES)
        finally:
            os.close(counts)
        self._room = _CHUNK
        # Slots are touched here and there. Without this the first touch reads ahead: 3 ms, not
        # 8 µs, on a disk file, and again for every 2 MiB.
        if hasattr(mmap, "MADV_RANDOM"):
            self._map.madvise(mmap.MADV_RANDOM)
        self.counters: memoryview[int] = memoryview(self._map).cast("Q")
        """All counters of the process, ``WIDTH`` per slot, and the still of each. Writing here is
        recording."""
        self.in_child: Callable[[], None] | None = None
        """Called when something is announced in a forked child: makes the child's own ledger."""
        self._heir: Ledger | None = None
        self._next = count(1)
        # As of a fork, for the child: the file may have grown by then, the parent runs on.
        self._lines: list[bytes] = []
        self.counters[0] = self.header["start_ns"]
        self.counters[2] = time.process_time_ns()
        self._append(self.header)

    def add(self, kind: str, **fields: Any) -> int:
        """Announce something countable and return its slot; `SPARE` when the file is full."""
        return self.add_once({}, None, kind, **fields)

    def add_once(self, known: dict[Any, int], key: Any, kind: str, **fields: Any) -> int:
        """The slot in ``known`` under ``key``; announced, and put there, if there is none yet.

        Two threads that meet the same thing at the same time announce it once, without a lock: the
        number that is in ``known`` first wins, and the other is never used.
        """
        slot = known.get(key)
        if slot is not None:
            return slot
        if self.is_foreign():
            heir = self._find_heir()
            return SPARE if heir is None else heir.add_once(known, key, kind, **fields)
        mine = next(self._next)
        if mine >= SPARE:
            if mine == SPARE:
                self.note(
                    "error", type="Full", message=f"more than {SPARE} names: the rest is lost"
                )
            return SPARE
        if mine >= self._room and not self._has_room(mine):
            return SPARE
        slot = known.setdefault(key, mine)
        if slot == mine:
            self._write({"slot": slot, "kind": kind, **fields})
        return slot

    def _has_room(self, slot: int) -> bool:
        """Whether there is room on the disk up to a slot; it is made, and where there is none, that
        is said and no name is taken any more."""
        try:
            self._make_room(slot)
        except OSError:
            self._room, self._next = SPARE, count(SPARE + 1)
            self._say_full()
            return False
        return True

    def _say_full(self) -> None:
        """There is no room for words, but for the name of an empty file."""
        path = self.names_path.removesuffix(".names") + FULL
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        except OSError:
            return  # not even for that

    def _make_room(self, slot: int) -> None:
        """A page of the map that there is no room for would be the end of the process (SIGBUS).

        Raises:
            OSError: there is none.
        """
        counts = os.open(self._counts_path, os.O_RDWR | os.O_CLOEXEC)
        try:
            while self._room <= slot:
                at = self._room * WIDTH * 8
                _reserve(counts, at, COUNTS_BYTES // 2 + at)
                self._room += _CHUNK
        finally:
            os.close(counts)

    def note(self, kind: str, **fields: Any) -> None:
        """Write a line that has no counters."""
        if self.is_foreign():
            heir = self._find_heir()
            if heir is not None:
                heir.note(kind, **fields)
            return
        self._write({"kind": kind, **fields})

    def error(self, error: BaseException) -> None:
        """Record an exception of the injector's own code, which the target must never see."""
        where = ""
        at = error.__traceback__
        while at is not None:
            where = f"{at.tb_frame.f_code.co_filename.rpartition('/')[2]}:{at.tb_lineno}"
            at = at.tb_next
        self.note("error", type=type(error).__name__, message=str(error), where=where)

    def child(self, **changes: Any) -> Ledger:
        """The ledger of a child just forked: same names and slots, counters from zero.

        Raises:
            OSError: there is no room for it.
        """
        ledger = Ledger(self.directory, self.header | {"forked": True} | changes)
        ledger._make_room(self._room - 1)
        ledger._inherit(self._lines)
        ledger._next = self._next
        ledger.in_child = self.in_child
        self._heir = ledger
        os.close(self._names)
        return ledger

    def is_foreign(self) -> bool:
        """Whether this process is a fork of the one whose ledger this is."""
        return bool(os.getpid() != self.header["pid"])

    def _find_heir(self) -> Ledger | None:
        if self._heir is None and self.in_child is not None:
            self.in_child()
        return self._heir

    def detached(self) -> None:
        """Note the moment of an orderly end, and the CPU time so far. Optional: nothing that is
        measured depends on it."""
        self.counters[1] = time.monotonic_ns()
        self.note("end", cpu_ns=time.process_time_ns())

    def _write(self, line: dict[str, Any]) -> None:
        text = self._append(line)
        if line["kind"] not in _NOT_INHERITED:
            self._lines.append(text)

    def _append(self, line: dict[str, Any]) -> bytes:
        text = encode(line) + b"\n"
        try:
            os.write(self._names, text)
        except OSError:
            self._say_full()
            raise
        return text

    def _inherit(self, lines: list[bytes]) -> None:
        self._lines = list(lines)
        text = b"".join(lines)
        while text:
            text = text[os.write(self._names, text) :]
