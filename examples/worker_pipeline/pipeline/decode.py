"""First stage: samples from differences."""

from __future__ import annotations

import time

from pipeline.block import Block
from pipeline.config import StageConfig


def difference(position: int) -> int:
    """The stored difference at a position of any block; only a few of them are looked up."""
    return (position * 37) % 61 - 30


class Decoder:
    """Turns the stored differences of a block into samples."""

    def __init__(self, config: StageConfig) -> None:
        self._config = config
        self._differences = list(map(difference, range(256)))

    def process(self, block: Block) -> Block:
        """One block."""
        self.check_number(block)
        return block.after("decode", self.accumulate(block.number))

    def check_number(self, block: Block) -> None:
        """Refuse what cannot be a block of this stream."""
        if block.number < 0 or block.stages:
            raise ValueError(f"block {block.number} does not belong at the first stage")

    def accumulate(self, start: int) -> int:
        """Sum up the differences, with wrap-around, and have the device fill in the rest."""
        differences = self._differences
        sample = start
        for position in range(self._config.samples):
            sample = (sample + differences[position & 255] * position) % 65_521
        time.sleep(self._config.device_s)
        return sample
