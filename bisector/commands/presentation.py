"""What every command that measures does around it: show progress, tell the result, leave.

Progress goes to standard error; for the result see `bisector.commands.outlets`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bisector.commands.outlets import Outlets

if TYPE_CHECKING:
    from bisector.session import Listener
    from bisector.settings import Settings
    from bisector.summary import Summary


def present(
    investigate: Callable[[Sequence[Listener]], Summary],
    settings: Settings | None,
    options: argparse.Namespace,
) -> int:
    """Investigate under a live display, tell the result; returns the exit code."""
    outlets = Outlets.of(options)
    summary = watched(investigate, settings, options)
    return outlets.tell(summary, Path(summary.run_directory))


def watched(
    investigate: Callable[[Sequence[Listener]], Summary],
    settings: Settings | None,
    options: argparse.Namespace,
) -> Summary:
    """Investigate under a live display, if one is wanted."""
    from rich.console import Console

    with ExitStack() as stack:
        listeners: list[Listener] = []
        if not options.quiet:
            from bisector.reporting.live import LiveDisplay

            console = Console(stderr=True, no_color=options.no_color or None)
            listeners.append(stack.enter_context(LiveDisplay(console, settings)).handle)
        return investigate(listeners)
