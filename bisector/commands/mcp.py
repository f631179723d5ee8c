"""``speedbump-bisect mcp``: a server through which an agent investigates what the user allows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from bisector.agent.allowed import AGENTS_OPTIONS, Allowed, check_all, read_allowed
from bisector.errors import UsageError

SUMMARY = f"""\
Serves the Model Context Protocol on standard input and output, for an agent that is to find out
what limits a benchmark. The agent decides where to look and reads what was found; the tool
measures, judges and certifies. Only the benchmarks that are named here can be run, by name.

  speedbump-bisect mcp --allow 'bench.py --batch-size 8' --allow 'web=python -m service.bench'
  speedbump-bisect mcp -- python -m your.benchmark

What the agent may set (budget up to --max-budget, min_gain and confidence only stricter):
{", ".join(AGENTS_OPTIONS)}.
Needs the extra mcp.
"""

_USERS = (
    *("metric", "lower_is_better", "python", "env", "cwd"),
    *("prepare", "timeout", "warmup", "duration"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """What is allowed, and how it is run."""
    option = parser.add_argument
    option(
        "--allow",
        metavar="[NAME=]COMMAND",
        action="append",
        default=[],
        help="a benchmark: a Python script with its arguments, or a command, quoted as one word",
    )
    option(
        "--allow-arguments",
        action="store_true",
        help="the agent may add arguments of its own to them",
    )
    option("--max-budget", metavar="TIME", default="10m", help="of one run; default 10m")
    option(
        "--output",
        metavar="DIR",
        help="the folder in which the runs are kept; default .speedbump",
    )
    option("--metric", metavar="METRIC", help="as for an investigation, of every run")
    option(
        "--lower-is-better",
        action="store_true",
        default=None,
        help="the metric is a time or a latency",
    )
    option("--python", metavar="PATH", help="the interpreter of scripts")
    option("--env", metavar="K=V", action="append", help="an environment variable")
    option("--cwd", metavar="DIR", help="where the benchmarks run")
    option("--prepare", metavar="CMD", help="a shell command before every run")
    option("--timeout", metavar="TIME", help="a run that takes longer hangs")
    option("--warmup", metavar="TIME", help="do not look at the beginning of a run")
    option("--duration", metavar="TIME", help="look only at this much of a run")


def execute(options: argparse.Namespace, rest: Sequence[str] | None) -> int:
    """Serve until the client has gone; returns 0.

    Raises:
        UsageError: nothing is allowed, something cannot be run, or the extra is missing.
    """
    if not _has_package():
        raise UsageError(
            "the server needs the package mcp in version 2 or later, not installed here; "
            "pip install 'mcp>=2' (the extra mcp of speedbump-bisect)"
        )
    from bisector.quantities import parse_time
    from bisector.run_directory import DEFAULT_PARENT

    try:
        most_s = parse_time(options.max_budget)
    except ValueError as error:
        raise UsageError(f"--max-budget: {error}") from None
    if most_s < 1.0:
        raise UsageError(f"--max-budget: {options.max_budget!r} is less than a second")
    given = {name: getattr(options, name) for name in _USERS}
    allowed = Allowed(
        read_allowed(options.allow, rest),
        most_s,
        Path(options.output or DEFAULT_PARENT).absolute(),
        {name: value for name, value in given.items() if value is not None},
        options.allow_arguments,
    )
    check_all(allowed)

    from bisector.agent.server import server

    if sys.stdin.isatty():
        from bisector.cli import complain

        complain("waiting for an MCP client on standard input; end with Ctrl-D")
    server(allowed).run("stdio")
    return 0


def _has_package() -> bool:
    try:
        return find_spec("mcp.server.mcpserver") is not None
    except ImportError:  # there is none, or another one of that name
        return False
