"""What the server says about itself: throughput, and counters kept step by step."""

from __future__ import annotations

import time


class Throughput:
    """Tokens per second over one window of the monotonic clock."""

    def __init__(self) -> None:
        self._tokens = 0
        self._begin = 0.0
        self._end = 0.0

    def begin(self) -> None:
        """Open the window."""
        self._begin = time.monotonic()

    def count(self, tokens: int) -> None:
        """Add the tokens of one step."""
        self._tokens += tokens

    def end(self) -> None:
        """Close the window."""
        self._end = time.monotonic()

    def per_second(self) -> float:
        """Tokens per second in the window."""
        return self._tokens / (self._end - self._begin)


class StepMetrics:
    """Per-step counters, as a metrics endpoint would show them."""

    def __init__(self) -> None:
        self._counters: dict[str, int] = {"steps": 0, "tokens": 0, "characters": 0}
        self._lengths: list[int] = []

    def observe(self, tokens: int, texts: list[str]) -> None:
        """Take note of one finished step."""
        self._add("steps", 1)
        self._add("tokens", tokens)
        self._add("characters", sum(map(len, texts)))
        self._lengths.append(max(map(len, texts), default=0))
        if len(self._lengths) > 64:
            self._forget()

    def report(self) -> str:
        """One line for the log."""
        return " ".join(f"{name}={value}" for name, value in sorted(self._counters.items()))

    def _add(self, name: str, amount: int) -> None:
        self._counters[name] += amount

    def _forget(self) -> None:
        del self._lengths[:32]
