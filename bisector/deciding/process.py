"""A decider that is a command: started when the first decision is due, and ended with the session.

Its owner is a warden of its own, so that it is gone whatever becomes of the tool. It reads our
lines on its standard input and answers on its standard output; its standard error is ours. It is
told nothing of the injector. One that ends by itself, without a failure, after it said that it is
done has nothing to add: whenever it is asked again, it is done.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bisector.deciding.decider import Conversation, NoDecision, Silent
from bisector.deciding.pipe import Ended, Pipe
from bisector.deciding.question import Objection, Question
from bisector.errors import Interrupted, UsageError
from bisector.schema import Summary
from bisector.settings import EXTERNAL, Settings
from bisector.warden import Warden
from bisector.workload import BOOTSTRAP, SLOT_VARIABLE
from strategies.decision import Decision

GRACE_S = 2.0
"""How long it may take to end by itself."""


class ProcessDecider:
    """Implements `bisector.deciding.decider.Decider` with a command."""

    def __init__(self, command: Sequence[str], cwd: str, patience_s: float) -> None:
        """Start nothing yet.

        Raises:
            UsageError: there is no such program.
        """
        self._cwd = cwd
        self._patience_s = patience_s
        name = os.path.join(cwd, command[0]) if os.sep in command[0] else command[0]
        program = shutil.which(name)
        if program is None:
            raise UsageError(f"--decider: there is no program {command[0]!r} to start")
        self._argv = (program, *command[1:])
        self._memories: list[tuple[Question, Decision]] = []
        self._warden: Warden | None = None
        self._pipe: Pipe | None = None
        self._conversation: Conversation | None = None
        self._latest: Decision | None = None
        self._is_gone = False
        """Whether it ended after it was done."""
        self._is_interrupted = False

    def remember(self, question: Question, decision: Decision) -> None:
        """See `Decider.remember`; told once there is something to decide."""
        self._memories.append((question, decision))

    def decide(
        self, question: Question, objection: Objection, idle: Callable[[], None]
    ) -> Decision:
        """See `Decider.decide`."""
        if self._is_gone:
            return Decision("done")
        conversation = self._conversation or self._start()
        try:
            for earlier in self._memories:
                conversation.remember(*earlier)
            self._memories.clear()
            self._latest = conversation.decide(question, objection, idle)
        except Ended as end:
            code = self._exit_code()
            if code == 0 and self._latest is not None and self._latest.kind == "done":
                self._is_gone = True
                return self._latest
            how = "" if code is None else f" (exit code {code})"
            raise NoDecision(f"the decider {end}{how} before it decided") from None
        except Silent:
            self._is_interrupted = True  # nothing is to be hoped for from giving it time to end
            raise
        return self._latest

    def interrupt(self) -> None:
        """See `Decider.interrupt`."""
        self._is_interrupted = True
        if self._pipe is not None:
            self._pipe.interrupt()

    def end(self, summary: Summary) -> None:
        """See `Decider.end`."""
        if self._conversation is not None and not self._is_gone:
            with contextlib.suppress(NoDecision, Interrupted):
                self._conversation.end(summary)

    def close(self) -> None:
        """Close its standard input; kill it if it does not end then."""
        if self._pipe is not None:
            self._pipe.close()
        if self._warden is not None:
            if self._warden.is_running and not self._is_interrupted:
                self._exit_code()
            self._warden.close()
            self._warden = None

    def _start(self) -> Conversation:
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        try:
            self._warden = Warden(descriptors=(theirs_in, theirs_out))
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._pipe = Pipe(ours_in, ours_out)
        if self._is_interrupted:
            self._pipe.interrupt()
        self._warden.start_piped(self._argv, self._cwd, _environment(), (theirs_in, theirs_out))
        self._conversation = Conversation(self._pipe, self._patience_s)
        return self._conversation

    def _exit_code(self) -> int | None:
        if self._warden is None or not self._warden.is_running:
            return None
        ended = self._warden.wait(GRACE_S)
        if ended is not None and ended.error is not None:
            raise NoDecision(f"the decider could not be started: {ended.error}")
        return None if ended is None else ended.returncode


def _environment() -> dict[str, str]:
    """Ours, without what would attach the injector if we ran under it ourselves."""
    environment = dict(os.environ)
    environment.pop(SLOT_VARIABLE, None)
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    if str(BOOTSTRAP) in paths:
        left = os.pathsep.join(path for path in paths if path != str(BOOTSTRAP))
        environment["PYTHONPATH"] = left
    return environment


def read_command(text: str | Sequence[str]) -> tuple[str, ...]:
    """The words of a command, quoted as in a shell.

    Raises:
        ValueError: a quotation does not end, or there is no word.
    """
    try:
        words = tuple(shlex.split(text)) if isinstance(text, str) else tuple(text)
    except ValueError as error:
        raise ValueError(f"{text!r} cannot be read as a command: {error}") from None
    if not words or not all(isinstance(w, str) and w and "\0" not in w for w in words):
        raise ValueError(f"{text!r} is no command; write 'python decide.py'")
    return words


def decider_for(settings: Settings, meta: Mapping[str, Any]) -> ProcessDecider | None:
    """The decider that an investigation was begun with; None where its strategy asks nobody.

    Args:
        meta: the description of the run, for where the user was.

    Raises:
        UsageError: there is none though one is needed, or no such program.
    """
    if settings.strategy != EXTERNAL:
        return None
    if settings.decider:
        cwd = meta.get("started_in", settings.cwd)
        return ProcessDecider(settings.decider, cwd, settings.decider_timeout_s)
    raise UsageError(
        "--strategy external leaves it to others where to look; say who, with --decider COMMAND"
    )
