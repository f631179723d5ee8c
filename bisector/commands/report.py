"""``speedbump-bisect report DIR``: tell again what a run found, from its files alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bisector.commands.investigate import output_options
from bisector.errors import UsageError

SUMMARY = """\
Tells again what a run found; runs nothing. Of a run that is still going on or was killed it tells
what the journal knows so far. Exits as the run itself did.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The run directory, and where the result goes."""
    parser.add_argument("directory", metavar="DIR", help="the run's directory")
    output_options(parser)


def execute(options: argparse.Namespace, rest: Sequence[str] | None) -> int:
    """Read the run and say what it found on standard output."""
    if rest is not None:
        raise UsageError("report takes no command; leave out --")
    from bisector.commands.presentation import check_json, tell
    from bisector.session import recall

    check_json(options.json)
    return tell(recall(Path(options.directory)), options)
