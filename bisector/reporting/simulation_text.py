"""What `simulate` tells people: a table of what came of the trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

MEANING = {
    "calibration": "calibration",
    "search": "search",
    "necessary": "certificate, necessary",
    "sufficient": "certificate, sufficient",
    "sweep": "sweep (beside)",
    "complete": "certificate, complete (beside)",
}


def render(result: Mapping[str, Any], console: Console) -> None:
    """Print the result of a study (`bisector.simulation.study.document`)."""
    asked, runs = result["settings"], result["runs"]
    plan = asked["plan"]
    console.print(
        f"[bold]{result['trials']} trials[/]: {plan['functions']} functions, {plan['sensitive']} "
        f"planted ({plan['shape']}), each {plan['effect']:.0%} at dose {plan['dose']:.0%}, "
        f"{asked['noise']} noise {asked['cv']:.1%}, strategy {asked['strategy']}",
        highlight=False,
    )
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("certified", result["certified"]),
        ("recall (planted sets found exactly)", result["recall"]),
        ("precision (reported sets that are right)", result["precision"]),
        ("family-wise error (trials that report code that does not matter)",
         result["family_wise_error"]),
        ("coverage of 95% intervals of reported gains", result["coverage"]),
        ("trials in which an upper bound is exceeded", result["bounds_exceeded"]),
    ):  # fmt: skip
        table.add_row(name, "–" if value is None else f"{value:.1%}")
    table.add_row("runs, median (90% need at most)", _pair(runs))
    for purpose, meaning in MEANING.items():
        if purpose in runs["by_purpose"]:
            table.add_row(f"  {meaning}, median", f"{runs['by_purpose'][purpose]:.0f}")
    table.add_row("cost in undelayed runs, all together", _pair(result["cost_baseline_units"]))
    decision = result["decision_ms"]
    table.add_row("time per decision", f"{decision['median']:.1f} ms ({decision['p90']:.1f})")
    table.add_row("memory", f"{result['memory_mb']:.0f} MB")
    console.print(table, highlight=False)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in result["verdicts"].items())
    console.print(f"verdicts: {verdicts}", highlight=False)


def _pair(quantiles: Mapping[str, float]) -> str:
    return f"{quantiles['median']:.0f} ({quantiles['p90']:.0f})"
