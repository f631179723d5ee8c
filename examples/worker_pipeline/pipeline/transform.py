"""Second stage: every sample scaled by a slowly varying gain."""

from __future__ import annotations

import time

from pipeline.block import Block
from pipeline.config import StageConfig


class Transformer:
    """Applies the gain and keeps count of what was out of range."""

    def __init__(self, config: StageConfig) -> None:
        self._config = config
        self._gains = [(index * 13) % 29 + 1 for index in range(256)]
        self._out_of_range = 0

    def process(self, block: Block) -> Block:
        """One block."""
        level = self.scale(block.level)
        self.count_range(level)
        return block.after("transform", level)

    def scale(self, level: int) -> int:
        """Apply the gain to each sample, then have the device smooth the result."""
        gains = self._gains
        sample = level
        for position in range(self._config.samples):
            sample = (sample * gains[position & 255] + position) % 65_521
        time.sleep(self._config.device_s)
        return sample

    def count_range(self, level: int) -> None:
        """Keep count of levels that the next stage would clip."""
        if level > 60_000:
            self._out_of_range += 1
