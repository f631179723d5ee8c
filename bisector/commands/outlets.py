"""Where a command's result goes: standard output, and files that were asked for.

Standard output carries the result and nothing else. Invariant: what can be found out before the
work is found out before it, and a file that cannot be written after it costs nothing but the file:
everything else is told all the same, and the message says how to get it again. Files come first, so
that they are there also when the reader of standard output goes away (``| head``).
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from bisector.errors import UsageError

if TYPE_CHECKING:
    from bisector.summary import Summary

STANDARD_OUTPUT = "-"


def output_options(group: argparse._ActionsContainer) -> None:
    """The options that every command with a summary has."""
    group.add_argument(
        "--json", metavar="FILE", help="write the summary as JSON; - is standard output"
    )
    group.add_argument(
        "--html",
        metavar="FILE",
        help="write a page with pictures, to be opened offline (needs the extra html)",
    )
    group.add_argument("--quiet", action="store_true", help="no progress on standard error")
    group.add_argument("--no-color", action="store_true", help="no colour")


@dataclass(frozen=True, slots=True)
class Outlets:
    """What goes to ``to`` (a file, or standard output) in ``format``, and what goes elsewhere
    beside it."""

    json: str | None
    html: str | None
    no_color: bool
    format: str
    to: str

    @classmethod
    def of(cls, options: argparse.Namespace) -> Outlets:
        """As the options say; ``--json -`` takes the place of the report.

        Raises:
            UsageError: options contradict each other, or something cannot be made or written.
        """
        json, chosen = options.json, getattr(options, "format", None)
        to = getattr(options, "to", STANDARD_OUTPUT)
        if json == STANDARD_OUTPUT == to:
            if chosen not in (None, "json"):
                raise UsageError(
                    f"--json - and --format {chosen} both want standard output; "
                    "give --output FILE as well, or one of them"
                )
            json, chosen = None, "json"
        outlets = cls(json, options.html, options.no_color, chosen or "text", to)
        outlets.check()
        return outlets

    def check(self) -> None:
        """Find out before the work what cannot be done after it.

        Raises:
            UsageError: so it is.
        """
        from bisector.reporting.formats import HTML, require

        require(self.format, f"--format {self.format}")
        if self.html is not None:
            require(HTML, "--html")
        if self.html == STANDARD_OUTPUT:
            raise UsageError("--html: - is no file; name one, such as report.html")
        if self.format == HTML and self.to == STANDARD_OUTPUT and sys.stdout.isatty():
            raise UsageError("a page is not for a terminal; add --output FILE, or pipe it into one")
        files = [(option, to) for option, to, _ in self._all() if to != STANDARD_OUTPUT]
        for option, target in files:
            check_file(option, target)
        places = [os.path.realpath(target) for _, target in files]
        if len(set(places)) < len(places):
            raise UsageError(f"{files[-1][1]} is named twice; give each file a name of its own")

    def tell(self, summary: Summary, directory: Path) -> int:
        """Write the result where it was asked for; returns the exit code.

        Args:
            directory: where the run's files are.

        Raises:
            UsageError: a file cannot be written; all else is.
        """
        from bisector.recall import evidence_of
        from bisector.reporting.formats import TEXT, rendered
        from bisector.summary import exit_code

        evidence = cache(partial(evidence_of, directory))
        failure: Exception | None = None
        for option, target, form in self._all():
            if target != STANDARD_OUTPUT:
                try:
                    write_file(option, target, rendered(form, summary, evidence), directory)
                except Exception as error:  # told below: standard output comes first
                    failure = failure or error
        for _, target, form in self._all():
            if target == STANDARD_OUTPUT and form == TEXT:
                self._print(summary)
            elif target == STANDARD_OUTPUT:
                if isinstance(sys.stdout, io.TextIOWrapper):  # as in files, wherever it goes
                    sys.stdout.reconfigure(encoding="utf-8")
                sys.stdout.write(rendered(form, summary, evidence))
        sys.stdout.flush()
        if failure is not None:
            raise failure
        return exit_code(summary)

    def _all(self) -> Iterator[tuple[str, str, str]]:
        """Option, place and format of everything that was asked for."""
        yield "--output", self.to, self.format
        if self.json is not None:
            yield "--json", self.json, "json"
        if self.html is not None:
            yield "--html", self.html, "html"

    def _print(self, summary: Summary) -> None:
        from rich.console import Console

        from bisector.reporting.terminal import render

        render(summary, Console(no_color=self.no_color or None))


def check_file(option: str, target: str) -> None:
    """See whether a file can be written, as far as that can be seen.

    Raises:
        UsageError: it cannot.
    """
    path = Path(target)
    folder = path.absolute().parent
    if path.is_dir():
        raise UsageError(f"{option}: {target} is a directory; name a file")
    if not folder.is_dir():
        raise UsageError(f"{option}: there is no directory {path.parent}; make it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise UsageError(f"{option}: {target} may not be written to; name another file")


def write_file(option: str, target: str, text: str, directory: Path) -> None:
    """Write a file that a result goes to.

    Raises:
        UsageError: it cannot be written; nothing of the run is lost.
    """
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        again = f"speedbump-bisect report {shlex.quote(str(directory))}"
        raise UsageError(
            f"{option}: {target} cannot be written: {error.strerror}; the result is kept, "
            f"{again} tells it again"
        ) from None
