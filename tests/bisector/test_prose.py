"""Sentences taken apart: what is a name, and that nothing is lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisector.prose import spans


def names(sentence):
    return [span.text for span in spans(sentence) if span.is_name]


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("Making pkg.mod:f free would save up to 31% of it.", ["pkg.mod:f"]),
        ("f (pkg.mod:C.f, 45%) and others", ["pkg.mod:C.f"]),
        ("in /srv/app/x.py:12) it", ["/srv/app/x.py:12"]),
        ("the effect of *:*.", ["*:*"]),
        ("a:b(x) stays", ["a:b(x)"]),
        ("a.b:f.<locals>.<lambda>!", ["a.b:f.<locals>.<lambda>"]),
        ("`speedbump-bisect resume /a b` goes on", ["speedbump-bisect resume /a b"]),
        ("`x` is no command of ours", ["`x`"]),
        ("ask @someone about #12, see !3 and ~4", ["@someone", "#12", "!3", "~4"]),
        ("since 327c4d9 it is 1234567 times", ["327c4d9", "1234567"]),
        ("as of GH-12 (JIRA-345), CVE-2026-1", ["GH-12", "JIRA-345", "CVE-2026-1"]),
        ("a larger --budget", ["--budget"]),
        ("__main__ waits", ["__main__"]),
        ("153.8 tokens/s [152.9 … 154.7] · 6.50 ms, κ 1.00, −7.2%, -3.0%, 1e-09", []),
        ("it isn't, family-wise: 5% (yes)", []),
        ("שלום stands apart", ["שלום"]),
    ],
)
def test_names_are_told_from_words(sentence, found):
    assert names(sentence) == found


@given(st.text())
def test_nothing_is_lost_or_added(text):
    sentence = text.replace("`", "")
    assert "".join(span.text for span in spans(sentence)) == sentence


@given(st.text(alphabet="ab*_`<>[]()#@!~$&|\\:/.- 1", max_size=20))
def test_what_is_no_name_needs_no_escaping(text):
    plain = "".join(span.text for span in spans(text) if not span.is_name)
    assert not set(plain) & set("*_`<>#@~$&|\\")
