"""The result as Markdown: what it says, and that a renderer shows names as they are."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import answers
import hostile
import pytest
from answers import CONTEXT
from markdown_it import MarkdownIt

from bisector.markup import code, prose
from bisector.prose import spans
from bisector.reporting.markdown import markdown
from bisector.summary import summarize
from bisector.wording import visible

RENDER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render
OURS = {
    *("h3", "h4", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"),
    *("code", "pre", "sub"),
}


def told(answer, context=CONTEXT):
    return markdown(summarize(answer, context))


def outside_code(rendered):
    """What a forge may still interpret: the text that is not code."""
    without = re.sub(r"<(code|pre)\b.*?</\1>", " ", rendered, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", without))


def in_code(rendered):
    return [html.unescape(text) for text in re.findall(r"<code[^>]*>(.*?)</code>", rendered, re.S)]


@pytest.mark.parametrize("name", answers.ALL)
def test_the_answer_comes_first_and_every_element_is_ours(name):
    text = told(answers.ALL[name])
    assert text.startswith("### ")
    assert set(re.findall(r"<(\w+)", RENDER(text))) <= OURS


def test_it_has_the_set_with_intervals_the_certificate_and_the_commands():
    text = told(answers.PYTHON_BOUND)
    assert f"| `{answers.SAMPLE}` | 30.9% \\[29.7% … 32.1%\\] | 2.02 ms |" in text
    assert "- Sufficient: the set alone, slowed by 10%, reproduces 96%" in text
    assert "```sh\nspeedbump-bisect inject --targets " in text
    assert "#### What to do next" in text
    assert f"- Leave `{answers.PREPARE}` alone, however hot: at most 0.4% to gain." in text
    assert "`json.*:*` | 31 | not called" in text


def test_hints_stand_below_the_set_as_what_they_are():
    text = told(answers.PYTHON_BOUND, replace(CONTEXT, hints=hostile.hints))
    assert "\n\nHints from the source, not measured:\n\n- `" in text
    assert f"- `{answers.SAMPLE}`, line 7: a loop in Python over `{hostile.LAMBDA}`: `for" in text
    assert "Hints" not in told(answers.PYTHON_BOUND)


def test_a_long_list_says_what_it_leaves_out():
    nodes = tuple(answers.pruned(f"pkg.m{i:02}:*", ["a", "b"], 0.05) for i in range(25))
    text = told(replace(answers.PYTHON_BOUND, insensitive=nodes))
    assert "and 15 more nodes (30 functions)" in text


def test_names_are_shown_and_nothing_in_them_is_interpreted():
    rendered = RENDER(markdown(hostile.SUMMARY))
    assert set(re.findall(r"<(\w+)", rendered)) <= OURS
    assert not re.search(r'(href|src|alt)="', rendered)
    shown = in_code(rendered)
    cells = [html.unescape(t) for t in re.findall(r"<td><code>(.*?)</code>", rendered)]
    for name in (hostile.SCRIPT, hostile.LAMBDA, hostile.IMAGE, hostile.MARKED):
        assert visible(name) in cells
    assert any(hostile.SCRIPT in text for text in shown), "the command to be copied"
    rest = outside_code(rendered)
    assert not re.search(r"[@#<>*_`~$&|\\]|https?:|deadbeef", rest), "plain words only"


def test_tables_keep_their_columns_whatever_is_in_them():
    rendered = RENDER(markdown(hostile.SUMMARY))
    for table in re.findall(r"<table>(.*?)</table>", rendered, re.DOTALL):
        counts = {len(re.findall(r"<t[hd]\b", row)) for row in table.split("<tr>")[1:]}
        assert len(counts) == 1


@pytest.mark.parametrize("name", [*hostile.NAMES, "a`b", "``", "\\", "x\\|y", " a ", "a|"])
def test_code_is_what_it_was_in_and_out_of_tables(name):
    name = visible(name)
    assert in_code(RENDER(f"- {code(name)}")) == [name]
    table = RENDER(f"| a | b |\n| --- | --- |\n| {code(name)} | c |")
    assert in_code(table) == [name]
    assert table.count("<td>") == 2


@pytest.mark.parametrize("name", hostile.NAMES)
def test_a_sentence_renders_to_itself(name):
    rendered = RENDER(f"- {prose(name)}")
    text = html.unescape(re.sub(r"</?(ul|li|code)>\n?", "", rendered)).strip()
    assert text == "".join(span.text for span in spans(visible(name)))


@pytest.mark.parametrize("start", ["1. one", "- two", "# three", "> four", "[x] five", "+ six"])
def test_a_sentence_begins_no_list_heading_or_quote(start):
    rendered = RENDER(f"- {prose(start)}")
    assert rendered.count("<li>") == 1
    assert not re.search(r"<(ol|h1|blockquote|input)", rendered)
    assert "- [x]" not in f"- {prose(start)}"
