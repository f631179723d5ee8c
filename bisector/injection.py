"""One attached run of any command, and what the injector counted in it: the work of `inject`.

Invariant: the command notices nothing but its delays. It keeps our standard streams, working
directory, process group and terminal; two environment variables are all that is added. Signals that
would end us are its own affair: we hand them on, wait for its end and report that.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from bisector.errors import UsageError
from bisector.run_directory import require_room
from bisector.workload import BOOTSTRAP, SLOT_VARIABLE, Workload
from injector.plan import Plan
from injector.records import Entry, ProcessRecord, read_records

_HANDED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
_FROM_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class TargetCount:
    """What was counted for one target in one process, or summed over all."""

    target: str
    kind: str
    calls: int
    delays: int
    delayed_ns: int
    file: str
    line: int

    def plus(self, other: TargetCount) -> TargetCount:
        """Both together; place and kind are those of the first."""
        return replace(
            self,
            calls=self.calls + other.calls,
            delays=self.delays + other.delays,
            delayed_ns=self.delayed_ns + other.delayed_ns,
        )


@dataclass(frozen=True, slots=True)
class Injected:
    """What came of a run. ``exit_code`` is as a shell would say it: 128 + n for signal n;
    ``cpu_s`` is of all its processes."""

    exit_code: int
    wall_s: float
    cpu_s: float
    processes: tuple[ProcessRecord, ...]

    @property
    def targets(self) -> tuple[TargetCount, ...]:
        """All targets, summed over processes, most delayed first."""
        return _summed(count for record in self.processes for count in counts_of(record))


def counts_of(record: ProcessRecord) -> tuple[TargetCount, ...]:
    """The targets of one process; code objects that share a name are one target."""
    return _summed(
        TargetCount(
            target=str(entry.fields["target"]),
            kind=_kind(entry),
            calls=entry["calls"],
            delays=entry["delays"],
            delayed_ns=entry["delayed_ns"],
            file=str(entry.fields.get("file", "")),
            line=int(entry.fields.get("line", 0)),
        )
        for entry in record.of("target")
    )


def _kind(entry: Entry) -> str:
    if entry.fields.get("native"):
        return "native"
    return "line" if "@" in str(entry.fields["target"]) else "function"


def run_attached(workload: Workload, plan: Plan) -> Injected:
    """Run the command of ``workload`` under ``plan`` and wait for its end.

    Raises:
        UsageError: the command cannot be started.
        RunDirectoryError: there is no room for records.
    """
    slot = Path(tempfile.mkdtemp(prefix="speedbump-inject-"))
    try:
        require_room(slot.parent, "name a folder with more in TMPDIR")
        (slot / "records").mkdir()
        environment = dict(workload.environment)
        paths = [str(BOOTSTRAP), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"PYTHONPATH": os.pathsep.join(paths), SLOT_VARIABLE: str(slot)}
        launched_ns = time.monotonic_ns()
        (slot / "plan.json").write_text(replace(plan, launched_ns=launched_ns).to_json(), "utf-8")
        before_s = _cpu_of_children_s()
        code = _run(workload.argv, environment, workload.cwd)
        wall_s = (time.monotonic_ns() - launched_ns) / 1e9
        return Injected(
            exit_code=code if code >= 0 else 128 - code,
            wall_s=wall_s,
            cpu_s=_cpu_of_children_s() - before_s,
            processes=tuple(read_records(slot / "records")),
        )
    finally:
        # Processes that outlive the command keep counting into files without a name.
        shutil.rmtree(slot, ignore_errors=True)


def _cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(argv: Sequence[str], environment: dict[str, str], cwd: str) -> int:
    children: list[subprocess.Popen[bytes]] = []
    with _handing_on(children):
        try:
            child = subprocess.Popen(argv, env=environment, cwd=cwd)
        except OSError as error:
            raise UsageError(
                f"{argv[0]}: {error.strerror or error}; check the command after --"
            ) from None
        children.append(child)
        return child.wait()


@contextlib.contextmanager
def _handing_on(children: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Signals go to the child. Handlers, not SIG_IGN: that would be inherited by the child."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        # A key pressed on the terminal has reached the child already: it is in the same group.
        if not (number in _FROM_KEYBOARD and _in_foreground()):
            for child in children:
                with contextlib.suppress(OSError):
                    child.send_signal(number)

    previous = {}
    for number in _HANDED_ON:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            with contextlib.suppress(ValueError):  # not in the main thread
                previous[number] = signal.signal(number, hand_on)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _in_foreground() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _summed(counts: Iterator[TargetCount]) -> tuple[TargetCount, ...]:
    found: dict[str, TargetCount] = {}
    for count in counts:
        seen = found.get(count.target)
        found[count.target] = count if seen is None else seen.plus(count)
    return tuple(sorted(found.values(), key=lambda c: (-c.delayed_ns, c.target)))
