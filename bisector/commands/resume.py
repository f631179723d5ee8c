"""``speedbump-bisect resume DIR``: go on where an investigation was interrupted or killed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bisector.commands.outlets import output_options
from bisector.errors import UsageError

if TYPE_CHECKING:
    from bisector.deciding.process import ProcessDecider
    from bisector.settings import Settings

SUMMARY = """\
Goes on where an investigation stopped, with the settings it began with. Only active time counts
against its budget; a run that was in flight is repeated; one that is finished is only told again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The run directory, and where the result goes."""
    parser.add_argument("directory", metavar="DIR", help="the run's directory")
    parser.add_argument(
        "--decider",
        metavar="COMMAND",
        help="decides where to look, in place of the one that it began with",
    )
    output_options(parser)


def execute(options: argparse.Namespace, rest: Sequence[str] | None) -> int:
    """Take the investigation up again, and say what was found on standard output."""
    if rest is not None:
        raise UsageError("resume takes no command: the run knows its own; leave out --")
    from bisector.commands.presentation import present
    from bisector.recall import settings_of
    from bisector.session import resume

    path = Path(options.directory)
    settings = settings_of(path)
    decider = _decider(options.decider, settings) if options.decider is not None else None
    return present(lambda listeners: resume(path, listeners, decider), settings, options)


def _decider(command: str, settings: Settings) -> ProcessDecider:
    """The command that decides from now on.

    Raises:
        UsageError: nothing is left to others in this run, or the command cannot be used.
    """
    from bisector.deciding.process import ProcessDecider, read_command
    from bisector.settings import EXTERNAL

    if settings.strategy != EXTERNAL:
        raise UsageError(
            f"--decider: this run began with --strategy {settings.strategy}, which asks nobody"
        )
    try:
        words = read_command(command)
    except ValueError as error:
        raise UsageError(f"--decider: {error}") from None
    return ProcessDecider(words, os.getcwd(), settings.decider_timeout_s)
