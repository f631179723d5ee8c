"""From the options of `inject` to a plan: a targets file and a delay, or a plan file.

An option that is not given falls back on Speed Bump's environment variable for it, with Speed
Bump's own default where that variable names the targets.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bisector.errors import UsageError
from bisector.ownership import stranger
from bisector.quantities import parse_time
from injector.patterns import PatternError, parse
from injector.plan import Plan, PlanError

DEFAULT_DELAY = "10us"
SPEED_BUMP_DELAY_NS = "1000"
"""Speed Bump's own default, used where its variable names the targets."""
LONGEST_DELAY_S = 10.0


def plan_by_hand(options: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Plan, list[str]]:
    """The plan, and the environment variables that name its targets.

    Raises:
        UsageError: an option, a variable or a file cannot be used.
    """
    if options.plan is not None:
        for name in ("targets", "delay", "every"):
            if getattr(options, name) is not None:
                raise UsageError(f"--plan says what is delayed, and by how much; drop --{name}")
        for name in ("native", "lines"):
            if getattr(options, name):
                raise UsageError(f"--plan says what is delayed; drop --{name}")
        plan = _read_plan(options.plan)
        warmup_ms, duration_ms = _window(options, {})
        return replace(
            plan,
            warmup_ms=warmup_ms or plan.warmup_ms,
            duration_ms=duration_ms or plan.duration_ms,
        ), []
    used: list[str] = []
    sources = options.targets
    if not sources and environ.get("SPEED_BUMP_TARGETS"):
        sources, used = [environ["SPEED_BUMP_TARGETS"]], ["SPEED_BUMP_TARGETS"]
    if not sources:
        raise UsageError(
            "nothing to delay; give --targets with a file or a pattern such as 'package.*:*', or "
            "--plan"
        )
    warmup_ms, duration_ms = _window(options, environ)
    plan = Plan(
        rules=_rules(sources),
        delay_ns=_delay_ns(options.delay, environ, bool(used)),
        every=_every(options.every, environ),
        native=options.native,
        lines=options.lines,
        warmup_ms=warmup_ms,
        duration_ms=duration_ms,
    )
    return plan, used


def _window(options: argparse.Namespace, environ: Mapping[str, str]) -> tuple[float, float | None]:
    """Begin after the launch and length, in ms; no length is to the end, as is a length of 0."""
    start_s = _time_option("--start", options.start)
    duration_s = _time_option("--duration", options.duration)
    start_ms = _milliseconds("SPEED_BUMP_START_MS", environ) if start_s is None else start_s * 1e3
    if duration_s is None:
        return start_ms, _milliseconds("SPEED_BUMP_DURATION_MS", environ) or None
    return start_ms, duration_s * 1e3 or None


def _read_plan(name: str) -> Plan:
    if whose := stranger(Path(name)):
        raise UsageError(f"--plan: {name} {whose}; copy it to make it yours")
    try:
        plan = Plan.from_json(Path(name).read_text("utf-8"))
    except (PlanError, UnicodeDecodeError) as error:
        raise UsageError(f"--plan: {name}: {error}") from None
    except OSError as error:
        raise UsageError(f"--plan: {name}: {error.strerror}") from None
    if plan.mode != "delay":
        raise UsageError(f"--plan: {name} is a plan to discover, it delays nothing")
    return plan


def _rules(sources: Sequence[str]) -> tuple[str, ...]:
    """The patterns of all sources in order: a file's lines where there is such a file."""
    rules: list[str] = []
    for source in sources:
        is_file = os.path.exists(source)
        try:
            lines = Path(source).read_text("utf-8").splitlines() if is_file else [source]
            rules += parse(lines).sources
        except PatternError as error:
            if is_file:
                raise UsageError(f"{source}: {error}") from None
            what = "is neither a targets file nor a pattern"
            reason = str(error).removeprefix("line 1: ")
            raise UsageError(
                f"--targets: {source!r} {what}: {reason}"
                if ":" not in source
                else f"--targets: {reason}"
            ) from None
        except UnicodeDecodeError:
            raise UsageError(f"--targets: {source} is not a text file in UTF-8") from None
        except OSError as error:
            raise UsageError(f"--targets: {source}: {error.strerror}") from None
    if not any(not rule.startswith("!") for rule in rules):
        raise UsageError(
            f"{', '.join(sources)} names nothing to delay; give a line such as package.module:*"
        )
    return tuple(rules)


def _delay_ns(text: str | None, environ: Mapping[str, str], compatible: bool) -> float:
    if text is None and (compatible or "SPEED_BUMP_DELAY_NS" in environ):
        given = environ.get("SPEED_BUMP_DELAY_NS") or SPEED_BUMP_DELAY_NS
        delay_ns, name = float(_whole("SPEED_BUMP_DELAY_NS", given, 1)), "SPEED_BUMP_DELAY_NS"
    else:
        delay_ns = (_time_option("--delay", text or DEFAULT_DELAY) or 0.0) * 1e9
        name, given = "--delay", text or DEFAULT_DELAY
    if not 1.0 <= delay_ns <= LONGEST_DELAY_S * 1e9:
        raise UsageError(
            f"{name}: {given} is out of range; give at least 1ns, at most {LONGEST_DELAY_S:g}s"
        )
    return delay_ns


def _every(text: str | None, environ: Mapping[str, str]) -> int:
    if text is not None:
        return _whole("--every", text, 1)
    return _whole("SPEED_BUMP_FREQUENCY", environ.get("SPEED_BUMP_FREQUENCY") or "1", 1)


def _milliseconds(name: str, environ: Mapping[str, str]) -> float:
    return float(_whole(name, environ.get(name) or "0", 0))


def _whole(name: str, text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise UsageError(f"{name}: {text!r} is not a whole number (write 10)") from None
    if value < least:
        raise UsageError(f"{name}: {text} is out of range; give {least} or more")
    return value


def _time_option(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
