"""``speedbump-bisect BENCH.py [options] [-- ARGS]``: an investigation, the default command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bisector.commands.outlets import output_options

SUMMARY = """\
Finds the few functions that limit the throughput of a program, by slowing code down and bisecting.

  speedbump-bisect BENCH.py [options] [-- BENCH ARGS...]
  speedbump-bisect [options] -- COMMAND...
  speedbump-bisect resume DIR | report DIR | inject ... -- COMMAND   (each with its own --help)
  speedbump-bisect simulate | mcp ...

Fractions are written 5% or 0.05, times 2h, 90s, 1h30m, 250ms or 10us.
"""

_NOT_SETTINGS = ("benchmark", "dry_run", "json", "html", "quiet", "no_color")


def configure(parser: argparse.ArgumentParser) -> None:
    """All options of an investigation; values are read by `bisector.settings`."""
    parser.usage = argparse.SUPPRESS
    parser.add_argument("benchmark", nargs="?", metavar="BENCH.py", help="a Python script")
    _what_is_measured(parser.add_argument_group("what is measured"))
    _how_it_is_searched(parser.add_argument_group("how it is searched"))
    _how_it_is_run(parser.add_argument_group("how it is run"))
    output_options(parser.add_argument_group("output"))


def execute(options: argparse.Namespace, rest: Sequence[str] | None) -> int:
    """Investigate, and say what was found on standard output."""
    from bisector.commands.presentation import present
    from bisector.settings import read_settings

    given = {k: v for k, v in vars(options).items() if k not in _NOT_SETTINGS and v is not None}
    settings = read_settings(options.benchmark, rest, given)

    from bisector.session import begin

    if options.dry_run:
        from bisector.commands.dry_run import dry_run

        return dry_run(settings, options)
    return present(lambda listeners: begin(settings, listeners), settings, options)


def _what_is_measured(group: argparse._ActionsContainer) -> None:
    option = group.add_argument
    option(
        "--metric",
        metavar="METRIC",
        help="auto, time, regex:PATTERN (last match, group 1), json:KEY.PATH (last JSON document), "
        "progress:MODULE:QUALNAME (its calls), or latency:MODULE:QUALNAME,MODULE:QUALNAME (from a "
        "call of the first to one of the second); default auto: a call that stands for a unit of "
        "work, else a printed rate, else time",
    )
    option(
        "--lower-is-better",
        action="store_true",
        default=None,
        help="the metric is a time or a latency",
    )
    option("--warmup", metavar="TIME", help="do not look at the beginning of a run")
    option("--duration", metavar="TIME", help="look only at this much of a run, after the warm-up")


def _how_it_is_searched(group: argparse._ActionsContainer) -> None:
    option = group.add_argument
    option("--budget", metavar="TIME", help="active time to spend; default 10m")
    option("--dose", metavar="SHARE", help="how much slower code is made: auto or 25%%")
    option("--delay", metavar="TIME", help="a fixed delay per call instead: 10us")
    option("--min-gain", metavar="SHARE", help="less than this in all is insensitive; default 1%%")
    option(
        "--threshold",
        metavar="SHARE",
        help="smallest share of the whole gain that gets a line of its own; default 5%%",
    )
    option("--confidence", metavar="SHARE", help="of the whole set; default 95%%")
    option(
        "--strategy",
        metavar="NAME",
        help="bisect, exhaustive, ddmin, or external: --decider says where to look; default bisect",
    )
    option(
        "--decider",
        metavar="COMMAND",
        help="is told what is known and decides what to slow next, in lines of JSON over its "
        "standard input and output (pydoc bisector.deciding.wire says which); its time does not "
        "count, and it cannot say what was found",
    )
    option(
        "--decider-timeout",
        metavar="TIME",
        help="silence of the decider after which the investigation stops, exit 3; default 10m",
    )
    option(
        "--mode",
        metavar="MODE",
        help="live: windows of a running program; runs: whole runs; auto: live where it has a unit",
    )
    option(
        "--dry-run",
        action="store_true",
        help="stop before the search, and say what a certain answer will cost; resume goes on",
    )
    option("--seed", metavar="N", help="of everything random; default: a new one, in the summary")
    option("--include", metavar="PATTERN", action="append", help="look only at these functions")
    option("--exclude", metavar="PATTERN", action="append", help="leave these functions alone")
    option(
        "--native",
        action="store_true",
        default=None,
        help="callables of C are targets of their own (numpy:dot), where Python calls them",
    )
    option(
        "--lines",
        action="store_true",
        default=None,
        help="so are lines of functions (module:function@42); Python 3.12 or later",
    )


def _how_it_is_run(group: argparse._ActionsContainer) -> None:
    option = group.add_argument
    option("--python", metavar="PATH", help="the interpreter of the script")
    option("--env", metavar="K=V", action="append", help="an environment variable")
    option("--cwd", metavar="DIR", help="where the benchmark runs")
    option("--prepare", metavar="CMD", help="a shell command before every run")
    option("--timeout", metavar="TIME", help="a run that takes longer hangs; default 10x the first")
    option("--output", metavar="DIR", help="where the run is kept; default .speedbump/<run id>")
