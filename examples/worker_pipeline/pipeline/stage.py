"""One stage's process: take a block, work on it, hand it on.

Everything here is importable and takes its settings as arguments, so that it runs the same whether
processes are forked, spawned or come from a fork server.
"""

from __future__ import annotations

from multiprocessing.queues import Queue
from typing import Protocol

from pipeline.block import Block
from pipeline.config import StageConfig
from pipeline.decode import Decoder
from pipeline.encode import Encoder
from pipeline.transform import Transformer


class Worker(Protocol):
    """What a stage does with a block."""

    def process(self, block: Block) -> Block:
        """Work on one block."""
        ...


def make_worker(stage: str, config: StageConfig) -> Worker:
    """The worker of a stage by the stage's name."""
    workers = {"decode": Decoder, "transform": Transformer, "encode": Encoder}
    return workers[stage](config)


def run_stage(
    stage: str, config: StageConfig, inbox: Queue[Block | None], outbox: Queue[Block | None]
) -> None:
    """Work until None arrives, and hand that on too."""
    worker = make_worker(stage, config)
    while (block := inbox.get()) is not None:
        outbox.put(worker.process(block))
    outbox.put(None)


def run_source(count: int, outbox: Queue[Block | None]) -> None:
    """Number the blocks; waits whenever the first stage has enough of them."""
    for number in range(count):
        outbox.put(Block(number))
    outbox.put(None)
