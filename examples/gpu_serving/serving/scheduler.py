"""Which sequences take part in the next step: running ones first, then waiting ones."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from serving.config import ServingConfig


@dataclass
class Sequence:
    """One request that is being answered."""

    number: int
    prompt: list[int]
    tokens: list[int] = field(default_factory=list)

    def length(self) -> int:
        """Prompt and answer so far, in tokens."""
        return len(self.prompt) + len(self.tokens)


def make_prompt(number: int) -> list[int]:
    """A prompt of 24 to 31 tokens, the same for the same number."""
    return [(number * 31 + place * 7) % 251 for place in range(24 + number % 8)]


class Scheduler:
    """Keeps the batch full: throughput is measured under a load that never ends."""

    def __init__(self, config: ServingConfig) -> None:
        self._config = config
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._admitted = 0
        self.finished = 0

    def schedule(self) -> list[Sequence]:
        """The sequences of the next step."""
        self._refill_waiting()
        while len(self._running) < self._config.batch_size:
            self._running.append(self._admit())
        return list(self._running)

    def record(self, tokens: list[int]) -> None:
        """Append one new token to each running sequence and let go of those that are complete."""
        for place, token in enumerate(tokens):
            self._running[place].tokens.append(token)
        if any(map(self._is_complete, self._running)):
            self._retire()

    def _refill_waiting(self) -> None:
        while len(self._waiting) < 2:
            self._waiting.append(Sequence(self._admitted, make_prompt(self._admitted)))
            self._admitted += 1

    def _admit(self) -> Sequence:
        if not self._waiting:
            self._refill_waiting()
        return self._waiting.popleft()

    def _is_complete(self, sequence: Sequence) -> bool:
        return len(sequence.tokens) >= self._config.tokens_per_request

    def _retire(self) -> None:
        remaining = []
        for sequence in self._running:
            if self._is_complete(sequence):
                self.finished += 1
            else:
                remaining.append(sequence)
        self._running = remaining
