"""The records a process leaves behind: written while it runs, so that they survive its death.

Two files per process. ``<pid>-<start ns>.names`` says what was seen, one JSON object a line, each
line appended by a single ``write``. ``<pid>-<start ns>.counts`` is a sparse memory-mapped array of
slots, eight unsigned 64-bit little-endian counters each; slot *i* lies at byte 64·*i* and belongs
to the line with ``"slot": i``. The second half of the array is the *still*: a copy of the counters
as they were inside one call of the progress point, taken there when the tool has asked for it (the
one counter that the tool writes), so that what it reads belongs together.

Invariant: nothing has to happen at exit. A process that is killed between two instructions leaves
at worst a torn last line; its counters are complete as of the kill, because they live in a file's
page cache and not in the process.

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

from .wire import decode, encode

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
        counts = os.open(stem + ".counts", flags, 0o644)
        try:
            os.ftruncate(counts, COUNTS_BYTES)
            self._map = mmap.mmap(counts, COUNTS_BYTES)
        finally:
            os.close(counts)
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
        slot = known.setdefault(key, mine)
        if slot == mine:
            self._write({"slot": slot, "kind": kind, **fields})
        return slot

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
        """The ledger of a child just forked: same names and slots, counters from zero."""
        ledger = Ledger(self.directory, self.header | {"forked": True} | changes)
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
        os.write(self._names, text)
        return text

    def _inherit(self, lines: list[bytes]) -> None:
        self._lines = list(lines)
        text = b"".join(lines)
        while text:
            text = text[os.write(self._names, text) :]


class Entry:
    """One line of a names file with its counters."""

    __slots__ = ("counters", "fields", "kind", "slot")

    def __init__(
        self, kind: str, slot: int, fields: dict[str, Any], counters: tuple[int, ...]
    ) -> None:
        self.kind = kind
        self.slot = slot
        """The line's slot, 0 for a line without counters."""
        self.fields = fields
        """The line's own fields (``target``, ``line``, ``at`` ...), without kind and slot."""
        self.counters = counters
        """Eight integers; zeros for a line without counters."""

    def __getitem__(self, name: str) -> int:
        """A counter by the name `COUNTERS` gives it.

        Raises:
            KeyError: this kind of line has no such counter.
        """
        try:
            return self.counters[COUNTERS[self.kind].index(name)]
        except (KeyError, ValueError):
            raise KeyError(f"{self.kind} lines have no counter {name!r}") from None

    def __repr__(self) -> str:
        return f"Entry({self.kind!r}, {self.slot}, {self.fields!r}, {self.counters!r})"


class ProcessRecord:
    """All one process left behind."""

    __slots__ = ("entries", "header")

    def __init__(self, header: dict[str, Any], entries: list[Entry]) -> None:
        self.header = header
        self.entries = entries

    def of(self, kind: str) -> list[Entry]:
        """The entries of one kind, in the order they were seen."""
        return [entry for entry in self.entries if entry.kind == kind]

    @property
    def key(self) -> str:
        """What tells the process from all others of the run."""
        return f"{self.header['pid']}-{self.header['start_ns']}"

    @property
    def errors(self) -> list[str]:
        """The injector's own exceptions in this process, one sentence each."""
        return [
            f"{e.fields.get('type', 'error')}: {e.fields.get('message', '')}"
            + (f" ({e.fields['where']})" if e.fields.get("where") else "")
            for e in self.of("error")
        ]

    @property
    def cpu_before_s(self) -> float:
        """CPU seconds of the process before it attached."""
        return self.of("process")[0]["cpu_before_ns"] / 1e9

    @property
    def cpu_s(self) -> float | None:
        """CPU seconds of the process until its orderly end; None where there was none."""
        ends = self.of("end")
        return ends[-1].fields["cpu_ns"] / 1e9 if ends else None

    @property
    def attached_ns(self) -> int:
        """Monotonic nanoseconds at which the process attached."""
        return int(self.header["start_ns"])


def read_records(directory: str | os.PathLike[str]) -> list[ProcessRecord]:
    """Everything the processes of a run left in ``directory``, in the order they attached.

    A torn last line is dropped, a process whose header is torn is skipped, counters past the end of
    a truncated file are zero. May be called while the processes still run.

    Raises:
        OSError: the directory does not exist or cannot be read.
    """
    folder = os.fspath(directory)
    records = []
    for name in os.listdir(folder):
        if name.endswith(".names"):
            record = _read(os.path.join(folder, name))
            if record is not None:
                records.append(record)
    return sorted(records, key=lambda r: (r.attached_ns, r.header["pid"]))


def _read(path: str) -> ProcessRecord | None:
    with open(path, "rb") as file:
        lines = [line for raw in file.read().splitlines() if (line := _parse(raw)) is not None]
    if not lines or lines[0].get("version") != VERSION or "slot" in lines[0]:
        return None
    highest = max((line.get("slot", 0) for line in lines[1:]), default=0)
    try:
        with open(path.removesuffix(".names") + ".counts", "rb") as file:
            raw = file.read((highest + 1) * WIDTH * 8)
    except OSError:
        raw = b""
    values = memoryview(raw.ljust((highest + 1) * WIDTH * 8, b"\0")).cast("Q")
    entries = [Entry("process", 0, {}, tuple(values[:WIDTH]))]
    for line in lines[1:]:
        slot = line.pop("slot", 0)
        counters = tuple(values[slot * WIDTH : (slot + 1) * WIDTH]) if slot else (0,) * WIDTH
        entries.append(Entry(line.pop("kind", "error"), slot, line, counters))
        if entries[-1].kind == "role":
            lines[0]["name"] = line["name"]
    return ProcessRecord(lines[0], entries)


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        line = decode(raw.decode())
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
