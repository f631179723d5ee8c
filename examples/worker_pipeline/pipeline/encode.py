"""Third stage: samples into differences again, and a checksum."""

from __future__ import annotations

import time

from pipeline.block import Block
from pipeline.config import StageConfig


class Encoder:
    """Turns samples into what is stored."""

    def __init__(self, config: StageConfig) -> None:
        self._config = config
        self._weights = [(index * 7) % 23 + 1 for index in range(256)]

    def process(self, block: Block) -> Block:
        """One block."""
        level = self.predict(block.level)
        return block.after("encode", self.checksum(level))

    def predict(self, level: int) -> int:
        """The weighted difference to each prediction; the device packs the bits."""
        weights = self._weights
        sample = level
        for position in range(self._config.samples):
            sample = (sample + weights[position & 255] * position) % 65_521
        time.sleep(self._config.device_s)
        return sample

    def checksum(self, level: int) -> int:
        """Four bits that tell a damaged block."""
        return (level ^ level >> 4 ^ level >> 8 ^ level >> 12) & 15
