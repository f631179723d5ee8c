"""``speedbump-bisect inject [options] -- COMMAND``: one run with delays, by hand.

The classic method (a fixed delay per call of what a targets file names) or a plan file (the exact
doses of an investigation, as its ``reproduce`` lines use them). The command's streams and exit code
pass through; what was delayed is told on standard error and, if asked for, as JSON.
``SPEED_BUMP_TARGETS``, ``_DELAY_NS``, ``_FREQUENCY``, ``_START_MS`` and ``_DURATION_MS`` are the
defaults of the options, with the meaning that Speed Bump's documentation gives them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bisector.errors import MeasurementFailed, UsageError
from bisector.plan_by_hand import DEFAULT_DELAY, plan_by_hand

if TYPE_CHECKING:
    from bisector.injection import Injected
    from bisector.workload import Workload
    from injector.plan import Plan

SUMMARY = "Run a command with delays in some of its Python functions, and count them."


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.usage = "speedbump-bisect inject [options] -- COMMAND ..."
    parser.add_argument(
        "--targets",
        action="append",
        metavar="FILE|PATTERN",
        help="what to delay: a targets file or a pattern such as 'package.*:Class.*'; repeatable",
    )
    parser.add_argument("--delay", metavar="TIME", help=f"per call (default {DEFAULT_DELAY})")
    parser.add_argument("--every", metavar="N", help="delay each Nth call only (default 1)")
    parser.add_argument("--start", metavar="TIME", help="begin this long after the launch")
    parser.add_argument("--duration", metavar="TIME", help="end this long after the begin")
    parser.add_argument(
        "--native",
        action="store_true",
        help="patterns match callables of C as well (zlib:compress), at their calls",
    )
    parser.add_argument(
        "--lines",
        action="store_true",
        help="and lines (module:function@42, module:function@*); Python 3.12 or later",
    )
    parser.add_argument("--plan", metavar="FILE", help="a plan file instead of targets and delay")
    parser.add_argument("--json", metavar="FILE|-", help="write what was counted as JSON")
    parser.add_argument("--quiet", action="store_true", help="no table on standard error")
    parser.add_argument("--no-color", action="store_true", help="no colours in the table")


def execute(options: argparse.Namespace, rest: list[str] | None) -> int:
    """Run the command; returns its exit code, or 1 where it ended well but nothing attached.

    Raises:
        UsageError: an option, a targets file or the command cannot be used.
    """
    from bisector.injection import run_attached

    if not rest:
        raise UsageError(
            "no command given; put it after --, as in speedbump-bisect inject --targets "
            "'package.*:*' -- python bench.py"
        )
    if rest[0].endswith(".py"):
        raise UsageError(f"{rest[0]} is a script, not a command; write -- python {rest[0]}")
    plan, used = plan_by_hand(options, os.environ)
    _check_json(options.json)
    workload = _workload(rest, used)
    plan = replace(plan, event_ns=plan.event_ns or _event_ns(workload))
    result = run_attached(workload, plan)
    trouble = _trouble(result, plan, workload)
    if not options.quiet:
        _show(result, trouble, options.no_color)
    _write_json(options.json, result, trouble, rest)
    if not result.processes:
        if not result.exit_code:
            raise MeasurementFailed(workload.why_nothing_attached())
        print(f"speedbump-bisect: {workload.why_nothing_attached()}", file=sys.stderr)
    return result.exit_code


def _workload(command: Sequence[str], used: Sequence[str]) -> Workload:
    from bisector.settings import Settings
    from bisector.workload import Workload

    workload = Workload.of(Settings(command=tuple(command), cwd=os.getcwd()))
    # Where Speed Bump itself is installed in the target, it must not delay a second time.
    kept = {name: value for name, value in workload.environment.items() if name not in used}
    return replace(workload, environment=kept)


def _event_ns(workload: Workload) -> dict[str, float]:
    """What a callback costs there, so that it can be part of the delay; unknown: nothing."""
    from bisector.calibration import calibrate

    if not workload.python_is_certain:
        return {}
    try:
        return calibrate(workload).event_ns
    except MeasurementFailed:
        return {}


def _trouble(result: Injected, plan: Plan, workload: Workload) -> list[str]:
    from bisector.reporting.injection_text import trouble

    return trouble(result, plan, workload.argv, Path(workload.cwd))


def _show(result: Injected, trouble: Sequence[str], no_color: bool) -> None:
    import contextlib

    from rich.console import Console

    from bisector.reporting.injection_text import render

    with contextlib.suppress(OSError):
        render(result, trouble, Console(stderr=True, no_color=no_color or None))


def _check_json(name: str | None) -> None:
    """Fail before the run, not after it."""
    if name is None or name == "-":
        return
    folder = os.path.dirname(name) or "."
    if os.path.isdir(name) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise UsageError(f"--json: {name} cannot be written; name a file in a writable folder")


def _write_json(
    name: str | None, result: Injected, trouble: Sequence[str], command: Sequence[str]
) -> None:
    if name is None:
        return
    from bisector.reporting.injection_text import document

    text = json.dumps(document(result, trouble, command), indent=1) + "\n"
    if name == "-":
        sys.stdout.write(text)
        return
    try:
        Path(name).write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"--json: {name}: {error.strerror}") from None
