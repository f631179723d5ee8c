"""What ``--dry-run`` tells people."""

from __future__ import annotations

import shlex

from rich.console import Console

from bisector.outlook import MOST_RUNS, Outlook
from bisector.wording import counted


def render(outlook: Outlook, console: Console) -> None:
    """Print an outlook."""
    console.print(
        f"{counted(outlook.functions, 'function')} ran. Slowing all of them shows that they are "
        f"worth {outlook.estimated_gain:.0%} of the time per unit; runs vary by "
        f"{outlook.cv:.1%} that nothing explains. That took {outlook.spent_s:.0f} s.",
        highlight=False,
    )
    console.print("\nA certain answer will take about", highlight=False)
    for scenario in outlook.scenarios:
        if scenario.entries == 1:
            who = "one function that carries all of it"
        else:
            who = f"{scenario.entries} functions that matter alike"
        if scenario.runs is None or scenario.seconds is None:
            cost = f"more than {MOST_RUNS} runs: longer runs or a quieter machine would help"
        else:
            cost = (
                f"{scenario.runs:.0f} more runs (9 of 10 times at most {scenario.runs_p90:.0f}), "
                f"{_duration(scenario.seconds)}"
            )
        console.print(f"  for {who}: {cost}", highlight=False)
    console.print(
        f"\nGo on with\n  speedbump-bisect resume {shlex.quote(outlook.run_directory)}",
        highlight=False,
        soft_wrap=True,
    )


def _duration(seconds: float) -> str:
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"
