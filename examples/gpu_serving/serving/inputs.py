"""Input preparation: the tables a decode step needs, built on the host.

The most expensive Python of the server, and in both configurations it runs while a kernel does: it
is the function that a profiler puts first and whose optimisation would gain nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from serving.config import ServingConfig
from serving.scheduler import Sequence

BLOCK = 16
"""Tokens per block of the key-value cache."""

WINDOW = 800
"""Cache slots that are mapped for each sequence, used or not."""


@dataclass(frozen=True)
class StepInputs:
    """What is copied to the device for one step."""

    last_tokens: list[int]
    positions: list[int]
    block_tables: list[list[int]]
    slots: list[int]

    def check(self) -> None:
        """Refuse inputs whose parts do not belong together."""
        if not len(self.last_tokens) == len(self.positions) == len(self.block_tables):
            raise ValueError("the parts of a step's inputs differ in length")


def block_of(sequence_number: int, block_index: int) -> int:
    """Where a sequence's block lives in the cache."""
    return (sequence_number * 37 + block_index * 11) % 4096


class InputPreparer:
    """Builds the inputs of one step."""

    def __init__(self, config: ServingConfig) -> None:
        self._config = config
        self._slot_of: dict[int, int] = {}

    def prepare(self, batch: list[Sequence]) -> StepInputs:
        """Everything the device needs for one step of ``batch``."""
        tables = self.build_block_tables(batch)
        return StepInputs(
            last_tokens=self.last_tokens(batch),
            positions=self.positions(batch),
            block_tables=tables,
            slots=self.build_slot_mapping(tables),
        )

    def last_tokens(self, batch: list[Sequence]) -> list[int]:
        """The token each sequence continues from."""
        tokens = []
        for sequence in batch:
            tokens.append(sequence.tokens[-1] if sequence.tokens else sequence.prompt[-1])
        return tokens

    def positions(self, batch: list[Sequence]) -> list[int]:
        """The position of the next token in each sequence."""
        positions = []
        for sequence in batch:
            positions.append(sequence.length())
        return positions

    def build_block_tables(self, batch: list[Sequence]) -> list[list[int]]:
        """The cache blocks of each sequence, padded to the window."""
        tables = []
        for sequence in batch:
            table = []
            for index in range(WINDOW // BLOCK):
                table.append(block_of(sequence.number, index))
            tables.append(table)
        return tables

    def build_slot_mapping(self, tables: list[list[int]]) -> list[int]:
        """The cache slot of every position in the window: the hottest loop of the server."""
        slots = []
        seen = self._slot_of
        for table in tables:
            for position in range(WINDOW):
                block = table[position // BLOCK]
                slot = block * BLOCK + position % BLOCK
                key = slot % 2048
                if seen.get(key) != slot:
                    seen[key] = slot
                slots.append(slot)
        return slots
