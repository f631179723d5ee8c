"""The model as the host sees it: kernels to launch and, later, a row of logits per sequence."""

from __future__ import annotations

import random
from collections import deque

from serving.config import ServingConfig
from serving.device import Stream
from serving.inputs import StepInputs

DISTINCT_STEPS = 4
"""The device's answers repeat after so many steps; making them is no part of what is measured."""


def make_logits(config: ServingConfig) -> list[list[list[float]]]:
    """The device's answers: for each distinct step and sequence one logit per vocabulary entry."""
    source = random.Random(20)
    steps = []
    for _ in range(DISTINCT_STEPS):
        rows = []
        for _ in range(config.batch_size):
            rows.append([source.random() * 12.0 for _ in range(config.vocabulary)])
        steps.append(rows)
    return steps


class Model:
    """Launches steps and hands out their logits in the order of the launches."""

    def __init__(self, config: ServingConfig) -> None:
        self._config = config
        self._stream = Stream(config.queue_depth)
        self._answers = make_logits(config)
        self._in_flight: deque[int] = deque()
        self._launched = 0

    def launch(self, inputs: StepInputs) -> None:
        """Start one decode step on the device."""
        inputs.check()
        self._stream.launch(self._config.kernel_s)
        self._in_flight.append(self._launched)
        self._launched += 1

    def collect(self) -> list[list[float]]:
        """Wait for the oldest step in flight; its logits, one row per sequence."""
        self._stream.synchronize_oldest()
        return self._answers[self._in_flight.popleft() % DISTINCT_STEPS]

    @property
    def in_flight(self) -> int:
        """Steps launched and not yet collected."""
        return len(self._in_flight)
