"""Repeatability: an example investigated with many seeds in each of its modes.

    python tests/accuracy.py [--seeds 20] [--budget 120s] [--example gpu_serving] [--mode MODE]
        [--keep DIR]

Prints what each seed found, and exits with 1 unless at least 19 of 20 found exactly the truth and
none reported a function that is hidden.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

from investigation import ROOT, Investigation, investigate
from judgement import reported

EXAMPLES = ROOT / "examples"
ENDLESS = {
    "web_service": ("--requests", "10000000"),
    "worker_pipeline": ("--blocks", "10000000"),
}
"""What lets an example run for as long as it is looked at, where it would end too soon for that."""

NEEDED = 0.95
"""Share of the seeds that have to find exactly the truth."""


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--example", default="gpu_serving", metavar="NAME")
    parser.add_argument("--mode", help="only this mode, as its truth.json names it")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep each run below DIR")
    return parser.parse_args()


def outcome(done: Investigation, truth: dict[str, Any]) -> tuple[str, str]:
    """What one seed's investigation amounts to, and what it found."""
    if done.summary is None:
        return "failed", done.errors.strip().replace("\n", " ")[-200:]
    found = set(reported(done.summary))
    names = ", ".join(sorted(name.partition(":")[2] for name in found)) or "-"
    if found - set(truth["sensitive"]):
        return "hidden reported", names
    if done.summary["verdict"] != truth["verdict"] or found != set(truth["sensitive"]):
        return done.summary["verdict"], names
    together = set(truth.get("co_critical", ()))
    apart = [
        e
        for e in done.summary["sensitive"]
        if together - set(e["co_critical_with"]) - {e["target"]}
    ]
    return ("not co-critical" if apart else "exact"), names


def measure(mode: str, truth: dict[str, Any], arguments: argparse.Namespace) -> bool:
    """All seeds of one mode; whether the mode is good enough."""
    counts: dict[str, int] = {}
    example, seeds, keep = arguments.example, arguments.seeds, arguments.keep
    print(f"{mode}: truth {truth['verdict']}, {len(truth['sensitive'])} functions")
    for seed in range(seeds):
        done = investigate(
            EXAMPLES / example / "bench.py",
            (*truth["arguments"], *ENDLESS.get(example, ())),
            budget=arguments.budget,
            seed=seed,
            keep=keep / f"{mode.replace(' ', '-')}-{seed}" if keep else None,
        )
        result, names = outcome(done, truth)
        counts[result] = counts.get(result, 0) + 1
        cost = done.summary["cost"] if done.summary else {"wall_s": 0.0, "runs": 0}
        print(
            f"  seed {seed:2}  {result:16} exit {done.exit_code}  {cost['wall_s']:5.1f} s "
            f"{cost['runs']:4} runs  {names}",
            flush=True,
        )
    tally = ", ".join(f"{count} {result}" for result, count in sorted(counts.items()))
    print(f"{mode}: {tally}; exact in {counts.get('exact', 0)} of {seeds}")
    return counts.get("exact", 0) >= NEEDED * seeds and not counts.get("hidden reported")


def main() -> int:
    """The modes of the example, one table each."""
    arguments = parse_arguments()
    path = EXAMPLES / arguments.example / "truth.json"
    truths = json.loads(path.read_text(encoding="utf-8"))["modes"]
    print(f"{arguments.example}, Python {platform.python_version()}, {arguments.budget} each")
    good = [
        measure(mode, truth, arguments)
        for mode, truth in truths.items()
        if arguments.mode in (None, mode)
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
