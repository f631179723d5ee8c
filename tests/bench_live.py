"""What windows of a running program save, against a process for each experiment, as one ratio each.

    python tests/bench_live.py [--example gpu_serving] [--startup 10] [--seed 0]

A tree of eight processes is switched a hundred times. Then a target that takes so long to start is
investigated live, and after that in whole runs for as many times as long as is claimed that live
mode is faster (20 times for a start-up of 10 s, 5 for 0.5 s), or until that is certified. Exits
with 1 where runs mode was sooner than that, or live mode undecided.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from investigation import ROOT, Investigation, investigate
from judgement import reported

from bisector.live_run import LiveRun
from bisector.point import Point
from bisector.settings import read_settings
from bisector.warden import Launch, Warden
from bisector.window import Shape
from bisector.workload import Workload
from injector.plan import Dose, Plan, Site

EIGHT = ROOT / "tests" / "programs" / "eight_processes.py"
SLOW_START = ROOT / "tests" / "programs" / "slow_start.py"
CLAIMS = {10.0: 20.0, 0.5: 5.0}
"""By seconds of start-up: how many times sooner live mode is to have a certified answer."""


@dataclass(frozen=True)
class Example:
    """An example that can run for as long as it is wanted to."""

    mode: str
    endless: tuple[str, ...]


EXAMPLES = {
    "gpu_serving": Example("python", ("--steps", "10000000")),
    "web_service": Example("concurrency 8", ("--requests", "10000000")),
}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--example", choices=EXAMPLES, action="append")
    parser.add_argument("--startup", type=float, choices=CLAIMS, action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", default="300s", help="for live mode")
    return parser.parse_args()


def found(done: Investigation) -> tuple[str, float, set[str]]:
    """How it ended, after how long, with which set."""
    assert done.summary is not None, done.errors
    cost = done.summary["cost"]["wall_s"]
    return done.summary["stop_reason"], cost, set(reported(done.summary))


def compare(name: str, startup_s: float, seed: int, budget: str) -> bool:
    """One example with one start-up; whether what is claimed holds."""
    example, folder = EXAMPLES[name], ROOT / "examples" / name
    truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))["modes"][example.mode]
    arguments = [str(startup_s), str(folder / "bench.py"), *truth["arguments"]]
    with tempfile.TemporaryDirectory() as kept:
        live = found(
            investigate(
                SLOW_START,
                [*arguments, *example.endless],
                budget=budget,
                seed=seed,
                options=("--mode", "live"),
                keep=Path(kept),
            )
        )
        claim = CLAIMS[startup_s]
        runs = found(
            investigate(
                SLOW_START,
                arguments,
                budget=f"{claim * live[1]:.0f}s",
                seed=seed,
                options=("--mode", "runs"),
                keep=Path(kept),
            )
        )
    ratio = runs[1] / live[1]
    decided = runs[0] == "certified"
    more = "" if decided else "more than "
    right = live[0] == "certified" and live[2] == set(truth["sensitive"])
    holds = right and (not decided or ratio >= claim)
    print(
        f"{name:12} start-up {startup_s:4.1f} s: live {live[0]} after {live[1]:.0f} s, "
        f"runs {runs[0]} after {runs[1]:.0f} s: {more}{ratio:.1f} times (claimed: {claim:.0f})"
        f"{'' if right else '; live found ' + (', '.join(sorted(live[2])) or 'nothing')}",
        flush=True,
    )
    return holds


def switch_eight() -> None:
    """How long it takes until every process of a tree of eight has followed a switch."""
    settings = read_settings(str(EIGHT), (), {})
    workload = Workload.of(settings)
    took_ms = []
    with tempfile.TemporaryDirectory() as folder, Warden() as warden:
        slot = Path(folder)
        (slot / "records").mkdir()
        doses = (Dose("__main__:work", line_of_work(), (Site("entry", -1, "gil", 1e5),)),)
        launch = Launch(
            workload.argv,
            workload.cwd,
            workload.environment_for(slot, 0, 0),
            slot / "stdout",
            slot / "stderr",
        )
        plan = Plan(doses=doses, progress="__main__:work", live=True)
        run = LiveRun(warden, launch, slot, plan, room=16)
        with contextlib.closing(run):
            run.point = Point("__main__:work")
            run.pass_units(2_000, 1.0, 10.0)
            processes = run.measure({}, (), Shape(10, 100, 0.1, 10.0)).processes
            for number in range(100):
                began = time.monotonic()
                run.switch({0: (1.0, 1.0, 1.0)} if number % 2 else {})
                took_ms.append((time.monotonic() - began) * 1e3)
    took_ms.sort()
    print(
        f"{processes} processes followed a switch within {took_ms[50]:.1f} ms (median), "
        f"{took_ms[95]:.1f} ms (95 of 100), {took_ms[-1]:.1f} ms (all)",
        flush=True,
    )


def line_of_work() -> int:
    """Where the function that is slowed begins."""
    lines = EIGHT.read_text(encoding="utf-8").splitlines()
    return lines.index("def work():") + 1


def main() -> int:
    """Every chosen example with every chosen start-up."""
    arguments = parse_arguments()
    print(f"Python {platform.python_version()}")
    switch_eight()
    good = [
        compare(name, startup_s, arguments.seed, arguments.budget)
        for name in arguments.example or EXAMPLES
        for startup_s in arguments.startup or CLAIMS
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
