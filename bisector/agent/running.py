"""An investigation that is going on, as the server knows it: a process, and what it has told.

Invariant: the state changes only by what the process says, in order; whoever waits sees each
change. Cancelling a wait changes nothing. The process ends when the server lets go of its pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bisector.run_directory import JOURNAL
from bisector.settings import Settings

CHILD = (sys.executable, "-P", "-m", "bisector.agent.child")

LONGEST_LINE = 256 << 20
"""A census has a line for itself."""

END_S = 15.0
"""How long an investigation may take to end once it was asked to."""

KEPT = 200
"""Judgements and warnings that are kept."""


@dataclass(slots=True)
class Running:
    """See the module docstring."""

    id: str
    path: Path
    benchmark: str
    settings: Settings
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it was begun, before it was taken up again."""
    progress: dict[str, Any] = field(default_factory=dict)
    problem: dict[str, Any] | None = None
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    unconfirmed: list[list[str]] = field(default_factory=list)
    judged: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT))
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    members: list[dict[str, Any]] = field(default_factory=list)
    known: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    """Why the latest answer was not taken."""
    waits: bool = False
    """Whether it waits for a decision."""
    ended: dict[str, Any] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one who is deciding."""
    _process: asyncio.subprocess.Process | None = None
    _listening: asyncio.Task[None] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, order: Mapping[str, Any]) -> None:
        """Start the process and tell it what to do."""
        self._process = await asyncio.create_subprocess_exec(
            *CHILD,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
        await self._write(order)
        self._listening = asyncio.create_task(self._listen(self._process))

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self.ended is not None

    async def change(self, timeout_s: float) -> None:
        """Wait for something to be told, so long at most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)

    async def answer(self, decision: Mapping[str, Any]) -> None:
        """Give a decision that it waits for."""
        self.waits, self.error = False, None
        await self._write(decision)

    async def stop(self) -> None:
        """Ask it to end, keeping what was measured, and wait for that; kill it if it does not."""
        process = self._process
        if process is None or self._listening is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        done, _ = await asyncio.wait((self._listening,), timeout=END_S)
        if not done:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.wait((self._listening,), timeout=END_S)

    async def _write(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # that it has ended is heard elsewhere
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self._take(json.loads(line))
                self._wake()
        except ValueError:
            process.kill()
        code = await process.wait()
        if self.ended is None:
            said = f"its process ended (exit code {code}) before it could say what it found"
            more = "; resume goes on" if (self.path / JOURNAL).is_file() else ""
            self.ended = {"exit_code": 1, "sentence": said + more}
        self.waits = False
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "progress":
                self.progress = message
            case "problem":
                self.problem, self.outcomes, self.unconfirmed = message, [], []
            case "outcome":
                self.outcomes.append(message)
            case "unconfirmed":
                self.unconfirmed = message["claims"]
            case "decide":
                self.waits = True
            case "error":
                self.error = message["message"]
            case "judged":
                self.judged.append(message)
            case "warned":
                self.warnings.append(message["message"])
            case "census":
                self.members = message["members"]
            case "known":
                self.known |= message
            case "ended":
                self.ended = message
