"""From logits to tokens: repetition penalty, temperature, the k best, one draw.

Runs on the host because the structured-output rules live there. Without pipelining it stands
between one kernel and the next: critical.
"""

from __future__ import annotations

import math
import random

from serving.config import ServingConfig

CANDIDATES = 8
TEMPERATURE = 0.8


def temperature_scaled(value: float) -> float:
    """A logit at the server's temperature."""
    return value / TEMPERATURE


class Sampler:
    """Draws one token per sequence, the same ones in every run."""

    def __init__(self, config: ServingConfig) -> None:
        self._config = config
        self._random = random.Random(7)
        self._recent: list[int] = []

    def sample(self, logits: list[list[float]]) -> list[int]:
        """One token for each row of ``logits``."""
        tokens = []
        for row in logits:
            best = self.top_k(row)
            tokens.append(self.draw(best))
        self.remember(tokens)
        return tokens

    def top_k(self, row: list[float]) -> list[tuple[float, int]]:
        """The best candidates of one row, best first, those used lately held back."""
        recent = self._recent
        best: list[tuple[float, int]] = []
        lowest = -math.inf
        for token, value in enumerate(row):
            if token in recent:
                value -= 1.0
            if value > lowest:
                best.append((value, token))
                if len(best) > CANDIDATES:
                    best.sort(reverse=True)
                    best.pop()
                    lowest = best[-1][0]
        best.sort(reverse=True)
        return best

    def draw(self, best: list[tuple[float, int]]) -> int:
        """One of the candidates, by its probability."""
        highest = temperature_scaled(best[0][0])
        weights = [math.exp(value / TEMPERATURE - highest) for value, _ in best]
        threshold = self._random.random() * sum(weights)
        for weight, (_, token) in zip(weights, best, strict=True):
            threshold -= weight
            if threshold <= 0:
                return token
        return best[-1][1]

    def remember(self, tokens: list[int]) -> None:
        """Keep the last few tokens for the repetition penalty."""
        self._recent = (self._recent + tokens)[-4:]
