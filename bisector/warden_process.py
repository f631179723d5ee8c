"""The owner of every process of the benchmark: starts it, times it, and leaves nothing behind.

Run as a script by `bisector.warden`, in an interpreter of its own (standard library only, fast
start). It reads one JSON object a line from standard input and answers on standard output (the
words are in `bisector.warden`). It is a *subreaper*: whatever the benchmark starts, however often
it forks or changes its session, becomes a child of this process when its own parent ends, and so
can be found and killed.

Invariants:

* when a run is reported as ended, none of its processes is alive;
* when standard input closes, because the tool ended or was killed, everything is killed at once and
  this process ends too; only a run that was to outlive the tool goes on to its own end, or limit;
* while the command runs nothing here polls: it sleeps until a child changes state, an order arrives
  or the limit is reached.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 0.25
"""How long what is left may take to end by itself (as multiprocessing's own helpers do)."""
STOP_S = 3.0
"""How long a run that is asked to stop may take to end by itself."""
KILL_S = 10.0
"""How long killed processes may take to be gone before that is given up."""


class Run:
    """One started command."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        started_s: float,
        limit_s: float | None,
        outlives: bool,
    ) -> None:
        self.process = process
        self.started_s = started_s
        self.deadline_s = None if limit_s is None else self.started_s + limit_s
        self.outlives = outlives
        self.is_asked_to_stop = False


class Process:
    """The event loop: at most one run at a time."""

    def __init__(self) -> None:
        self.is_subreaper = _become_subreaper()
        self.wake, writer = os.pipe()
        os.set_blocking(self.wake, False)
        os.set_blocking(writer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self.orders = 0
        self.buffer = b""
        self.poll = select.poll()
        self.poll.register(self.orders, select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)
        self.alive = True
        self.cancelled = False
        """Set by the first order to kill, and final: one that comes just before a run hits it."""

    def serve(self) -> None:
        """Take orders until the tool is gone."""
        _say({"ready": os.getpid(), "subreaper": self.is_subreaper})
        while self.alive:
            for order in self.next_orders(None):
                self.cancelled = self.cancelled or "kill" in order
                if "run" in order:
                    self.carry_out(order["run"])
        self.kill_all(None)

    def next_orders(self, timeout_s: float | None) -> list[dict[str, Any]]:
        """Wait for orders, for a child's end or for the timeout, whichever comes first."""
        timeout = None if timeout_s is None else max(0.0, timeout_s) * 1000.0
        for descriptor, _ in self.poll.poll(timeout):
            if descriptor == self.wake:
                self.drain()
                continue
            data = os.read(self.orders, 65536)
            if not data:
                self.alive = False
                self.poll.unregister(self.orders)
                _let_go_of_errors()
                return []
            self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        return [json.loads(line) for line in lines if line]

    def carry_out(self, order: dict[str, Any]) -> None:
        """Start a command and see it through to its end, and its processes to theirs."""
        if self.cancelled:
            _say({"ended": {"stopped": "killed"}})
            return
        try:
            run = _start(order)
        except (OSError, ValueError) as error:
            _say({"ended": {"error": f"{type(error).__name__}: {error}"}})
            return
        _say({"started": run.process.pid})
        stopped = None
        usage = None
        while usage is None:
            pid, status, resources = os.wait4(run.process.pid, os.WNOHANG)
            if pid:
                ended_s = time.monotonic()
                run.process.returncode = os.waitstatus_to_exitcode(status)
                usage = resources
                break
            now = time.monotonic()
            if run.deadline_s is not None and now >= run.deadline_s:
                stopped = "asked" if run.is_asked_to_stop else "limit"
            if not self.alive and not run.outlives:
                stopped = "closed"
            if stopped:
                ended_s = now
                usage = self.kill_all(run)
                break
            left = None if run.deadline_s is None else run.deadline_s - now
            for request in self.next_orders(left):
                if "kill" in request:
                    stopped = "killed"
                    self.cancelled = True
                if "stop" in request and not run.is_asked_to_stop:
                    run.is_asked_to_stop = True
                    run.deadline_s = time.monotonic() + STOP_S
                    _signal_group(run.process.pid, signal.SIGTERM)
        if run.is_asked_to_stop and not stopped:
            stopped = "asked"
        leftovers = [] if stopped not in (None, "asked") else self.clear_up(run)
        _say(
            {
                "ended": {
                    "returncode": run.process.returncode,
                    "stopped": stopped,
                    "wall_s": ended_s - run.started_s,
                    "started_s": run.started_s,
                    "cpu_s": usage.ru_utime + usage.ru_stime if usage else 0.0,
                    "leftovers": leftovers,
                }
            }
        )

    def clear_up(self, run: Run) -> list[str]:
        """Give what is left a moment, kill the rest; returns the names of what had to be killed."""
        deadline = time.monotonic() + GRACE_S
        while (left := self.remains(run)) and time.monotonic() < deadline and self.alive:
            self.next_orders(min(0.02, deadline - time.monotonic()))
        if not left:
            return []
        names = sorted({_name_of(pid) for pid in left})
        self.kill_all(run)
        return names

    def remains(self, run: Run | None) -> list[int]:
        """Processes of the benchmark that are alive; ended ones are reaped on the way."""
        if self.is_subreaper:
            alive = _descendants(os.getpid())
        else:
            alive = [run.process.pid] if run and _group_lives(run.process.pid) else []
        _reap(run)  # afterwards: what has ended since is not left behind either
        return alive

    def kill_all(self, run: Run | None) -> Any:
        """Kill until nothing is left; returns the resource usage of the command, if reaped here."""
        deadline = time.monotonic() + KILL_S
        usage = None
        while time.monotonic() < deadline:
            if run is not None and (run.process.returncode is None or not self.is_subreaper):
                _kill_group(run.process.pid)
            for pid in _descendants(os.getpid()) if self.is_subreaper else ():
                _kill(pid)
            if run is not None and run.process.returncode is None:
                pid, status, resources = os.wait4(run.process.pid, os.WNOHANG)
                if pid:
                    run.process.returncode = os.waitstatus_to_exitcode(status)
                    usage = resources
            if not self.remains(run) and (run is None or run.process.returncode is not None):
                break
            self.poll_children()
        return usage

    def poll_children(self) -> None:
        """Wait for the next child's end, a few milliseconds at most; orders stay unread."""
        select.select([self.wake], [], [], 0.005)
        self.drain()

    def drain(self) -> None:
        """Forget the wake-ups so far; whoever was woken looks for itself."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 4096)


def _start(order: dict[str, Any]) -> Run:
    if "pipes" in order:
        return _start_piped(order)
    with (
        open(order["stdout"], "wb") as out,
        open(order["stderr"], "wb") as err,
    ):
        started_s = time.monotonic()
        process = subprocess.Popen(
            order["argv"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=order["cwd"],
            env=order["env"],
            start_new_session=True,
        )
    return Run(process, started_s, order.get("limit_s"), bool(order.get("outlives")))


def _start_piped(order: dict[str, Any]) -> Run:
    """With descriptors that were handed to this process, which keeps none of them: whoever is at
    the other end is to see when the command closes its own."""
    reader, writer = order["pipes"]
    try:
        started_s = time.monotonic()
        process = subprocess.Popen(
            order["argv"],
            stdin=reader,
            stdout=writer,
            cwd=order["cwd"],
            env=order["env"],
            start_new_session=True,
        )
    finally:
        os.close(reader)
        os.close(writer)
    return Run(process, started_s, None, outlives=False)


def _let_go_of_errors() -> None:
    """The tool's standard error: somebody may wait for its end, and a target may outlive it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _say(report: dict[str, Any]) -> None:
    # Where the tool is gone, standard input says so too.
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(report).encode() + b"\n")


