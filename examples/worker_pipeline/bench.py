"""Three stages in three processes, joined by bounded queues: blocks per second at the far end.

    python bench.py --bottleneck decode | transform | encode    one stage limits throughput
    python bench.py --bottleneck equal                          decode and encode do, equally

What is true in each mode is written down in truth.json.
"""

from __future__ import annotations

import argparse
import multiprocessing
import threading
import time

from pipeline.config import STAGES, configure
from pipeline.stage import run_source, run_stage

DEPTH = 4
"""Blocks that fit between two stages."""

FIRST = 20
"""Blocks before the measured window: until then the queues fill."""


def parse_arguments() -> argparse.Namespace:
    """The command line; the defaults give a run of under a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bottleneck", choices=(*STAGES, "equal"), default="decode")
    parser.add_argument("--blocks", type=int, default=150)
    parser.add_argument("--start-method", choices=multiprocessing.get_all_start_methods())
    return parser.parse_args()


def main() -> None:
    """Start the stages, feed them, and time what comes out."""
    arguments = parse_arguments()
    context = multiprocessing.get_context(arguments.start_method)
    queues = [context.Queue(maxsize=DEPTH) for _ in range(len(STAGES) + 1)]
    stages = []
    for place, (name, config) in enumerate(configure(arguments.bottleneck).items()):
        ends = (queues[place], queues[place + 1])
        stages.append(context.Process(target=run_stage, name=name, args=(name, config, *ends)))
    for stage in stages:
        stage.start()
    threading.Thread(target=run_source, args=(arguments.blocks, queues[0])).start()

    begin = 0.0
    done = 0
    while queues[-1].get() is not None:
        done += 1
        end = time.monotonic()
        if done == FIRST:
            begin = end
    for stage in stages:
        stage.join()
    print(f"throughput: {(done - FIRST) / (end - begin):.2f} items/s")


if __name__ == "__main__":
    main()
