"""How much each stage has to do: the only place that decides which of them is the bottleneck.

Each stage works on some samples of a block (CPU) and then hands over to a device of its own, which
takes a fixed time. The bottleneck has nine times the samples of the others; two equal stages have
fewer, and slower devices, so that two processes at full speed keep little more than one core busy.
"""

from __future__ import annotations

from dataclasses import dataclass

STAGES = ("decode", "transform", "encode")


@dataclass(frozen=True)
class StageConfig:
    """The work of one stage per block: samples handled, and seconds of its device."""

    samples: int
    device_s: float


LIGHT = StageConfig(samples=2_000, device_s=0.0020)
HEAVY = StageConfig(samples=30_000, device_s=0.0035)
EQUAL = StageConfig(samples=20_000, device_s=0.004)


def configure(bottleneck: str) -> dict[str, StageConfig]:
    """The stages' work when ``bottleneck`` limits throughput (``equal``: decode and encode do)."""
    if bottleneck == "equal":
        return {"decode": EQUAL, "transform": LIGHT, "encode": EQUAL}
    return {stage: HEAVY if stage == bottleneck else LIGHT for stage in STAGES}
