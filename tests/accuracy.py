"""How often the answer is right: an example with many seeds, and generated programs once each.

    python tests/accuracy.py [--budget 120s] [--keep DIR]
        [--seeds 20] [--example gpu_serving] [--mode MODE]
        [--generated [NAME...]] [--layout 0]

Prints what each investigation found. Of an example at least 19 of 20 seeds have to find exactly the
truth, and none may report a function that is hidden; of the generated programs, whose truth was
planted, none may be answered wrongly. Exits with 1 otherwise. What was undecided is counted by
itself. With ``--example`` or ``--mode`` only the example is investigated, with ``--generated`` only
the generated programs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from generated.program import Program, write
from generated.recipes import RECIPES, Recipe
from investigation import ROOT, Investigation, investigate
from judgement import and_nothing_else, missing, reported, wrong

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
    parser.add_argument("--example", metavar="NAME", help="only this one (default: gpu_serving)")
    parser.add_argument("--mode", help="only this mode, as its truth.json names it")
    parser.add_argument(
        "--generated",
        metavar="NAME",
        nargs="*",
        choices=[r.name for r in RECIPES],
        help="only these",
    )
    parser.add_argument("--layout", type=int, default=0, help="seed of the generated programs")
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


def measure(example: str, mode: str, truth: dict[str, Any], arguments: argparse.Namespace) -> bool:
    """All seeds of one mode; whether the mode is good enough."""
    counts: dict[str, int] = {}
    seeds, keep = arguments.seeds, arguments.keep
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


def example_is_answered(arguments: argparse.Namespace) -> bool:
    """The modes of the example, one table each; whether all are good enough."""
    example = arguments.example or "gpu_serving"
    path = EXAMPLES / example / "truth.json"
    truths = json.loads(path.read_text(encoding="utf-8"))["modes"]
    print(f"{example}, Python {platform.python_version()}, {arguments.budget} each")
    good = [
        measure(example, mode, truth, arguments)
        for mode, truth in truths.items()
        if arguments.mode in (None, mode)
    ]
    return all(good)


def judge(program: Program, done: Investigation) -> tuple[str, list[str]]:
    """Whether the answer about a program is right, wrong or undecided, and why it is not right."""
    if done.summary is None:
        return "failed", [f"no summary: {done.errors.strip()[-300:]}"]
    case = and_nothing_else(program.case, done.summary)
    if complaints := wrong(done.summary, case):
        return "wrong", complaints
    if complaints := missing(done.summary, case):
        undecided = done.summary["verdict"] == "inconclusive"
        return ("undecided" if undecided else "wrong"), complaints
    return "right", []


def generated_are_answered(recipes: Sequence[Recipe], arguments: argparse.Namespace) -> bool:
    """Each generated program once, and how much of what was planted was found."""
    results: Counter[str] = Counter()
    planted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    false = 0
    print(f"generated programs, Python {platform.python_version()}, {arguments.budget} each")
    for recipe in recipes:
        with contextlib.ExitStack() as stack:
            keep = arguments.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folder = keep / recipe.name
            shutil.rmtree(folder / "program", ignore_errors=True)
            program = write(replace(recipe, seed=arguments.layout), folder / "program")
            case, seed = program.case, arguments.layout
            done = investigate(
                program.script, case.args, budget=arguments.budget, seed=seed, keep=folder
            )
        result, complaints = judge(program, done)
        summary = done.summary or {
            "verdict": "-",
            "sensitive": [],
            "cost": {"wall_s": 0, "runs": 0},
        }
        names, truth = set(reported(summary)), case.must_be_sensitive
        results[result] += 1
        planted[result] += len(truth)
        found[result] += len(names & truth)
        false += len(names - truth)
        print(
            f"  {result:9} {recipe.name:21} {summary['verdict']:12} exit {done.exit_code}  "
            f"{summary['cost']['wall_s']:5.1f} s {summary['cost']['runs']:4} runs  "
            f"{len(names & truth)} of {len(truth)}: {', '.join(sorted(names)) or '-'}",
            *complaints,
            sep="\n            ",
            flush=True,
        )
    for result, count in sorted(results.items()):
        print(f"{count} {result}: {found[result]} of {planted[result]} planted functions found")
    recall = found.total() / max(1, planted.total())
    print(f"recall {recall:.0%} of {planted.total()}, {false} false positives")
    return not results["wrong"] and not results["failed"]


def main() -> int:
    """What was chosen."""
    arguments = parse_arguments()
    good = []
    if arguments.generated is None:
        good.append(example_is_answered(arguments))
    if arguments.example is None and arguments.mode is None:
        chosen = arguments.generated or [recipe.name for recipe in RECIPES]
        recipes = [recipe for recipe in RECIPES if recipe.name in chosen]
        good.append(generated_are_answered(recipes, arguments))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
