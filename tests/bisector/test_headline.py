"""One answer, one plain sentence or three: what is said, and what is not claimed."""

from __future__ import annotations

from dataclasses import replace

import answers
import pytest
from answers import CONTEXT

from bisector.answer import Certificate, Interval
from bisector.schema import Metric
from bisector.summary import MetricInfo, summarize
from bisector.wording import (
    about,
    at_most,
    duration_ns,
    folded,
    listed,
    percent,
    shorten,
    unit_noun,
    visible,
    wrapped,
)


def says(answer, context=CONTEXT):
    return summarize(answer, context).headline


def test_python_bound_names_the_largest_its_gain_and_what_the_rest_is_worth():
    assert says(answers.PYTHON_BOUND) == (
        "Two functions explain 96% of what faster Python could gain. "
        f"Making {answers.SAMPLE} free would save up to 31% of the time per token. "
        "All other Python together could gain at most 1.2%."
    )


def test_where_nothing_is_left_no_bound_is_given_for_it():
    known = answers.PYTHON_BOUND
    all_of_it = replace(known.certificate, complement_gain_upper95=0.0, complement_drop_upper95=0.0)
    text = says(replace(known, certificate=all_of_it))
    assert text.endswith("There was no other Python to slow.")


def test_giving_up_with_budget_left_says_why_and_does_not_blame_the_budget():
    given_up = replace(
        answers.OUT_OF_BUDGET, certificate=Certificate(notes=("no part was found that does",))
    )
    text = says(given_up, replace(CONTEXT, wall_s=10.0, budget_s=600.0))
    assert text.startswith("Undecided after 10 s and 141 runs, with budget left: no part was found")
    assert "A larger --budget" not in text


def test_a_budget_with_no_room_for_another_run_is_blamed_although_some_of_it_is_left():
    quiet = replace(answers.OUT_OF_BUDGET.baseline, cv=0.002)
    cut_short = replace(answers.OUT_OF_BUDGET, baseline=quiet)
    text = says(cut_short, replace(CONTEXT, wall_s=12.0, budget_s=14.0))
    assert text.startswith("Undecided when the budget of 14 s ended")
    assert "Longer runs would tell more" not in text


def test_device_bound_gives_the_slack():
    assert says(replace(answers.GPU_BOUND, unresolved=())) == (
        "Python is not the bottleneck: it could be 5.20 ms per token slower before throughput "
        "falls. Making all of it free would gain at most 1.4%."
    )


def test_where_little_was_ruled_out_it_is_not_said_that_python_does_not_matter():
    bound = replace(answers.GPU_BOUND.certificate, complement_gain_upper95=0.523)
    for root in (answers.GPU_BOUND.root, answers.effect(0.3)):
        text = says(replace(answers.GPU_BOUND, root=root, certificate=bound, unresolved=()))
        assert text == (
            "Making all Python free could gain at most 53%; whether it gains less was not asked."
        )


def test_what_all_python_could_gain_is_bounded_by_the_dose_that_bounds_it_best():
    """Of the root the small dose is shown, which after few runs says little; a larger one
    decided."""
    wide = replace(answers.GPU_BOUND.root, gain=Interval(0.0, -0.17, 0.17))
    text = says(replace(answers.GPU_BOUND, root=wide))
    assert "would gain at most 1.4%." in text


LATENCY = replace(
    CONTEXT,
    metric=MetricInfo("app:accept,app:done", "s", "latency:app:accept,app:done", False),
)


def test_a_latency_is_called_a_latency():
    assert says(replace(answers.PYTHON_BOUND, certificate=Certificate()), LATENCY).startswith(
        "Two functions set the latency."
    )
    assert says(answers.WAITING, LATENCY).startswith("Latency is set by waiting in")
    slower = "slower before the latency grows"
    assert slower in says(answers.GPU_BOUND, LATENCY)


def test_untested_functions_are_admitted():
    assert "1 function could not be tested" in says(answers.GPU_BOUND)


def test_waiting_is_called_waiting():
    text = says(answers.WAITING)
    assert f"waiting in {answers.WAIT} (98% of the time per token)" in text
    assert text.endswith("All other Python together could gain at most 0.2%.")


def test_co_critical_waits_need_each_other_too():
    waits = [answers.function(t, 0.1, wait_ms=6.0) for t in (answers.LEFT, answers.RIGHT)]
    both = replace(
        answers.CO_CRITICAL, discovery=replace(answers.DISCOVERY, functions=tuple(waits))
    )
    text = says(both)
    assert "limited by waiting" in text
    assert "shortening only one gains nothing" in text


def test_co_critical_members_need_each_other():
    text = says(answers.CO_CRITICAL)
    assert "speeding up only one gains nothing" in text
    assert answers.LEFT in text
    assert answers.RIGHT in text


