"""Windows of one run against a process for each experiment: the same programs in both modes.

    python tests/agreement.py [--budget 120s] [--seed 0] [--runs 8] [--program NAME] [--keep DIR]

What live mode found is slowed by the same delays in whole runs through ``inject``, with undelayed
runs in between, and the drops are compared. Exits with 1 if intervals of one target have nothing in
common, or live mode was undecided. What an investigation in runs mode makes of the program in the
same time is printed beside it; where processes cannot be compared well, it may be undecided.
"""

from __future__ import annotations

import argparse
import contextlib
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy import ENDLESS, EXAMPLES
from by_hand import commands, drops
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

    def finite(self, command: Sequence[str]) -> Sequence[str]:
        """A command without that."""
        return command[: len(command) - len(self.endless)]


LOOP = TESTS / "programs" / "pyperformance_loop.py"
PROGRAMS = {
    "gpu_serving": Program(EXAMPLES / "gpu_serving" / "bench.py", (), "overlaps with a stream"),
    "web_service": Program(
        EXAMPLES / "web_service" / "bench.py", (), "asyncio, two processes", ENDLESS["web_service"]
    ),
    "worker_pipeline": Program(
        EXAMPLES / "worker_pipeline" / "bench.py", (), "four processes", ENDLESS["worker_pipeline"]
    ),
    "two_stage_threads": Program(TESTS / "cases" / "two_stage_threads.py", ("unequal",), "threads"),
    "single_threaded": Program(TESTS / "cases" / "single_threaded.py", (), "a step loop"),
    "richards": Program(LOOP, ("richards", "20"), "CPU-bound, many small functions", ("10000",)),
    "deltablue": Program(LOOP, ("deltablue", "160"), "CPU-bound, many small functions", ("10000",)),
}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="120s", help="for each mode of each program")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=int, default=8, help="with and without delays, by hand")
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


def shown(drop: float, low: float, high: float) -> str:
    """A drop of throughput with its interval."""
    return f"{drop:.1%} [{low:.1%}, {high:.1%}]"


def in_runs(entry: dict[str, Any] | None) -> str:
    """What runs mode said of a target of live mode."""
    if entry is None or entry["critical_fraction"] is None:
        return "not reported by runs mode"
    fraction = entry["critical_fraction"]
    low, high = fraction["ci95"]
    return f"critical fraction in runs mode {fraction['estimate']:.2f} [{low:.2f}, {high:.2f}]"


def compare(name: str, arguments: argparse.Namespace, keep: Path) -> bool:
    """One program in both modes; whether that is as it should be."""
    program = PROGRAMS[name]
    live, runs = (
        investigate(
            program.script,
            (*program.arguments, *more),
            budget=arguments.budget,
            seed=arguments.seed,
            options=("--mode", mode),
            keep=keep / f"{name}-{mode}",
        )
        for mode, more in (("live", program.endless), ("runs", ()))
    )
    print(f"{name} ({program.kind})\n  live: {outcome(live)}\n  runs: {outcome(runs)}")
    if live.summary is None:
        return False
    plain, slowed = commands(live.summary)
    drops_by_hand = drops(
        program.finite(plain),
        {target: program.finite(command) for target, command in slowed.items()},
        arguments.runs,
    )
    good = live.exit_code == 0
    others = reported(runs.summary) if runs.summary else {}
    for entry in live.summary["sensitive"]:
        drop, fraction = entry["throughput_drop"], entry["critical_fraction"]
        if drop is None or fraction is None:
            continue
        by_hand = drops_by_hand[entry["target"]]
        same = by_hand[1] <= drop["ci95"][1] and drop["ci95"][0] <= by_hand[2]
        good = good and same
        print(
            f"  {'agree' if same else 'APART'} {entry['target']}: "
            f"live {shown(drop['estimate'], *drop['ci95'])}, in runs {shown(*by_hand)}; "
            f"critical fraction {fraction['estimate']:.2f} "
            f"[{fraction['ci95'][0]:.2f}, {fraction['ci95'][1]:.2f}], "
            f"{in_runs(others.get(entry['target']))}",
            flush=True,
        )
    return good


def main() -> int:
    """Every chosen program."""
    arguments = parse_arguments()
    print(f"Python {platform.python_version()}, {arguments.budget} for each mode")
    with contextlib.ExitStack() as stack:
        keep = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        good = [compare(name, arguments, keep) for name in arguments.program or PROGRAMS]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
