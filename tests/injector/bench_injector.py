"""What the injector costs, and how exact its delays and own times are: every figure in one run.

    python tests/injector/bench_injector.py [--rounds 5]

Programs run bare and attached in turn, and the fastest of each are compared: what disturbs a run
only slows it. SPEEDBUMP_TEST_PYTHON names another interpreter for them. Exits with 1 where a figure
is not what it is to be.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from attached_runs import PYTHON, Run, run_attached, version

from bisector.calibration import Calibration, calibrate
from bisector.digest import digest
from bisector.settings import read_settings
from bisector.workload import Workload
from injector.plan import Dose, Plan, Site

PROGRAMS = Path(__file__).parents[1] / "programs"
DENSE, SHARES = PROGRAMS / "dense_calls.py", PROGRAMS / "known_shares.py"
RICHARDS, RICHARDS_ROUNDS = PROGRAMS / "pyperformance_loop.py", 20

OTHERS = 10_000
"""Functions beside the one that is called."""

MOST_ERROR = {1e3: 0.05, 1e4: 0.01, 1e5: 0.003, 1e6: 0.003}
"""By requested delay, in ns: most median error of the delivered one, as a share."""

CLOCK_AGREES, SHARES_AGREE = 0.02, 0.1
"""How far counted nanoseconds may be from those of an outside clock, and own-time shares from the
truth, relative to these."""

MOST_SLOWED = 1.7
"""Times as long as without us that a program of dense calls may take while it is discovered."""

PER_ROUND = 200_000_000
"""ns of delays in a round of calls."""


class Bench:
    """Runs programs bare and attached; ``is_good``: all figures so far are as they are to be."""

    def __init__(self, folder: Path, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.is_good = True
        settings = read_settings(str(DENSE), (), {"python": PYTHON})
        self.calibration: Calibration = calibrate(Workload.of(settings))

    def bare(self, *argv: object) -> str:
        """Standard output of a program without us."""
        command = [PYTHON, *map(str, argv)]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout

    def attached(self, plan: Plan, *argv: object) -> Run:
        """A program with us."""
        run = run_attached(self.folder, list(map(str, argv)), plan)
        assert run.returncode == 0, run.stderr
        assert run.records, "nothing attached"
        assert not run.main.errors, run.main.errors
        return run

    def say(self, what: str, measured: str, asked: str, holds: bool) -> None:
        """One figure."""
        self.is_good = self.is_good and holds
        print(f"{'' if holds else 'NOT':3} {what}: {measured} ({asked})", flush=True)

    # -- the figures ------------------------------------------------------------------------------

    def calls(self) -> None:
        """What a call costs that is delayed by nothing, and one beside others that are."""
        line = DENSE.read_text(encoding="utf-8").splitlines().index("def leaf() -> None:") + 1
        nothing = Dose("__main__:leaf", line, (Site("entry", -1, "gil", 0.0),))
        plans = {
            "bare": None,
            "compiled": Plan(doses=(nothing,)),
            "twin": Plan(doses=(nothing,), compiled=False),
            "others": Plan(rules=("__main__:other_*",), delay_ns=1.0),
        }
        least = dict.fromkeys(plans, float("inf"))
        for _ in range(self.rounds):
            for name, plan in plans.items():
                argv = (DENSE, "cost", OTHERS)
                out = self.bare(*argv) if plan is None else self.attached(plan, *argv).stdout
                least[name] = min(least[name], float(out))
        bare, compiled, twin = (least[name] for name in ("bare", "compiled", "twin"))
        is_new = version() >= (3, 12)
        most = 60.0 if is_new else 80.0
        added, by_twin = compiled - bare, twin - bare
        if self.calibration.compiled:
            self.say(
                f"a matched call at delay 0, above one of {bare:.1f} ns",
                f"{added:.1f} ns",
                f"at most {most:.0f}",
                added <= most,
            )
            self.say(
                f"the same callback in Python: {by_twin:.0f} ns",
                f"{by_twin / added:.1f} times as much",
                "at least 6",
                by_twin >= 6.0 * added,
            )
        unmatched = least["others"] / bare - 1.0
        self.say(
            f"an unmatched call, {OTHERS} other functions targeted",
            f"{unmatched:+.1%}",
            "at most 2%" if is_new else "3.12 and later only",
            unmatched <= 0.02 or not is_new,
        )

    def delays(self) -> None:
        """Delivered delays against requested ones, by a clock of the program's own."""
        clock_ns = counted_ns = 0.0
        for requested_ns, most in MOST_ERROR.items():
            calls = max(int(PER_ROUND / requested_ns / 10), 20)
            plan = Plan(
                rules=("__main__:leaf",),
                delay_ns=requested_ns,
                event_ns=self.calibration.event_ns,
                compiled=self.calibration.compiled,
            )
            run = self.attached(plan, DENSE, "delays", calls, 10 * self.rounds)
            took: Sequence[float] = json.loads(run.stdout)
            error = median(abs(each / requested_ns - 1.0) for each in took)
            self.say(
                f"a delay of {requested_ns / 1e3:g} us, callback included",
                f"median error {error:.2%}",
                f"at most {most:.1%}",
                error <= most,
            )
            clock_ns += median(took) * calls * len(took)
            entry = run.one("target", "__main__:leaf")
            counted_ns += entry["delayed_ns"] * calls * len(took) / entry["calls"]
        apart = counted_ns / clock_ns - 1.0
        self.say(
            "counted nanoseconds against that clock",
            f"{apart:+.2%}",
            f"at most {CLOCK_AGREES:.0%} apart",
            abs(apart) <= CLOCK_AGREES,
        )

    def discovery(self) -> None:
        """What discovery costs where calls are densest, beside the interpreter's own profiler."""
        watched = Plan(mode="discover", compiled=self.calibration.compiled)
        argv = (RICHARDS, "richards", RICHARDS_ROUNDS)
        most = {"bare": 0.0, "discovered": 0.0, "cProfile": 0.0}
        for _ in range(self.rounds):
            profile = ("-m", "cProfile", "-o", self.folder / "profile", *argv)
            outs = self.bare(*argv), self.attached(watched, *argv).stdout, self.bare(*profile)
            for name, out in zip(most, outs, strict=True):
                most[name] = max(most[name], float(out.split()[1]))
        slowed, profiled = (most["bare"] / most[name] for name in ("discovered", "cProfile"))
        self.say(
            f"discovery of richards, where cProfile takes {profiled:.2f} times as long",
            f"{slowed:.2f} times as long",
            f"at most {MOST_SLOWED}",
            slowed <= MOST_SLOWED,
        )

    def shares(self) -> None:
        """Own times against the truth, as shares."""
        run = self.attached(Plan(mode="discover", compiled=self.calibration.compiled), SHARES)
        truth: dict[str, float] = json.loads(run.stdout)
        found = digest(
            run.records,
            time_per_unit_s=1.0,
            window=None,
            whole_run_is_unit=True,
            overheads=self.calibration.discover_ns,
        )
        own_s = {function.target: function.gil_s + function.nogil_s for function in found.functions}
        of_truth = {name: own_s[f"__main__:{name}"] for name in truth}
        total_s = sum(of_truth.values())
        apart = {name: of_truth[name] / total_s / share - 1.0 for name, share in truth.items()}
        worst = max(apart, key=lambda name: abs(apart[name]))
        self.say(
            f"own-time shares of {len(truth)} functions, the worst {worst}",
            f"{apart[worst]:+.1%}",
            f"at most {SHARES_AGREE:.0%} apart",
            abs(apart[worst]) <= SHARES_AGREE,
        )


def main() -> int:
    """All figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), rounds)
        known = bench.calibration
        print(f"Python {known.python}, {known.backend}: {known.reason}")
        for figure in (bench.calls, bench.delays, bench.discovery, bench.shares):
            figure()
    return 0 if bench.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