def _become_subreaper() -> bool:
    """Linux only: without it, a process group is all that can be found."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _reap(run: Run | None) -> None:
    """Collect ended children, except the command itself, whose usage is still to be read."""
    own = run.process.pid if run is not None and run.process.returncode is None else 0
    for pid in _children(os.getpid()):
        if pid != own:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _descendants(root: int) -> list[int]:
    """All living processes below ``root``."""
    found: list[int] = []
    queue = [root]
    while queue:
        for pid in _children(queue.pop()):
            found.append(pid)
            queue.append(pid)
    return [pid for pid in found if not _is_zombie(pid)]


def _children(pid: int) -> list[int]:
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        text = ""
        for task in tasks:
            with open(f"/proc/{pid}/task/{task}/children") as file:
                text += file.read()
        return [int(child) for child in text.split()]
    except FileNotFoundError:
        return [] if not os.path.exists(f"/proc/{pid}/task") else _children_by_parent(pid)
    except OSError:
        return []


def _children_by_parent(pid: int) -> list[int]:
    """For kernels without the ``children`` file: every process that names ``pid`` as its parent."""
    return [
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and _stat(int(name))[1:2] == [str(pid)]
    ]


def _stat(pid: int) -> list[str]:
    """State and parent of a process; the name before them may hold blanks and parentheses."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].decode().split()
    except OSError:
        return []


def _is_zombie(pid: int) -> bool:
    return _stat(pid)[:1] in ([], ["Z"], ["X"])


def _name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().decode(errors="replace").split("\0")
    except OSError:
        return f"process {pid}"
    return " ".join(words).strip()[:120] or f"process {pid}"


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(group: int) -> None:
    _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    # Not SIG_IGN: a handler is reset by exec, so that the benchmark gets the usual behaviour.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    Process().serve()
