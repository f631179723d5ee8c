"""``speedbump-bisect simulate``: what an investigation would cost, and how right it would be."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bisector.errors import UsageError

if TYPE_CHECKING:
    from bisector.simulation.study import Study

SUMMARY = """\
Tries the whole search on synthetic programs with planted functions, many times, and says how many
runs it takes, what it finds and how often it is wrong. Runs no program. For planning: give it about
as many functions as the benchmark has, and its noise.
"""

MOST_FUNCTIONS, MOST_TRIALS = 1_000_000, 1_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    from bisector.simulation.blueprints import PRIORS, SHAPES
    from bisector.simulation.noise import MODELS

    add = parser.add_argument
    add("--functions", metavar="N", default="1000", help="how many there are (default 1000)")
    add("--sensitive", metavar="K", default="3", help="how many of them matter (default 3)")
    add(
        "--noise",
        metavar="[MODEL:]CV",
        default="3%",
        help="of one run, as in 3%% or heavy:10%%; models: "
        f"{', '.join(MODELS)} (default normal:3%%)",
    )
    add("--effect", metavar="P", default="30%", help="what each adds to a run (default 30%%)")
    add("--dose", metavar="P", default="100%", help="at this dose (default 100%%)")
    add(
        "--shape",
        metavar="NAME",
        default="linear",
        help="what is planted: " + ", ".join(SHAPES) + " (default linear: they are fully critical; "
        "for the others see the documentation of bisector.simulation.blueprints)",
    )
    add(
        "--prior",
        metavar="NAME",
        default=PRIORS[0],
        help=f"own times: {' or '.join(PRIORS)} (default {PRIORS[0]}: all functions alike)",
    )
    add("--trials", metavar="N", default="200", help="how often (default 200)")
    add("--seed", metavar="N", default="0", help="of the first trial (default 0)")
    add("--strategy", metavar="NAME", default="bisect", help="the search (default bisect)")
    add("--budget", metavar="RUNS", default="2000", help="in undelayed runs (default 2000)")
    add("--threshold", metavar="P", default="5%", help="as for an investigation (default 5%%)")
    add("--min-gain", metavar="P", help="the same (default: half the gain of a planted function)")
    add("--confidence", metavar="P", default="95%", help="the same (default 95%%)")
    add("--jobs", metavar="N", default="-1", help="processes side by side (default: all cores)")
    add("--json", metavar="FILE|-", help="write the result as JSON")
    add("--no-color", action="store_true", help="no colours in the table")


def execute(options: argparse.Namespace, rest: Sequence[str] | None) -> int:
    """Simulate and tell; returns 0.

    Raises:
        UsageError: an option cannot be used.
    """
    if rest is not None:
        raise UsageError("simulate takes no command: it runs no program; leave out --")
    from bisector.commands.outlets import STANDARD_OUTPUT, check_file
    from bisector.reporting.simulation_text import render
    from bisector.simulation.study import run

    if options.json not in (None, STANDARD_OUTPUT):
        check_file("--json", options.json)
    result = run(study_of(options))
    text = json.dumps(result, indent=1) + "\n"
    if options.json == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return 0
    if options.json is not None:
        try:
            Path(options.json).write_text(text, encoding="utf-8")
        except OSError as error:
            why = f"{options.json} cannot be written: {error.strerror}"
            raise UsageError(f"--json: {why}") from None
    from rich.console import Console

    render(result, Console(no_color=options.no_color or None))
    return 0


def study_of(options: argparse.Namespace) -> Study:
    """What the options ask for.

    Raises:
        UsageError: one of them cannot be used.
    """
    from bisector.simulation.blueprints import PRIORS, SHAPES, Plan, least_functions
    from bisector.simulation.noise import MODELS
    from bisector.simulation.study import Study
    from strategies.registry import names

    model, _, cv = options.noise.rpartition(":")
    plan = Plan(
        functions=_whole("--functions", options.functions, 1, MOST_FUNCTIONS),
        sensitive=_whole("--sensitive", options.sensitive, 0, MOST_FUNCTIONS),
        effect=_fraction("--effect", options.effect, 1e-6, 1e6),
        dose=_fraction("--dose", options.dose, 1e-6, 1e3),
        shape=_one_of("--shape", options.shape, SHAPES),
        prior=_one_of("--prior", options.prior, PRIORS),
    )
    least = least_functions(plan)
    if plan.functions < least:
        raise UsageError(
            f"--functions: {plan.functions} are too few for --sensitive {plan.sensitive} and "
            f"--shape {plan.shape}; give at least {least}"
        )
    return Study(
        plan=plan,
        noise=_one_of("--noise", model or "normal", MODELS),
        cv=_fraction("--noise", cv, 1e-6, 1.0),
        trials=_whole("--trials", options.trials, 1, MOST_TRIALS),
        seed=_whole("--seed", options.seed, 0, 2**62),
        strategy=_one_of("--strategy", options.strategy, names()),
        budget=float(_whole("--budget", options.budget, 1, 10**9)),
        threshold=_fraction("--threshold", options.threshold, 1e-6, 1.0),
        min_gain=options.min_gain and _fraction("--min-gain", options.min_gain, 1e-9, 1e6),
        confidence=_fraction("--confidence", options.confidence, 0.5, 0.9999),
        jobs=_whole("--jobs", options.jobs, -1, 1024) or -1,
    )


def _whole(option: str, text: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise UsageError(f"{option}: {text!r} is not a whole number") from None
    if not least <= value <= most:
        raise UsageError(f"{option}: {value} is not between {least} and {most}")
    return value


def _fraction(option: str, text: str, least: float, most: float) -> float:
    from bisector.quantities import format_fraction, parse_fraction

    try:
        value = parse_fraction(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
    if not (math.isfinite(value) and least <= value <= most):
        between = f"{format_fraction(least)} and {format_fraction(most)}"
        raise UsageError(f"{option}: {text} is not between {between}")
    return value


def _one_of(option: str, name: str, known: Collection[str]) -> str:
    if name not in known:
        raise UsageError(f"{option}: there is no {name!r}; there are {', '.join(known)}")
    return name
