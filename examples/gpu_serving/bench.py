"""A small inference server measured at full load: tokens per second of a steady decode loop.

    python bench.py --bound python     the host's work between two kernels limits throughput
    python bench.py --bound gpu        the kernels do; all Python runs in their shadow

The device is simulated (see `serving.device`); everything else is ordinary Python at work. What is
critical and what is hidden in each mode is written down in truth.json, with the reasons.
"""

from __future__ import annotations

import argparse

from serving.config import ServingConfig
from serving.engine import Engine
from serving.metrics import Throughput


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bound", choices=("python", "gpu"), default="python")
    parser.add_argument("--steps", type=int, help="decode steps to measure (default: some 60)")
    parser.add_argument("--warmup", type=int, default=5, help="decode steps before it")
    return parser.parse_args()


def main() -> None:
    """Warm up, measure, report."""
    arguments = parse_arguments()
    config = ServingConfig.for_bound(arguments.bound)
    engine = Engine(config)
    engine.start()
    for _ in range(arguments.warmup):
        engine.step()
    throughput = Throughput()
    throughput.begin()
    for _ in range(arguments.steps or config.steps):
        throughput.count(engine.step())
    throughput.end()
    engine.finish()
    print(engine.metrics.report())
    print(f"throughput: {throughput.per_second():.2f} tokens/s")


if __name__ == "__main__":
    main()
