"""The two configurations of the example; what limits throughput is decided only here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServingConfig:
    """Settings of one server.

    ``kernel_s`` is the simulated duration of one decode step on the device. ``pipelined`` says
    whether the next step is launched before the results of the last one have been looked at: then
    sampling and detokenising run in the shadow of a kernel, otherwise between two kernels.
    ``steps`` is how many of them last one or two seconds.
    """

    kernel_s: float
    pipelined: bool
    steps: int
    batch_size: int = 8
    vocabulary: int = 1400
    queue_depth: int = 2
    tokens_per_request: int = 48

    @classmethod
    def for_bound(cls, bound: str) -> ServingConfig:
        """The configuration whose throughput is limited by ``python`` or by the ``gpu``."""
        if bound == "python":
            return cls(kernel_s=0.014, pipelined=False, steps=60)
        # Long enough for the host's work to stay in its shadow also where processors are slow.
        return cls(kernel_s=0.04, pipelined=True, steps=60)