def test_an_untested_certificate_supports_no_share_and_no_remainder():
    text = says(replace(answers.PYTHON_BOUND, certificate=Certificate()))
    assert "96%" not in text
    assert "All other Python" not in text
    assert text.startswith("Two functions limit throughput.")


def test_undecided_says_why_what_is_known_and_what_to_do():
    text = says(answers.OUT_OF_BUDGET)
    assert text.startswith("Undecided when the budget of 2 min ended (141 runs).")
    assert "between 21% and 61%" in text
    assert "suspected so far" in text
    assert "Runs vary by 6.3%" in text


def test_a_gain_between_nothing_and_everything_is_called_unknown():
    wide = replace(answers.OUT_OF_BUDGET, root=answers.effect(0.9, half=3.7), sensitive=())
    assert "Nothing is known yet about how much Python's speed matters." in says(wide)


def test_interrupted_says_how_to_go_on():
    assert f"resume {CONTEXT.run_directory}" in says(answers.INTERRUPTED)


def test_failed_repeats_the_sentence():
    assert says(answers.FAILED) == (
        "No answer: the benchmark exited with code 3 in its first run: ValueError: no such model."
    )


def test_a_subtree_is_called_a_subtree():
    found = answers.finding("a.*:*", 0.4, kind="subtree", functions=("a:f", "a:g"))
    text = says(replace(answers.PYTHON_BOUND, sensitive=(found,)))
    assert text.startswith("One subtree explains 96%")


@pytest.mark.parametrize("name", answers.ALL)
def test_headlines_are_one_printable_line(name):
    assert says(answers.ALL[name]).isprintable()


@pytest.mark.parametrize(
    ("info", "noun"),
    [
        (MetricInfo("throughput", "tokens/s", "auto"), "token"),
        (MetricInfo("rate", "req/s", "auto"), "request"),
        (MetricInfo("rate", "it/s", "auto"), "iteration"),
        (MetricInfo("rate", "items per second", "auto"), "item"),
        (MetricInfo("time", "s", "time", False), "run"),
        (MetricInfo("latency", "ms", "regex:x", False), "unit"),
        (MetricInfo("score", "", "json:score"), "unit"),
        (MetricInfo("serving.engine:Engine.step", "calls/s", "auto: it recurs"), "step"),
        (MetricInfo("m:Handler.__call__", "calls/s", "progress:m:Handler.__call__"), "call"),
        (MetricInfo("m:main.<locals>.<lambda>", "calls/s", "auto: it recurs"), "call"),
    ],
)
def test_the_unit_is_named_after_the_metric(info, noun):
    metric = Metric(
        name=info.name,
        unit=info.unit,
        source=info.source,
        higher_is_better=info.higher_is_better,
    )
    assert unit_noun(metric) == noun


def test_numbers_read_well_and_bounds_are_rounded_up():
    assert [percent(x) for x in (0.312, 0.31, 0.0421, 0.002, 0.0, 1.0, -0.004)] == [
        *("31.2%", "31%", "4.2%", "0.20%", "0%", "100%", "−0.40%"),
    ]
    assert [about(x) for x in (0.958, 0.0123, 0.0, 0.0004)] == ["96%", "1.2%", "0%", "0.04%"]
    assert [at_most(x) for x in (0.1201, 0.0121, 0.02, -0.3)] == ["13%", "1.3%", "2.0%", "0%"]
    assert [duration_ns(x) for x in (12, 1234, 5.2e6, 1.5e9, 65e10)] == [
        *("12.0 ns", "1.23 µs", "5.20 ms", "1.50 s", "10 min 50 s"),
    ]


def test_lists_count_what_they_leave_out():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed("abcdef") == "a, b, c and 3 more"


def test_control_characters_and_direction_marks_become_visible():
    assert visible("a\x1b[31m\r\nb\u202e") == "a\\x1b[31m\\r\\nb\\u202e"
    assert visible("größe.模块:λ") == "größe.模块:λ"
    assert visible("\udc80") == "\\udc80"


def test_folding_loses_nothing_and_breaks_at_separators():
    name = "package.subpackage.module:Class.method_with_a_long_name"
    lines = folded(name, 24)
    assert "".join(lines) == name
    assert lines[0] == "package.subpackage."
    assert max(map(len, lines)) <= 24
    assert folded("x" * 50, 20) == ["x" * 20, "x" * 20, "x" * 10]


def test_shortening_keeps_both_ends():
    short = shorten("package.subpackage.module:Class.method", 20)
    assert len(short) == 20
    assert short.startswith("packag")
    assert short.endswith("Class.method")


def test_wrapping_keeps_every_word_within_the_width():
    text = "one two " + "x" * 70 + " three"
    lines = wrapped(text, 30, indent="  ")
    assert max(map(len, lines)) <= 30
    assert "".join("".join(lines).split()) == "".join(text.split())
