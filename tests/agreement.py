"""Windows of one run against a process for each experiment: the same programs in both modes.

    python tests/agreement.py [--budget 120s] [--seed 0] [--program richards] [--keep DIR]

A drop is compared as time added by each second of delay (the critical fraction), since the modes
may choose doses of their own; the drops themselves are printed beside it. Exits with 1 if intervals
of one target have nothing in common, or live mode was undecided. In runs mode, where processes
cannot be compared well, undecided is an answer.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from investigation import ROOT, Investigation, investigate
from judgement import reported

TESTS = ROOT / "tests"


@dataclass(frozen=True)
class Program:
    """A program and its arguments; ``kind`` says why it is here, ``endless`` what more lets it run
    for as long as it is looked at, where it would end too soon for that."""

    script: Path
    arguments: tuple[str, ...]
    kind: str
    endless: tuple[str, ...] = ()


EXAMPLES = ROOT / "examples"
LOOP = TESTS / "programs" / "pyperformance_loop.py"
PROGRAMS = {
    "gpu_serving": Program(EXAMPLES / "gpu_serving" / "bench.py", (), "overlaps with a stream"),
    "web_service": Program(
        EXAMPLES / "web_service" / "bench.py",
        (),
        "asyncio, two processes",
        ("--requests", "10000000"),
    ),
    "worker_pipeline": Program(
        EXAMPLES / "worker_pipeline" / "bench.py", (), "four processes", ("--blocks", "10000000")
    ),
    "two_stage_threads": Program(TESTS / "cases" / "two_stage_threads.py", ("unequal",), "threads"),
    "single_threaded": Program(TESTS / "cases" / "single_threaded.py", (), "a step loop"),
    "richards": Program(LOOP, ("richards", "5"), "CPU-bound, many small functions"),
    "deltablue": Program(LOOP, ("deltablue", "40"), "CPU-bound, many small functions"),
}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="120s", help="for each mode of each program")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--program", choices=PROGRAMS, action="append")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep each run below DIR")
    return parser.parse_args()


def outcome(done: Investigation) -> str:
    """What one mode came to."""
    if done.summary is None:
        return f"failed: {done.errors.strip()[-200:]}"
    certificate, cost = done.summary["certificate"], done.summary["cost"]
    explained = (certificate or {}).get("sufficient", {}).get("explained")
    part = "" if explained is None else f", {explained:.0%} explained"
    return f"{done.summary['stop_reason']} after {cost['wall_s']:.0f} s{part}"


def shown(entry: dict[str, Any] | None) -> str:
    """Critical fraction and drop of one target."""
    if entry is None or entry["critical_fraction"] is None:
        return "not reported"
    fraction, drop = entry["critical_fraction"], entry["throughput_drop"]
    low, high = fraction["ci95"]
    return (
        f"{fraction['estimate']:.2f} [{low:.2f}, {high:.2f}] "
        f"(drop {drop['estimate']:.1%} at a dose of {entry['dose']:.0%})"
    )


def agree(entries: Sequence[dict[str, Any] | None]) -> bool | None:
    """Whether the intervals of both have something in common; None where one has none."""
    ranges = [e["critical_fraction"]["ci95"] for e in entries if e and e["critical_fraction"]]
    if len(ranges) < 2:
        return None
    return max(low for low, _ in ranges) <= min(high for _, high in ranges)


def compare(name: str, arguments: argparse.Namespace) -> bool:
    """One program in both modes; whether that is as it should be."""
    program = PROGRAMS[name]
    found = {}
    for mode, more in (("live", program.endless), ("runs", ())):
        found[mode] = investigate(
            program.script,
            (*program.arguments, *more),
            budget=arguments.budget,
            seed=arguments.seed,
            options=("--mode", mode),
            keep=arguments.keep / f"{name}-{mode}" if arguments.keep else None,
        )
    print(f"{name} ({program.kind})")
    for mode, done in found.items():
        print(f"  {mode}: {outcome(done)}")
    entries = [reported(done.summary) if done.summary else {} for done in found.values()]
    good = found["live"].exit_code == 0
    for target in sorted(entries[0].keys() | entries[1].keys()):
        both = [of_mode.get(target) for of_mode in entries]
        same = agree(both)
        good = good and same is not False
        verdict = {True: "agree", False: "APART", None: "one  "}[same]
        print(f"  {verdict} {target}: live {shown(both[0])}, runs {shown(both[1])}", flush=True)
    return good


def main() -> int:
    """Every chosen program."""
    arguments = parse_arguments()
    print(f"Python {platform.python_version()}, {arguments.budget} for each mode")
    good = [compare(name, arguments) for name in arguments.program or PROGRAMS]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
