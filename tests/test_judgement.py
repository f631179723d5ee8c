"""The judge of the case programs: what is right, undecided and wrong."""

from __future__ import annotations

from typing import Any

import pytest
from cases.truth import Case, left_by, main_
from judgement import and_nothing_else, missing, wrong

CASE = Case(
    "any.py",
    "sensitive",
    must_be_sensitive=main_("sample"),
    must_not_be_sensitive=main_("prepare"),
    waiting=main_("sample"),
    gains={"__main__:sample": 0.3},
)


def entry(name: str, gain: float = 0.3, wait: float = 2e6, **other: Any) -> dict[str, Any]:
    interval = {"estimate": gain, "ci95": [gain - 0.02, gain + 0.02]}
    times = {"own_cpu_ns_per_unit": 1e6, "own_wait_ns_per_unit": wait}
    named = {"target": f"__main__:{name}", "members": [f"__main__:{name}"], "co_critical_with": []}
    return {**named, **times, "estimated_gain": interval, **other}


def summary(verdict: str, *entries: dict[str, Any], **other: Any) -> dict[str, Any]:
    base = {"verdict": verdict, "sensitive": list(entries), "stop_reason": "certified"}
    baseline = {"time_per_unit_s": 0.01}
    return {**base, "baseline": baseline, "insensitive": [], "unresolved": [], "root": {}, **other}


def test_the_truth_is_right() -> None:
    found = summary("sensitive", entry("sample"))
    assert wrong(found, CASE) == []
    assert missing(found, CASE) == []


def test_claiming_nothing_is_undecided_but_not_wrong() -> None:
    found = summary("inconclusive", stop_reason="budget")
    assert wrong(found, CASE) == []
    assert missing(found, CASE) == ["inconclusive: budget"]


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (summary("insensitive"), "verdict insensitive, truth sensitive"),
        (summary("inconclusive", entry("prepare")), "__main__:prepare is reported"),
        (
            summary("sensitive", insensitive=[{"target": "__main__:*", "reason": "measured"}]),
            "__main__:sample is excluded by __main__:*",
        ),
    ],
)
def test_a_false_claim_is_wrong_at_any_budget(found: dict[str, Any], complaint: str) -> None:
    assert wrong(found, CASE) == [complaint]


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (summary("sensitive", entry("other")), "__main__:sample is not reported"),
        (
            summary("sensitive", entry("sample", wait=0.0)),
            "__main__:sample is not reported as waiting",
        ),
        (
            summary("sensitive", entry("sample", gain=0.9)),
            "gain of __main__:sample: 0.90 [0.88, 0.92], truth 0.30",
        ),
    ],
)
def test_a_certified_answer_has_to_say_everything(found: dict[str, Any], complaint: str) -> None:
    assert missing(found, CASE) == [complaint]


def test_the_share_of_a_wait_of_known_length_goes_by_the_time_of_a_unit() -> None:
    case = Case(
        "any.py", "sensitive", must_be_sensitive=main_("sample"),
        gains={"__main__:sample": left_by(0.007)},
    )  # fmt: skip
    assert missing(summary("sensitive", entry("sample")), case) == []
    faster = summary("sensitive", entry("sample"), baseline={"time_per_unit_s": 0.0075})
    assert "truth 0.07" in missing(faster, case)[0]


def test_where_the_truth_is_known_of_every_function_whatever_else_is_reported_is_wrong() -> None:
    both = ["__main__:sample", "__main__:tidy"]
    alone = summary("inconclusive", entry("*", members=both[:1]))
    together = summary("inconclusive", entry("*", members=both))
    assert wrong(alone, and_nothing_else(CASE, alone)) == []
    assert wrong(together, and_nothing_else(CASE, together)) == ["__main__:tidy is reported"]
    assert wrong(together, CASE) == []
