"""The table of cases through the command line: one investigation each, compared with the truth.

    python tests/table_of_cases.py [--budget 120s] [--keep DIR] [NAME...]

NAME is a program or a program with its argument (``ping_pong``, ``two_stage_threads-equal``). Exits
with 1 if anything said was wrong; undecided cases are listed and do not count as wrong.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from cases.truth import CASES, Case
from investigation import ROOT, investigate
from judgement import missing, wrong


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these cases")
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep each run below DIR")
    return parser.parse_args()


def judge(case: Case, budget: str, seed: int, keep: Path | None) -> tuple[str, str]:
    """One case's outcome and a line about it."""
    script = ROOT / "tests" / "cases" / case.program
    keep = keep / case.name if keep else None
    options = case.options
    done = investigate(script, case.args, budget=budget, seed=seed, options=options, keep=keep)
    if done.summary is None:
        return "wrong", f"exit {done.exit_code}, no summary: {done.errors.strip()[-300:]}"
    cost = done.summary["cost"]
    line = f"{cost['wall_s']:.0f} s, {cost['runs']} runs; {done.summary['headline']}"
    if complaints := wrong(done.summary, case):
        return "wrong", f"{'; '.join(complaints)} ({line})"
    if complaints := missing(done.summary, case):
        return "undecided", f"{'; '.join(complaints)} ({line})"
    return "right", line


def main() -> int:
    """Judge the chosen cases, one line each."""
    arguments = parse_arguments()
    chosen = [
        case
        for case in CASES
        if sys.version_info >= case.since
        and (
            not arguments.names
            or {case.name, case.program.removesuffix(".py")} & set(arguments.names)
        )
    ]
    if not chosen:
        print(f"no case of that name; there are {', '.join(case.name for case in CASES)}")
        return 2
    counts = {"right": 0, "undecided": 0, "wrong": 0}
    print(f"Python {platform.python_version()}, {arguments.budget} each")
    for case in chosen:
        outcome, line = judge(case, arguments.budget, arguments.seed, arguments.keep)
        counts[outcome] += 1
        print(f"{outcome:9} {case.name:28} {line}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
