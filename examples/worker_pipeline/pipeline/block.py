"""What travels between the stages: small, so that the queues cost next to nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Block:
    """One block of samples, known by its number; ``level`` is what the last stage made of it."""

    number: int
    level: int = 0
    stages: tuple[str, ...] = ()

    def after(self, stage: str, level: int) -> Block:
        """The block as a stage hands it on."""
        return Block(self.number, level, (*self.stages, stage))
