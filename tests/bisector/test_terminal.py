"""The terminal report: what it says, that it fits, that nothing on it is cut or interpreted."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import answers
import hostile
import pytest
from answers import CONTEXT
from rich.cells import cell_len
from rich.console import Console

from bisector.answer import Certificate
from bisector.phrases import dose
from bisector.reporting.terminal import MOST_PRUNED, render
from bisector.summary import MetricInfo, summarize
from bisector.wording import visible


class Stream(io.StringIO):
    """A text stream that claims another encoding."""

    def __init__(self, encoding="utf-8"):
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding


def page(answer, width=80, encoding="utf-8", context=CONTEXT, **options):
    stream = Stream(encoding)
    render(summarize(answer, context), Console(file=stream, width=width, **options))
    return stream.getvalue()


def words(text):
    """The text with all breaks undone, so that wrapped sentences can be searched."""
    return " ".join(text.split())


COPIED = "  speedbump-bisect "
"""How the lines begin that are left to the terminal to wrap."""


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("name", answers.ALL)
def test_every_answer_fits_the_width_without_trailing_blanks(name, width):
    for line in page(answers.ALL[name], width).splitlines():
        if not line.startswith(COPIED):
            assert len(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("name", answers.ALL)
def test_piped_there_are_no_colours_and_no_control_characters(name):
    text = page(answers.ALL[name])
    assert all(line.isprintable() for line in text.split("\n"))


def test_no_color_has_no_colour_codes_on_a_terminal():
    text = page(answers.PYTHON_BOUND, force_terminal=True, no_color=True, color_system="truecolor")
    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|38|9[0-7])[;m]", text)


@pytest.mark.parametrize("name", answers.ALL)
def test_an_ascii_stream_gets_ascii(name):
    page(answers.ALL[name], encoding="ascii").encode("ascii")


def test_markup_in_names_is_text():
    text = page(answers.BROKEN_NUMBERS, width=120)
    assert "[red]pkg\\x1b[31m:evil\\r\\nname[/red]" in text
    assert "[link=x]warn\\x1b]0;title\\x07" in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_names_are_shown_and_nothing_in_them_is_interpreted(width):
    stream = Stream()
    render(hostile.SUMMARY, Console(file=stream, width=width, force_terminal=True))
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert all(line.isprintable() for line in text.split("\n"))
    squeezed = "".join(text.split())
    for name in hostile.NAMES:
        assert "".join(visible(name).split()) in squeezed
    copied = ("  speedbump-bisect ", "  /tmp/")
    assert all(cell_len(ln) <= width for ln in text.splitlines() if not ln.startswith(copied))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_long_names_are_folded_and_complete(width):
    target = "company.platform.inference.runtime.scheduling:" + "Batch" * 12 + ".dispatch"
    found = answers.finding(target, 0.3)
    text = page(replace(answers.PYTHON_BOUND, sensitive=(found,)), width)
    section = text[text.index("Sensitive set") : text.index("Why the hottest")]
    first_column = "".join(
        re.split(r"\s{2,}", line.strip().removeprefix("1. "))[0]
        for line in section.splitlines()[1:]
    )
    assert target in first_column.replace("target", "", 1)


def test_the_answer_comes_first():
    text = page(answers.PYTHON_BOUND, 120)
    assert words(text).startswith(words(summarize(answers.PYTHON_BOUND, CONTEXT).headline))


@pytest.mark.parametrize("width", [80, 120])
def test_the_sensitive_set_has_gain_interval_own_time_calls_drop_and_kappa(width):
    text = page(answers.PYTHON_BOUND, width)
    assert answers.DETOK in text
    for piece in ("14.6% [13.4% … 15.8%]", "980 µs", "3.00", "−3.5%", "1.00", "linear"):
        assert piece in text


def test_the_hottest_function_is_explained():
    text = words(page(answers.PYTHON_BOUND))
    assert "Why the hottest function is not in the list" in text
    assert f"{answers.PREPARE} (2.90 ms, 45%)" in text
    assert "making it free would gain at most 0.4%" in text


def test_hot_functions_judged_together_are_explained_once():
    text = words(page(answers.GPU_BOUND))
    assert text.count("hidden behind something slower") == 1
    assert "making all of them free would gain at most 1.4%" in text


def test_nothing_is_explained_when_the_hottest_is_in_the_list():
    answer = replace(answers.PYTHON_BOUND, sensitive=(answers.finding(answers.PREPARE, 0.4),))
    assert "hottest" not in page(answer)


def test_what_was_ruled_out_comes_with_bounds_and_idle_code_is_counted():
    text = page(answers.PYTHON_BOUND)
    assert re.search(r"gpu_serving\.metrics:\* +1 +too little own time +0\.1%", text)
    assert "Not called while measuring: 31 functions in json.*:*." in text


def test_a_long_list_says_what_it_leaves_out():
    nodes = tuple(answers.pruned(f"pkg.m{i:02}:*", ["a", "b"], 0.05 - i / 1000) for i in range(25))
    text = page(replace(answers.PYTHON_BOUND, insensitive=nodes))
    assert "pkg.m09:*" in text
    assert "pkg.m10:*" not in text
    left = 25 - MOST_PRUNED
    assert f"and {left} more nodes ({2 * left} functions), each of which could gain" in text
    assert "at most 4.0%" in words(text)


def test_unresolved_nodes_have_their_reason():
    assert "__main__:main: its only call lies before the window" in page(answers.PYTHON_BOUND)


def test_the_certificate_is_told_in_three_sentences():
    text = words(page(answers.PYTHON_BOUND))
    assert "Necessary: each of the 2 entries alone, slowed by 25%, lowers throughput" in text
    assert "family-wise confidence 95%" in text
    assert "the set alone, slowed by 10%, reproduces 96% [93% … 99%] of the effect of *:*" in text
    assert "everything else costs at most 0.3% of throughput, so it could gain at most 1.2%" in text


def test_of_a_latency_what_is_lost_in_rate_is_added_in_time():
    metric = MetricInfo("app:accept,app:done", "s", "latency:app:accept,app:done", False)
    text = words(page(answers.PYTHON_BOUND, context=replace(CONTEXT, metric=metric)))
    assert "slowed by 25%, raises the latency" in text
    assert "everything else adds at most 0.4% to the latency, so it could gain" in text
    assert "latency +" in text


def test_what_was_not_tested_or_failed_is_said():
    text = words(page(answers.OUT_OF_BUDGET))
    assert text.count("not tested") == 3
    assert "not certified" in text
    broken = Certificate(
        necessary=False,
        sufficient=False,
        explained=answers.HELD.explained,
        complete=False,
        complement_drop_upper95=0.2,
        notes=("the two halves interact",),
    )
    text = words(page(replace(answers.OUT_OF_BUDGET, certificate=broken)))
    assert text.count("failed") == 3
    assert "the two halves interact" in text


def test_co_critical_members_are_named_once_as_a_group():
    text = words(page(answers.CO_CRITICAL))
    assert text.count("Co-critical:") == 1
    assert f"{answers.LEFT} and {answers.RIGHT} run side by side" in text


def test_waiting_is_marked():
    assert "6.40 ms waiting (it waits)" in page(answers.WAITING)


def test_slack_is_shown_for_a_threshold():
    assert "hidden up to 5.20 ms per token" in page(answers.GPU_BOUND, 120)


def test_cost_and_how_to_reproduce():
    text = page(answers.PYTHON_BOUND)
    assert "1 min 31 s of 2 min · 141 runs in 23 experiments" in text
    summary = summarize(answers.PYTHON_BOUND, CONTEXT)
    lines = text.splitlines()
    for finding in summary.sensitive:
        assert "  " + finding.reproduce in lines, "one line, to be copied"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_hints_stand_below_the_set_with_their_line_of_source(width):
    text = page(answers.PYTHON_BOUND, width, context=replace(CONTEXT, hints=hostile.hints))
    assert "Hints from the source, not measured" in text
    said = f"{answers.SAMPLE}, line 7: a loop in Python over {hostile.LAMBDA}"
    assert said.replace(" ", "") in "".join(text.split()), "folded where it has to be"
    assert all(line.isprintable() for line in text.split("\n"))
    assert all(len(ln) <= width for ln in text.splitlines() if not ln.startswith(COPIED))


def test_a_failure_shows_the_sentence_and_no_certificate():
    text = page(answers.FAILED)
    assert words(text).startswith("No answer: the benchmark exited with code 3")
    assert "Certificate" not in text


def test_of_doses_that_differ_the_certificate_names_the_range():
    first, second, *others = answers.PYTHON_BOUND.sensitive
    effect = replace(second.effect, dose=0.5)
    doses = (first, replace(second, effect=effect), *others)
    text = words(page(replace(answers.PYTHON_BOUND, sensitive=doses)))
    assert "each of the 2 entries alone, slowed by 25% to 50%, lowers throughput" in text


def test_a_dose_of_the_classic_method_is_a_multiple_of_its_delay():
    assert (dose(0.97, 1e4), dose(2.02, 1e4)) == ("10.0 µs per call", "20.0 µs per call")
    assert dose(0.25, None) == "25%"
