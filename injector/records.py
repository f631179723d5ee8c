"""The reading side of a ledger, in the tool: what the processes of a run left behind.

It may be read while they still run. The compiled half and the target never import this.
"""

from __future__ import annotations

import os

from .ledger import COUNTERS, FULL, VERSION, WIDTH
from .wire import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
    if os.path.exists(path.removesuffix(".names") + FULL):
        said = {"type": "OSError", "message": "the disk is full: what came later was not recorded"}
        entries.append(Entry("error", 0, said, (0,) * WIDTH))
    return ProcessRecord(lines[0], entries)


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        line = decode(raw.decode())
    except ValueError:
        return None
    return line if isinstance(line, dict) else None
