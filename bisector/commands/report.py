"""``speedbump-bisect report DIR``: tell again what a run found, from its files alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bisector.commands.outlets import STANDARD_OUTPUT, Outlets, output_options
from bisector.errors import UsageError
from bisector.reporting.formats import FORMATS

SUMMARY = """\
Tells again what a run found; runs nothing. Of a run that is still going on or was killed it tells
what the journal knows so far. Exits as the run itself did.

Formats:
  text        the report for a terminal
  json        the summary; its schema is published with the package
  md          Markdown for a pull request, ticket or chat
  html        one page with pictures and everything measured, to be opened offline
  speedscope  flame graphs over the module tree for https://www.speedscope.app: the width of an
              entry is what it would gain, as time per unit of work; two more graphs in the same
              file show own time on CPU and waiting. Stacks are paths in the tree, not calls
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """The run directory, and where the result goes."""
    parser.add_argument("directory", metavar="DIR", help="the run's directory")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="how it is told; default text",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        dest="to",
        default=STANDARD_OUTPUT,
        help="where to; default -, standard output",
    )
    output_options(parser)


def execute(options: argparse.Namespace, rest: Sequence[str] | None) -> int:
    """Read the run and say what it found."""
    if rest is not None:
        raise UsageError("report takes no command; leave out --")
    outlets = Outlets.of(options)

    from bisector.cli import complain
    from bisector.recall import recall
    from bisector.run_directory import is_in_use

    directory = Path(options.directory)
    summary = recall(directory)
    if is_in_use(directory) and not options.quiet:
        complain(f"{directory} is still being measured; this is what is known so far")
    return outlets.tell(summary, directory)
