"""What the search costs, simulated, and what others would need for the same answer.

    python tests/bench_search.py [--trials 2000] [--only table|shapes|noise|priors|field] [--short]

Prints the median number of runs of each cell of a table, beside what is asked of it, then how right
the answers are in every noise model, at every budget and for every shape of what is planted, then
the runs of three others on the same programs: every function by itself with a fixed number of
repetitions, bisection with a fixed number of repetitions and t-tests, and a sweep by hand. Exits
with 1 where an answer is wrong more often than it may be; a number of runs is only shown.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
from dataclasses import dataclass, replace

from joblib import Parallel, delayed
from scipy.stats import t as student

from bisector.simulation.blueprints import SHAPES, Plan, blueprint
from bisector.simulation.noise import MODELS, noise
from bisector.simulation.program import SyntheticProgram
from bisector.simulation.study import Study, run

FAMILY_WISE, COVERAGE, EXCEEDED = 0.05, 0.94, 0.05


@dataclass(frozen=True)
class Cell:
    """Functions, planted ones, noise; at most so many runs, at least so much recall."""

    functions: int
    sensitive: int
    cv: float
    runs: int
    recall: float


TABLE = (
    Cell(1_000, 0, 0.03, 10, 0.99),
    Cell(1_000, 1, 0.03, 32, 0.99),
    Cell(1_000, 3, 0.03, 60, 0.99),
    Cell(1_000, 3, 0.10, 180, 0.98),
    Cell(10_000, 3, 0.03, 75, 0.99),
    Cell(10_000, 10, 0.03, 200, 0.99),
    Cell(100_000, 3, 0.03, 95, 0.99),
)
BUDGETS = (20.0, 50.0, 100.0, 300.0)


class Report:
    """Prints lines and remembers whether an answer was wrong too often."""

    def __init__(self) -> None:
        self.bad = 0

    def line(self, name: str, study: Study, asked: Cell | None = None) -> None:
        """Make a study and print what came of it."""
        said = run(study)
        trials, runs = said["trials"], said["runs"]
        allowed = FAMILY_WISE + 2.0 * math.sqrt(FAMILY_WISE / trials)
        wrong = said["family_wise_error"] > allowed
        wrong |= said["bounds_exceeded"] > EXCEEDED + 2.0 * math.sqrt(EXCEEDED / trials)
        if said["coverage"] is not None:
            wrong |= said["coverage"] < COVERAGE - 2.0 * math.sqrt(0.06 / trials)
        self.bad += wrong
        recall = said["recall"]
        if recall is None:  # nothing is there to be found
            recall = said["verdicts"].get("insensitive", 0) / trials
        beside = f" (asked {asked.runs}, recall {asked.recall:.2f})" if asked else ""
        cover = "-" if said["coverage"] is None else f"{said['coverage']:.3f}"
        named = f" named {said['co_critical_named']:.2f}" if said["co_critical_named"] else ""
        decision = said["decision_ms"]
        print(
            f"{name:44} runs {runs['median']:5.0f} p90 {runs['p90']:5.0f}{beside} "
            f"recall {recall:.3f} fwe {said['family_wise_error']:.3f} coverage {cover} "
            f"bounds exceeded {said['bounds_exceeded']:.3f} certified {said['certified']:.2f}"
            f"{named} all {runs['with_sweep_and_complete']['median']:.0f} "
            f"cost {said['cost_baseline_units']['median']:.0f} "
            f"decision {decision['median']:.1f} ms (mean {decision['mean']:.0f}) "
            f"{said['memory_mb']:.0f} MB, {trials} trials{' WRONG' if wrong else ''}",
            flush=True,
        )


def table(report: Report, trials: int, largest: int) -> None:
    """The cells; a fifth of the trials where there are most functions."""
    for cell in TABLE:
        if cell.functions <= largest:
            plan = Plan(cell.functions, cell.sensitive)
            few = trials if cell.functions < TABLE[-1].functions else max(4, trials // 5)
            name = f"{cell.functions} functions, {cell.sensitive} sensitive, {cell.cv:.0%}"
            report.line(name, Study(plan, cv=cell.cv, trials=few), cell)


def priors(report: Report, trials: int) -> None:
    """The same with own times as real programs have them."""
    for cell in TABLE[:4]:
        plan = Plan(cell.functions, cell.sensitive, prior="realistic")
        name = f"realistic: {cell.functions}, {cell.sensitive}, {cell.cv:.0%}"
        report.line(name, Study(plan, cv=cell.cv, trials=trials))


def shapes(report: Report, trials: int) -> None:
    """Everything else that can be planted, beside one fully critical function, and alone."""
    for shape in SHAPES:
        for beside in (0, 1):
            if (shape, beside) in {("sublinear", 0), ("hot-sibling", 0), ("linear", 0)}:
                continue
            plan = Plan(1000, beside, shape=shape)
            report.line(f"{shape} beside {beside}", Study(plan, trials=trials))


def every_noise(report: Report, trials: int) -> None:
    """Noise models, sizes and budgets: is what is reported right?"""
    for model, cv in itertools.product(MODELS, (0.01, 0.03, 0.10, 0.15)):
        study = Study(Plan(200, 2), noise=model, cv=cv, trials=trials, budget=1000.0)
        report.line(f"{model} {cv:.0%}", study)
        report.line(f"{model} {cv:.0%}, nothing", replace(study, plan=Plan(200, 0)))
    for model, budget in itertools.product(("normal", "heavy", "drift"), BUDGETS):
        study = Study(Plan(200, 2), noise=model, cv=0.05, trials=trials, budget=budget)
        report.line(f"{model} 5%, budget {budget:.0f}", study)


# -- the field ------------------------------------------------------------------------------------


class Bench:
    """A synthetic program for who repeats runs and compares them with a t-test."""

    def __init__(self, plan: Plan, cv: float, seed: int) -> None:
        self._noise = noise("normal", cv, seed + 1_000_003)
        self.program = SyntheticProgram(blueprint(plan, seed), self._noise)
        self.runs = 0

    def times(self, targets: frozenset[str], repetitions: int) -> list[float]:
        """So many runs with these slowed."""
        self.runs += repetitions
        t = self.program.time_per_unit(targets, 1.0)
        return [t * math.exp(next(self._noise)) for _ in range(repetitions)]

    def matters(self, targets: frozenset[str], repetitions: int, alpha: float) -> bool:
        """Welch's t-test against undelayed runs made beside."""
        slowed, control = self.times(targets, repetitions), self.times(frozenset(), repetitions)
        spread = statistics.variance(slowed) + statistics.variance(control)
        if spread == 0.0:
            return False
        score = (statistics.mean(slowed) - statistics.mean(control)) / math.sqrt(
            spread / repetitions
        )
        return bool(score > student.isf(alpha, 2 * repetitions - 2))


