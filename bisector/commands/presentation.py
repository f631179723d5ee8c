"""What every command that ends in a summary does with it: show progress, tell the result, leave.

Standard output carries the result and nothing else; progress goes to standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bisector.errors import UsageError

if TYPE_CHECKING:
    from bisector.session import Listener
    from bisector.settings import Settings
    from bisector.summary import Summary

STANDARD_OUTPUT = "-"


def present(
    investigate: Callable[[Sequence[Listener]], Summary],
    settings: Settings | None,
    options: argparse.Namespace,
) -> int:
    """Investigate under a live display, tell the result; returns the exit code."""
    from rich.console import Console

    check_json(options.json)
    with ExitStack() as stack:
        listeners: list[Listener] = []
        if not options.quiet:
            from bisector.reporting.live import LiveDisplay

            console = Console(stderr=True, no_color=options.no_color or None)
            listeners.append(stack.enter_context(LiveDisplay(console, settings)).handle)
        summary = investigate(listeners)
    return tell(summary, options)


def tell(summary: Summary, options: argparse.Namespace) -> int:
    """Write the result where it was asked for; returns the exit code.

    Raises:
        UsageError: the file given by --json cannot be written.
    """
    from bisector.summary import exit_code

    document = summary.model_dump_json(indent=2) + "\n"
    if options.json == STANDARD_OUTPUT:
        sys.stdout.write(document)
        return exit_code(summary)
    if options.json is not None:
        try:
            Path(options.json).write_text(document, encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"--json: {options.json} cannot be written: {error.strerror}"
            ) from None
    from rich.console import Console

    from bisector.reporting.terminal import render

    render(summary, Console(no_color=options.no_color or None))
    return exit_code(summary)


def check_json(target: str | None) -> None:
    """Find out before the work, not after it, that the file cannot be written.

    Raises:
        UsageError: so it is.
    """
    if target is None or target == STANDARD_OUTPUT:
        return
    path = Path(target)
    if path.is_dir():
        raise UsageError(f"--json: {target} is a directory; name a file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--json: there is no directory {path.parent}; make it first")
