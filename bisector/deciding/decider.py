"""Whoever decides, as the session sees it: asked a question, it gives a decision that can be taken.

Invariant: what `Conversation.decide` returns the engine takes; what cannot be taken is said to
whoever decides, who may try again, a few times. Nothing of that is in the journal, and no time of
it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bisector.deciding.matching import Matching
from bisector.deciding.question import Objection, Question
from bisector.deciding.wire import (
    BadAnswer,
    Message,
    decide_message,
    decided_message,
    error_message,
    news,
    read,
    verdict_message,
)
from bisector.quantities import format_time
from bisector.schema import Summary
from strategies.decision import Decision

MOST_BAD = 10
"""Answers in a row that cannot be taken."""

LONGER = " (--decider-timeout gives it longer)"
IDLE_S = 60.0
"""After so much silence nothing is kept running for whoever decides."""


class NoDecision(Exception):
    """There is none to be had; the message says why. Nothing measured is lost."""


class Silent(NoDecision):
    """It said nothing for too long."""


class Channel(Protocol):
    """Lines to and from whoever decides."""

    def send(self, message: Message) -> None:
        """Say something.

        Raises:
            NoDecision: it cannot be said.
        """
        ...

    def interrupt(self) -> None:
        """Wait no longer, now and from now on."""
        ...

    def receive(self, timeout_s: float) -> bytes | None:
        """The next line; None where there is none by then.

        Raises:
            NoDecision: there will be none any more.
            Interrupted: the user wants to stop.
        """
        ...


class Decider(Protocol):
    """Decides where to look. `close` is called once, however the session ends."""

    def decide(
        self, question: Question, objection: Objection, idle: Callable[[], None]
    ) -> Decision:
        """A decision that can be taken; ``idle`` is called when that takes long.

        Raises:
            NoDecision: there is none to be had.
            Interrupted: the user wants to stop.
        """
        ...

    def remember(self, question: Question, decision: Decision) -> None:
        """What was asked and decided before the investigation was taken up again, in order."""
        ...

    def interrupt(self) -> None:
        """Wait no longer; safe to call from a signal handler."""
        ...

    def end(self, summary: Summary) -> None:
        """The investigation is over, for now."""
        ...

    def close(self) -> None:
        """Let go of everything. Idempotent."""
        ...


class Conversation:
    """What is said to whoever decides, and understood of the answers, over any `Channel`.

    Implements `Decider` where the channel is somebody else's. ``remedy``: what else can be done
    about one that is silent for ``patience_s``. ``tries``: answers in a row of which one has to be
    taken.
    """

    def __init__(
        self, channel: Channel, patience_s: float, remedy: str = LONGER, tries: int = MOST_BAD
    ) -> None:
        self._channel = channel
        self._remedy = remedy
        self._patience_s = patience_s
        self._tries = tries
        self._matching: Matching | None = None

    def remember(self, question: Question, decision: Decision) -> None:
        """Tell what was asked and decided before."""
        self._tell(question)
        self._channel.send(decided_message(decision))

    def decide(
        self, question: Question, objection: Objection, idle: Callable[[], None]
    ) -> Decision:
        """See `Decider.decide`."""
        self._tell(question)
        why = ""
        for _ in range(self._tries):
            self._channel.send(decide_message())
            line = self._answer(idle)
            try:
                if self._matching is None:
                    raise BadAnswer("there is nothing to decide about")
                decision = read(line, self._matching)
            except BadAnswer as error:
                why = str(error)
            else:
                objected = objection(decision)
                if objected is None:
                    return decision
                why = objected
            self._channel.send(error_message(why))
        raise NoDecision(
            f"{self._tries} answers of the decider in a row could not be taken, the last because "
            f"{why}"
        )

    def end(self, summary: Summary) -> None:
        """Tell how it ended."""
        self._channel.send(verdict_message(summary))

    def interrupt(self) -> None:
        """See `Decider.interrupt`."""
        self._channel.interrupt()

    def close(self) -> None:
        """See `Decider.close`."""

    def _tell(self, question: Question) -> None:
        if question.problem is not None:
            self._matching = Matching(question.problem, question.members)
        for message in news(question):
            self._channel.send(message)

    def _answer(self, idle: Callable[[], None]) -> bytes:
        soon_s = min(IDLE_S, self._patience_s)
        line = self._channel.receive(soon_s)
        if line is None and self._patience_s > soon_s:
            idle()
            line = self._channel.receive(self._patience_s - soon_s)
        if line is None:
            raise Silent(
                f"the decider was silent for {format_time(self._patience_s)}{self._remedy}"
            )
        return line
