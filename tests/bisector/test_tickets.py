"""Tickets: for what there is one, that it is found again, that trackers only show what it says."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import answers
import hostile
import pytest
from answers import CONTEXT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_markdown import OURS, RENDER, in_code, outside_code

from bisector.schema import LONGEST_BODY, LONGEST_TITLE
from bisector.summary import summarize
from bisector.ticket_body import ENDS, MOST_FINGERPRINTS
from bisector.tickets import plain
from bisector.wording import visible

MARK = re.compile(r"<!-- speedbump-bisect: ([0-9a-f]{16}(?: [0-9a-f]{16})*) -->")


def tickets(answer, context=CONTEXT):
    return summarize(answer, context).tickets


def only(answer, context=CONTEXT):
    (ticket,) = tickets(answer, context)
    return ticket


@pytest.mark.parametrize("name", ["gpu_bound", "out_of_budget", "interrupted", "failed", "nothing"])
def test_what_is_not_certain_has_no_ticket(name):
    assert tickets(answers.ALL[name]) == []


def test_a_finding_has_one_largest_gain_first():
    first, second = tickets(answers.PYTHON_BOUND)
    assert first.title == (
        "gpu_serving.sampler:Sampler.sample_token limits throughput: up to 31% of the time per "
        "token"
    )
    assert second.title.startswith("gpu_serving.detokeniser:detokenise limits throughput: up to")
    assert first.labels == ["speedbump-bisect", "performance"]


def test_its_fingerprint_is_the_findings_and_stands_in_its_first_line():
    summary = summarize(answers.PYTHON_BOUND, CONTEXT)
    for ticket, found in zip(summary.tickets, summary.sensitive, strict=True):
        assert ticket.targets == [found.target]
        assert ticket.fingerprint == found.fingerprint
        first, *_, last = ticket.body_markdown.splitlines()
        assert MARK.fullmatch(first)[1] == found.fingerprint
        assert last == ENDS


def test_a_co_critical_group_shares_one_whose_fingerprint_does_not_depend_on_the_order():
    ticket = only(answers.CO_CRITICAL)
    assert ticket.targets == [answers.LEFT, answers.RIGHT]
    assert ticket.title.startswith(f"{answers.LEFT} and {answers.RIGHT} limit throughput together")
    assert "making only one of them faster gains nothing" in ticket.body_markdown
    left, right = answers.CO_CRITICAL.sensitive
    other_way = replace(
        answers.CO_CRITICAL,
        sensitive=(left, replace(right, effect=answers.effect(0.93))),
    )
    assert only(other_way).targets == [answers.RIGHT, answers.LEFT]
    assert only(other_way).fingerprint == ticket.fingerprint


def test_its_first_line_has_the_fingerprints_of_all_in_its_group_its_own_first():
    summary = summarize(answers.CO_CRITICAL, CONTEXT)
    (ticket,) = summary.tickets
    found = MARK.fullmatch(ticket.body_markdown.splitlines()[0])[1].split()
    assert found[0] == ticket.fingerprint
    assert sorted(found) == sorted(f.fingerprint for f in summary.sensitive)


def test_a_crowd_has_a_ticket_that_fits():
    names = [f"m{i}:f" for i in range(120)]
    found = tuple(answers.finding(n, 0.3, with_=names) for n in names)
    ticket = only(replace(answers.PYTHON_BOUND, sensitive=found))
    assert len(ticket.body_markdown) <= LONGEST_BODY
    assert "#### Numbers" in ticket.body_markdown
    first = ticket.body_markdown.splitlines()[0]
    assert len(MARK.fullmatch(first)[1].split()) == MOST_FINGERPRINTS


def test_groups_and_single_findings_stand_side_by_side():
    alone = answers.finding(answers.SAMPLE, 0.5)
    answer = replace(answers.CO_CRITICAL, sensitive=(alone, *answers.CO_CRITICAL.sensitive))
    assert [ticket.targets for ticket in tickets(answer)] == [
        [answers.LEFT, answers.RIGHT],
        [answers.SAMPLE],
    ]


def test_a_chain_of_co_critical_pairs_is_one_group():
    pairs = {"c:f": ["b:f"], "a:f": ["b:f"], "x:f": [], "b:f": ["a:f", "c:f"]}
    found = tuple(answers.finding(name, 0.3, with_=others) for name, others in pairs.items())
    shared, alone = tickets(replace(answers.PYTHON_BOUND, sensitive=found))
    assert shared.targets == ["a:f", "b:f", "c:f"]
    assert alone.targets == ["x:f"]


def test_waiting_is_called_so_and_its_python_is_left_alone():
    ticket = only(answers.WAITING)
    assert ticket.title.startswith(f"Waiting in {answers.WAIT} limits throughput")
    assert "Do not make its Python faster: that is 10.0 µs per token." in ticket.body_markdown


def test_a_subtree_names_its_members():
    members = tuple(f"pkg.m{i}:f" for i in range(30))
    found = answers.finding("pkg.*:*", 0.4, kind="subtree", functions=members)
    ticket = only(replace(answers.PYTHON_BOUND, sensitive=(found,)))
    assert ticket.title.startswith("pkg.*:* (30 functions) limits throughput")
    assert "`pkg.m0:f`" in ticket.body_markdown
    assert "and 10 more functions" in ticket.body_markdown


def test_it_says_where_how_much_what_to_do_what_not_and_how_to_see_it():
    summary = summarize(answers.PYTHON_BOUND, CONTEXT)
    text = summary.tickets[0].body_markdown
    assert f"`{answers.SAMPLE}` in `/srv/app/gpu_serving/sampler.py:12`" in text
    assert "| gain, if it cost nothing | 30.9% \\[29.7% … 32.1%\\] |" in text
    assert "| throughput when slowed | −7.2% \\[−7.5% … −6.9%\\] by 25% |" in text
    assert f"Leave `{answers.PREPARE}` alone, however hot" in text
    assert "Complete: slowing everything else costs at most 0.3%" in text
    assert f"```sh\n{summary.sensitive[0].reproduce}\n```" in text
    assert f"run `{CONTEXT.run_id}`" in text


def test_places_are_said_from_where_the_benchmark_ran():
    context = replace(CONTEXT, settings={"cwd": "/srv/app"})
    text = tickets(answers.PYTHON_BOUND, context)[0].body_markdown
    assert "in `gpu_serving/sampler.py:12`" in text


def test_hints_stand_with_their_line():
    context = replace(CONTEXT, hints=hostile.hints)
    text = tickets(answers.PYTHON_BOUND, context)[0].body_markdown
    assert "#### Hints from the source\n\nRead off the text, not measured" in text
    assert f"- `{answers.SAMPLE}`, line 7: a loop in Python over `{hostile.LAMBDA}`: " in text


@pytest.mark.parametrize("ticket", hostile.SUMMARY.tickets, ids=lambda ticket: ticket.title[:20])
class TestHostileNames:
    def test_are_shown_and_nothing_in_them_is_interpreted(self, ticket):
        rendered = RENDER(ticket.body_markdown)
        assert set(re.findall(r"<(\w+)", rendered)) <= OURS
        assert not re.search(r'(href|src|alt)="', rendered)
        for target in ticket.targets:
            assert any(visible(target) in text for text in in_code(rendered))
        comments = re.findall(r"<!--.*?-->", rendered)
        assert comments == [ticket.body_markdown.splitlines()[0], ENDS]
        assert MARK.fullmatch(comments[0])[1].startswith(ticket.fingerprint)
        rest = outside_code(rendered)
        assert not re.search(r"[@#<>*_`~$&|\\]|https?:|deadbeef|www|GH-|JIRA-|!\d", rest)

    def test_nor_in_titles(self, ticket):
        assert ticket.title.isprintable()
        assert not re.search(r"(?<!\w)@|[#!&~$`]|%\w|:\w+:|https?://|/", ticket.title)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("pkg.mod:Class.method", "pkg.mod:Class.method"),
        ("pkg.mod:f.<locals>.<lambda>", "pkg.mod:f.<locals>.<lambda>"),
        ("pkg.mod:function@42", "pkg.mod:function@42"),
        ("5 functions of pkg.*:*", "5 functions of pkg.*:*"),
        ("m:naïve_größe", "m:naïve_größe"),
        ("@octocat", "\\x40octocat"),
        ("a:smile:b", "a:smile\\x3ab"),
        ("fixes #1", "fixes \\x231"),
        ("a\u202eb\n", "a\\u202eb\\n"),
    ],
)
def test_a_title_shows_names_as_they_are_but_for_what_a_tracker_would_read(name, shown):
    assert plain(name) == shown


ODD = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    [*hostile.NAMES, "/close", "x" * 3000, "|" * 5000, "`" * 2000, "a b " * 2000, "-", ENDS]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ODD, min_size=1, max_size=4, unique=True), ODD, ODD, st.booleans())
@example(["m:f"], ENDS, f"\n{ENDS}\n", False)
@example([ENDS, ""], ENDS, ENDS, True)
def test_whatever_names_are_a_ticket_fits_and_its_frame_is_ours(names, other, command, group):
    found = tuple(
        answers.finding(name, 0.3, with_=[n for n in names if n != name] if group else ())
        for name in names
    )
    answer = replace(
        answers.PYTHON_BOUND,
        discovery=replace(
            answers.DISCOVERY, functions=tuple(answers.function(n, 1.0) for n in names)
        ),
        sensitive=found,
        certificate=replace(answers.HELD, notes=(other, other)),
        warnings=(other,),
    )
    context = replace(
        CONTEXT,
        command=(command, other),
        run_id=other,
        tool_version=other,
        hints=lambda function: [
            *hostile.hints(function),
            hostile.hints(function)[0].model_copy(update={"text": other, "source": other}),
        ],
    )
    made = tickets(answer, context)
    assert sum(len(ticket.targets) for ticket in made) == len(names)
    for ticket in made:
        assert 0 < len(ticket.title) <= LONGEST_TITLE
        assert ticket.title.isprintable()
        assert len(ticket.body_markdown) <= LONGEST_BODY
        lines = ticket.body_markdown.splitlines()
        assert [i for i, line in enumerate(lines) if MARK.fullmatch(line)] == [0]
        assert [i for i, line in enumerate(lines) if line == ENDS] == [len(lines) - 1]
        assert not any(line.startswith("/") for line in lines), "an order to GitLab, such as /close"
        rendered = RENDER(ticket.body_markdown)
        assert set(re.findall(r"<(\w+)", rendered)) <= OURS
        assert not re.search(r"[@#<>*_`~$&\\]", outside_code(rendered))


def test_what_does_not_fit_is_left_out_whole_and_named():
    long = tuple(f"note {i}: " + " ".join(["word"] * 230) for i in range(40))
    answer = replace(answers.PYTHON_BOUND, certificate=replace(answers.HELD, notes=long))
    ticket = tickets(answer)[0]
    assert len(ticket.body_markdown) <= LONGEST_BODY
    assert "in the JSON summary: How sure this is." in ticket.body_markdown
    assert "#### See it yourself" in ticket.body_markdown


def test_a_command_is_never_cut():
    members = tuple(f"company.platform.module_{i}:function" for i in range(400))
    found = answers.finding("company.*:*", 0.4, kind="subtree", functions=members)
    text = only(replace(answers.PYTHON_BOUND, sensitive=(found,))).body_markdown
    assert "speedbump-bisect inject" not in text
    assert "it is field `sensitive[].reproduce` of the summary" in text


def test_a_title_shortens_names_in_the_middle():
    target = "company.platform." + "x" * 400 + ":Scheduler.dispatch"
    title = only(replace(answers.PYTHON_BOUND, sensitive=(answers.finding(target, 0.3),))).title
    assert len(title) <= LONGEST_TITLE
    assert ":Scheduler.dispatch limits throughput: up to 30% of the time per token" in title


def test_rendered_it_reads_as_it_was_written():
    text = html.unescape(
        re.sub(r"<[^>]*>", "", RENDER(tickets(answers.PYTHON_BOUND)[0].body_markdown))
    )
    assert f"Make {answers.SAMPLE} (/srv/app/gpu_serving/sampler.py:12) faster" in text
