"""``speedbump-bisect resume DIR``: go on where an investigation was interrupted or killed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bisector.commands.outlets import output_options
from bisector.errors import UsageError

SUMMARY = """\
Goes on where an investigation stopped, with the settings it began with. Only active time counts
against its budget; a run that was in flight is repeated; one that is finished is only told again.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The run directory, and where the result goes."""
    parser.add_argument("directory", metavar="DIR", help="the run's directory")
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
    return present(lambda listeners: resume(path, listeners), settings, options)
