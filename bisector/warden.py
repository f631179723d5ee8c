"""The tool's side of the one owner of benchmark processes: orders out, reports in, over two pipes.

A process of its own (`bisector.warden_process`) starts every command, so that what happens to the
tool never decides what happens to the benchmark: Ctrl-C in the terminal reaches only the tool, and
when the tool is killed, the closing pipe kills the benchmark. It is started once per session and
then costs a run one line each way.

The tool waits for a run by reading the pipe: no polling, and interruptible from a signal handler
through `Warden.interrupt`, which only writes a line.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

from bisector import warden_process
from bisector.errors import MeasurementFailed

Stop = Literal["limit", "killed", "closed", "asked"]


@dataclass(frozen=True, slots=True)
class Launch:
    """A command to run to its end.

    ``limit_s``: killed when it lasts longer; None is no limit. ``outlives``: when the tool is
    killed, it goes on to its own end all the same.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    stdout: Path
    stderr: Path
    limit_s: float | None = None
    outlives: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. Times in seconds, ``started_s`` on the monotonic clock.

    ``returncode`` is negative for a signal, as in `subprocess`. ``stopped`` says that it was killed
    from here: at its limit or on request. ``leftovers`` are the command lines of processes that
    outlived it and had to be killed. ``error``: it could not be started at all.
    """

    returncode: int | None = None
    stopped: Stop | None = None
    wall_s: float = 0.0
    started_s: float = 0.0
    cpu_s: float = 0.0
    leftovers: tuple[str, ...] = ()
    error: str | None = None


class Warden:
    """A running warden process. Use it as a context manager: leaving ends all it started.

    ``descriptors``: of ours that it may hand on, see `start_piped`.
    """

    def __init__(self, descriptors: Sequence[int] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", warden_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            pass_fds=descriptors,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders = self._process.stdin.fileno()
        self._reports = self._process.stdout
        self._buffer = b""
        self._running: int | None = None
        self.is_running = False
        report = self._read()
        assert report is not None
        self.owns_descendants = bool(report["subreaper"])
        """Whether processes that leave the process group are found as well (Linux)."""

    def run(self, launch: Launch) -> Ended:
        """Run a command to its end and return once none of its processes is left.

        Raises:
            MeasurementFailed: the warden process itself has gone.
        """
        self.start(launch)
        ended = self.wait()
        assert ended is not None
        return ended

    def start(self, launch: Launch) -> None:
        """Start a command; nothing else may be started until `wait` has told its end.

        Raises:
            MeasurementFailed: the warden process itself has gone.
        """
        self._send(
            {
                "run": {
                    "argv": launch.argv,
                    "cwd": launch.cwd,
                    "env": dict(launch.env),
                    "stdout": str(launch.stdout),
                    "stderr": str(launch.stderr),
                    "limit_s": launch.limit_s,
                    "outlives": launch.outlives,
                }
            }
        )
        self.is_running = True

    def start_piped(
        self, argv: Sequence[str], cwd: str, env: Mapping[str, str], pipes: tuple[int, int]
    ) -> None:
        """Start a command with two of the ``descriptors`` as its standard input and output; its
        standard error is ours. From then on nobody else holds them.

        Raises:
            MeasurementFailed: the warden process itself has gone.
        """
        self._send({"run": {"argv": argv, "cwd": cwd, "env": dict(env), "pipes": pipes}})
        self.is_running = True

    def wait(self, timeout_s: float | None = None) -> Ended | None:
        """How the command ended, None while it goes on.

        Raises:
            MeasurementFailed: the warden process itself has gone.
        """
        while (report := self._read(timeout_s)) is not None:
            if "started" in report:
                self._running = report["started"]
                continue
            self._running = None
            self.is_running = False
            ended: dict[str, Any] = report["ended"]
            return Ended(**{**ended, "leftovers": tuple(ended.get("leftovers", ()))})
        return None

    def stop(self) -> None:
        """Ask the command to end (SIGTERM); it is killed if it does not, see `wait`.

        Raises:
            MeasurementFailed: the warden process itself has gone.
        """
        self._send({"stop": True})

    def interrupt(self) -> None:
        """Kill the run in flight and start no other; safe to call from a signal handler."""
        with contextlib.suppress(OSError, MeasurementFailed):
            self._send({"kill": True})

    def close(self) -> None:
        """Kill what runs and end the warden process. Idempotent."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self.interrupt()
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2 * warden_process.KILL_S)
        self._reports.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _send(self, order: dict[str, Any]) -> None:
        data = json.dumps(order).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._orders, data) :]
        except OSError:
            self._gone()

    def _read(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """The next report; None if there is none by then."""
        while b"\n" not in self._buffer:
            # A signal handler that raises between the two leaves everything as it was.
            if not select.select([self._reports], [], [], timeout_s)[0]:
                return None
            data = os.read(self._reports.fileno(), 65536)
            if not data:
                self._gone()
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        report: dict[str, Any] = json.loads(line)
        return report

    def _gone(self) -> NoReturn:
        if self._running is not None:
            # Nobody else can end the benchmark now; its process group is all that is known here.
            with contextlib.suppress(OSError):
                os.killpg(self._running, signal.SIGKILL)
        raise MeasurementFailed(
            "the process that runs the benchmark was killed; nothing more can be measured in this "
            "session (resume goes on where it stopped)"
        )
