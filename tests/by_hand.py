"""Checks a result by hand: the same delays through ``inject``, with nothing of the engine.

    python tests/by_hand.py SUMMARY.json [--runs 12]

Undelayed runs and runs of each entry's ``reproduce`` command take turns; drops are means of log
ratios of neighbours, with Student's interval. Exits with 1 if an interval here and the one in the
summary have nothing in common. The benchmark must print ``throughput: NUMBER``.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

_RATE = re.compile(r"throughput: ([0-9.]+)")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("summary", type=Path)
    parser.add_argument("--runs", type=int, default=12)
    return parser.parse_args()


def throughput(command: Sequence[str]) -> float:
    """What one run prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(_RATE.findall(done.stdout)[-1])


def interval(logs: Sequence[float]) -> tuple[float, float, float]:
    """(drop, low, high) at 95 % from log ratios of slowed to undelayed throughput."""
    mean = statistics.mean(logs)
    radius = float(stats.t.ppf(0.975, len(logs) - 1)) * statistics.stdev(logs) / len(logs) ** 0.5
    return 1 - math.exp(mean), 1 - math.exp(mean + radius), 1 - math.exp(mean - radius)


def commands(summary: dict[str, Any]) -> tuple[list[str], dict[str, list[str]]]:
    """The benchmark's command, and for each entry of the sensitive set the one that slows it."""
    return summary["benchmark"]["command"], {
        entry["target"]: [sys.executable, "-m", "bisector", *shlex.split(entry["reproduce"])[1:]]
        for entry in summary["sensitive"]
    }


def drops(
    plain: Sequence[str], slowed: Mapping[str, Sequence[str]], runs: int
) -> dict[str, tuple[float, float, float]]:
    """What each command does to throughput in so many runs: (drop, low, high)."""
    throughput(plain)
    logs: dict[str, list[float]] = {target: [] for target in slowed}
    for _ in range(runs):
        for target, command in slowed.items():
            before, during, after = throughput(plain), throughput(command), throughput(plain)
            logs[target].append(math.log(during / math.sqrt(before * after)))
    return {target: interval(of_target) for target, of_target in logs.items()}


def main() -> int:
    """Compare every entry of the sensitive set."""
    arguments = parse_arguments()
    summary = json.loads(arguments.summary.read_text(encoding="utf-8"))
    found = drops(*commands(summary), arguments.runs)
    apart = 0
    for entry in summary["sensitive"]:
        drop, low, high = found[entry["target"]]
        said = entry["throughput_drop"]
        agree = low <= said["ci95"][1] and said["ci95"][0] <= high
        apart += not agree
        print(
            f"{'agree' if agree else 'APART'}  {entry['target']}: by hand {drop:.1%} "
            f"[{low:.1%}, {high:.1%}], summary {said['estimate']:.1%} "
            f"[{said['ci95'][0]:.1%}, {said['ci95'][1]:.1%}]",
            flush=True,
        )
    return 1 if apart else 0


if __name__ == "__main__":
    sys.exit(main())
