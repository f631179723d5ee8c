"""Compares a summary with the truth about a program.

Three outcomes: right, undecided (an honest "inconclusive" that claims nothing false) and wrong.
What counts as wrong does not depend on the budget: a hidden function reported, a critical one
excluded, or the opposite verdict. What else a certified answer must say is asked of those only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from cases.truth import Case

GAIN_TOLERANCE = 0.1
"""Gains vary with the CPU and, for short runs, with its mood."""


def wrong(summary: dict[str, Any], case: Case) -> list[str]:
    """False claims, whatever the budget was."""
    return list(_false_claims(summary, case))


def missing(summary: dict[str, Any], case: Case) -> list[str]:
    """What a certified answer would have to say and this one does not."""
    if sys.version_info < (3, 12) and case.not_on_311:
        return list(_unsaid_on_311(summary, case))
    if summary["verdict"] == "inconclusive":
        return [f"inconclusive: {summary['stop_reason']}"]
    return list(_omissions(summary, case))


def reported(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every function of the sensitive set, with the entry it belongs to."""
    return {
        function: entry
        for entry in summary["sensitive"]
        for function in entry["members"] or [entry["target"]]
    }


def and_nothing_else(case: Case, summary: dict[str, Any]) -> Case:
    """The case where the truth is known of every function: whatever else is reported is wrong."""
    others = frozenset(reported(summary)) - case.must_be_sensitive
    return replace(case, must_not_be_sensitive=case.must_not_be_sensitive | others)


def _false_claims(summary: dict[str, Any], case: Case) -> Iterator[str]:
    if summary["verdict"] not in (case.verdict, "inconclusive"):
        yield f"verdict {summary['verdict']}, truth {case.verdict}"
    for function in sorted(reported(summary).keys() & case.must_not_be_sensitive):
        yield f"{function} is reported"
    for entry in summary["insensitive"]:
        for function in sorted(case.must_be_sensitive):
            if fnmatchcase(function, entry["target"]) and entry["reason"] == "measured":
                yield f"{function} is excluded by {entry['target']}"


def _omissions(summary: dict[str, Any], case: Case) -> Iterator[str]:
    entries = reported(summary)
    for function in sorted(case.must_be_sensitive - entries.keys()):
        yield f"{function} is not reported"
    for function in sorted(case.waiting & entries.keys()):
        entry = entries[function]
        if entry["own_wait_ns_per_unit"] <= entry["own_cpu_ns_per_unit"]:
            yield f"{function} is not reported as waiting"
    for function in sorted(case.co_critical & entries.keys()):
        others = case.co_critical - {function}
        if not others & set(entries[function]["co_critical_with"]):
            yield f"{function} is not reported as co-critical"
    unit_s = summary["baseline"]["time_per_unit_s"]
    for function, truth in case.gains.items():
        if function in entries:
            gain = truth(unit_s) if callable(truth) else truth
            yield from _gain_off(function, gain, entries[function]["estimated_gain"])
    if case.slack_ms:
        yield from _slack_off(summary["root"], case.slack_ms)


def _gain_off(function: str, gain: float, estimate: dict[str, Any]) -> Iterator[str]:
    lo, hi = estimate["ci95"]
    if not lo - GAIN_TOLERANCE <= gain <= hi + GAIN_TOLERANCE:
        seen = f"{estimate['estimate']:.2f} [{lo:.2f}, {hi:.2f}]"
        yield f"gain of {function}: {seen}, truth {gain:.2f}"


def _slack_off(root: dict[str, Any], truth: tuple[float, float]) -> Iterator[str]:
    slack_ns = root["slack_ns_per_unit"]
    if slack_ns is None:
        yield "no slack is reported"
    elif not truth[0] <= slack_ns / 1e6 <= truth[1]:
        yield f"slack {slack_ns / 1e6:.2f} ms, truth {truth[0]} to {truth[1]} ms"


def _unsaid_on_311(summary: dict[str, Any], case: Case) -> Iterator[str]:
    patterns = [entry["target"] for entry in summary["unresolved"]]
    for function in sorted(case.must_be_sensitive - reported(summary).keys()):
        if not any(fnmatchcase(function, pattern) for pattern in patterns):
            yield f"{function} is neither reported nor said to be out of reach"