def careful(plan: Plan, cv: float, seed: int, repetitions: int, alpha: float) -> tuple[int, bool]:
    """Bisection with a fixed number of repetitions, as one would script it: (runs, right)."""
    bench = Bench(plan, cv, seed)
    names = bench.program.blueprint.names
    found: set[frozenset[str]] = set()
    waiting = [names]
    while waiting:
        part = waiting.pop()
        if not bench.matters(frozenset(part), repetitions, alpha):
            continue
        if len(part) == 1:
            found.add(frozenset(part))
        else:
            waiting += [part[: len(part) // 2], part[len(part) // 2 :]]
    return bench.runs, found == set(bench.program.blueprint.truth)


def one_by_one(plan: Plan, cv: float, seed: int, repetitions: int) -> tuple[int, bool]:
    """Each function by itself against shared undelayed runs, Bonferroni: (runs, right)."""
    bench = Bench(plan, cv, seed)
    names = bench.program.blueprint.names
    control = bench.times(frozenset(), 10 * repetitions)
    found = set()
    for name in names:
        slowed = bench.times(frozenset((name,)), repetitions)
        spread = math.sqrt(statistics.variance(control) * (1 / repetitions + 1 / len(control)))
        score = (statistics.mean(slowed) - statistics.mean(control)) / spread
        if score > student.isf(0.05 / len(names), len(control) - 1):
            found.add(frozenset((name,)))
    return bench.runs, found == set(bench.program.blueprint.truth)


def by_hand(plan: Plan, cv: float, seed: int) -> tuple[int, bool]:
    """A sweep by hand: packages, then modules of those that show, then functions; five runs each,
    judged by whether they are plainly slower than one undelayed run: (runs, right)."""
    bench = Bench(plan, cv, seed)
    names = bench.program.blueprint.names

    def shows(targets: list[str]) -> bool:
        base = bench.times(frozenset(), 1)[0]
        curve = [bench.times(frozenset(targets), 1)[0] for _ in range(5)]
        return statistics.median(curve) > base * (1.0 + 3.0 * cv)

    level = list(names)
    for depth in ("package", "module", "function"):
        groups: dict[str, list[str]] = {}
        for name in level:
            module, _, _ = name.partition(":")
            key = {"package": module.partition(".")[0], "module": module, "function": name}[depth]
            groups.setdefault(key, []).append(name)
        level = [name for group in groups.values() if shows(group) for name in group]
    return bench.runs, {frozenset((n,)) for n in level} == set(bench.program.blueprint.truth)


def field(trials: int) -> None:
    """The others on the cell of 1,000 functions, 3 sensitive, 3 %."""
    plan, cv = Plan(1000, 3), 0.03
    ours = run(Study(plan, cv=cv, trials=trials))
    runs = ours["runs"]["with_sweep_and_complete"]["median"]
    print(f"this search: {runs:.0f} runs, all that it makes; recall {ours['recall']:.2f}")
    others = {
        "bisection with t-tests, 3 repetitions": (careful, (3, 0.001)),
        "bisection with t-tests, 5 repetitions": (careful, (5, 0.001)),
        "exhaustive, 5 repetitions": (one_by_one, (5,)),
        "sweep by hand": (by_hand, ()),
    }
    for name, (way, options) in others.items():
        made = Parallel(n_jobs=-1)(
            delayed(way)(plan, cv, seed, *options) for seed in range(max(20, trials // 10))
        )
        needed = statistics.median(count for count, _ in made)
        right = sum(1 for _, is_right in made if is_right) / len(made)
        print(
            f"{name}: {needed:.0f} runs, {needed / runs:.1f} times as many, all right {right:.2f}"
        )


def main() -> int:
    """The parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--only", choices=["table", "shapes", "noise", "priors", "field"])
    parser.add_argument("--short", action="store_true", help="few trials, no large programs")
    options = parser.parse_args()
    trials, largest = (40, 1000) if options.short else (options.trials, 100_000)
    report = Report()
    if options.only in (None, "table"):
        table(report, trials, largest)
    if options.only in (None, "priors"):
        priors(report, max(20, trials // 10))
    if options.only in (None, "shapes"):
        shapes(report, max(20, trials // 10))
    if options.only in (None, "noise"):
        every_noise(report, max(20, trials // 20))
    if options.only in (None, "field"):
        field(max(20, trials // 10))
    return 1 if report.bad else 0


if __name__ == "__main__":
    sys.exit(main())
