"""Nothing that an agent sends becomes a command, a path or an environment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bisector.agent import reading
from bisector.agent.allowed import Allowed, read_allowed
from bisector.agent.reading import Facts, NothingToRead
from bisector.census import Judgement, Member
from bisector.errors import UsageError

HOSTILE = "evil\x1b[31m.mod:f\u202e"


@pytest.fixture
def allowed(tmp_path):
    (tmp_path / "bench.py").write_text("print('hello')\n")
    texts = ["bench.py -n 8", "web=python -m service.bench"]
    options = {"cwd": str(tmp_path), "env": ["A=1"]}
    return Allowed(read_allowed(texts, ["other", "x"]), 120.0, tmp_path / "runs", options)


def settings(allowed, name="bench", arguments=(), **given):
    return allowed.settings(name, given, arguments, allowed.folder / "run")


def test_benchmarks_have_names_and_commands(allowed):
    commands = {name: each.command for name, each in allowed.benchmarks.items()}
    assert commands == {
        "bench": "bench.py -n 8",
        "web": "python -m service.bench",
        "other": "other x",
    }
    assert list(read_allowed([], ["python", "-m", "a.b"])) == ["a.b"]
    assert list(read_allowed([], ["python", "some dir/x y.py"])) == ["x-y"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([], "nothing is allowed"),
        (["bench.py 'x"], "cannot be read"),
        (["a.py", "b/a.py"], "two benchmarks are named 'a'"),
        (["x="], "names no benchmark"),
    ],
)
def test_what_cannot_be_allowed_is_said(texts, said):
    with pytest.raises(UsageError, match=said):
        read_allowed(texts, None)


def test_how_it_is_run_is_the_users_and_how_it_is_searched_the_agents(allowed):
    made = settings(allowed, threshold="10%", seed=3, include=["app.*:*"], strategy="external")
    assert (made.args, made.env, made.output) == (
        ("-n", "8"),
        (("A", "1"),),
        str(allowed.folder / "run"),
    )
    assert (made.threshold, made.seed, made.include) == (0.1, 3, ("app.*:*",))
    assert made.budget_s == 120.0, "the user's most, where that is less than usual"
    assert made.decider == ()


@pytest.mark.parametrize(
    "given",
    [
        {"prepare": "rm -rf /"},
        {"env": ["PATH=/evil"]},
        {"python": "/evil"},
        {"decider": "evil"},
        {"output": "/evil"},
        {"cwd": "/"},
        {"metric": "time"},
        {"timeout": "1s"},
        {"script": "evil.py"},
        {"command": ["evil"]},
    ],
)
def test_other_options_are_refused(allowed, given):
    with pytest.raises(UsageError, match="is not for an agent to set"):
        settings(allowed, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"min_gain": "60%"}, "min_gain: an agent may only be stricter; give at most 1%"),
        ({"confidence": "50%"}, "confidence: an agent may only be stricter; give at least 95%"),
    ],
)
def test_an_agent_is_stricter_than_the_user_or_as_strict(allowed, given, said):
    with pytest.raises(UsageError, match=said):
        settings(allowed, **given)
    assert settings(allowed, min_gain="0.5%", confidence="99%").min_gain == 0.005
    lax = Allowed(
        allowed.benchmarks,
        120.0,
        allowed.folder,
        {**allowed.options, "min_gain": "60%", "confidence": "50%"},
    )
    assert settings(lax, min_gain="60%", confidence="50%").confidence == 0.5
    assert allowed.benchmark_of(settings(lax)) is None, "it could not have begun here"


def test_arguments_are_refused_unless_the_user_allowed_them(allowed):
    with pytest.raises(UsageError, match="arguments are not allowed here"):
        settings(allowed, arguments=["--evil"])
    free = Allowed(allowed.benchmarks, 120.0, allowed.folder, allowed.options, arguments=True)
    assert settings(free, arguments=["-m", "4"]).args == ("-n", "8", "-m", "4")
    with pytest.raises(UsageError, match="cannot be used"):
        settings(free, arguments=["x" * 2000])
    with pytest.raises(UsageError, match="51 arguments are too many"):
        settings(free, arguments=["x"] * 51)


def test_a_run_is_resumed_only_if_it_could_have_begun_here(allowed):
    ours = settings(allowed, budget="60s", seed=5, strategy="external", native=True)
    assert allowed.benchmark_of(ours) == "bench"
    assert allowed.benchmark_of(settings(allowed, "other")) == "other"
    for change in (
        {"prepare": "evil"},
        {"args": ("-n", "9")},
        {"args": ("-n", "8", "more")},
        {"script": "evil.py"},
        {"env": (("A", "2"),)},
        {"decider": ("evil",)},
        {"budget_s": 1e6},
        {"budget_s": float("nan")},
        {"min_gain": float("nan")},
        {"cwd": "/"},
        {"python": "/evil"},
    ):
        assert allowed.benchmark_of(ours.model_copy(update=change)) is None, change


def member(target, file="", line=0, kind="function"):
    times = {"calls_per_unit": 1.0, "own_cpu_ns_per_unit": 1e6, "own_wait_ns_per_unit": 0.0}
    return Member(target=target, kind=kind, file=str(file), line=line, **times)


LATER = datetime.now(UTC) + timedelta(days=1)


def facts(*members, judgements=(), began=LATER):
    return Facts("run", members, judgements, 0.01, began)


def test_names_are_shown_escaped_and_still_open_what_they_name():
    known = facts(member(HOSTILE), member("evil\x1b[31m.mod:g"))
    (child,) = reading.branches(known, "*:*", 0, 10).children
    assert child.node.isprintable()
    below = reading.branches(known, child.node, 0, 10)
    below = below if below.total > 1 else reading.branches(known, below.children[0].node, 0, 10)
    assert [c.functions for c in below.children] == [1, 1]
    assert all(c.node.isprintable() for c in below.children)


def test_a_bound_is_that_of_the_set_that_was_judged():
    judged = Judgement(
        target="a:*",
        verdict="insensitive",
        reason="measured",
        estimated_gain=None,
        gain_upper95=0.02,
        functions=[0, 1],
    )
    known = facts(member("a:f"), member("a:g"), member("b:h"), judgements=[judged])
    rows = {c.node: c for c in reading.branches(known, "*:*", 0, 10).children}
    assert rows["a:*"].verdicts == {"insensitive": 2}
    assert rows["a:*"].gain_upper95 == 0.02
    assert (rows["b:*"].verdicts, rows["b:*"].gain_upper95) == ({}, None)
    told = reading.verdicts(known, 0, 10)
    assert (told.certified, told.total) == (False, 1)


SOURCE = '''import os


def wrap(f):
    return f


@wrap
def work(n):
    """Adds\x1b[31m."""
    total = 0
    for i in range(n):
        total += i
    return total


def other():
    return "secret"
'''


def test_source_is_of_that_function_and_no_more(tmp_path):
    path = tmp_path / "app.py"
    path.write_text(SOURCE)
    known = facts(member("app:work", path, 8), member("app:work@13", path, 13, "line"))
    told = reading.source(known, "app:work", 100)
    assert told.text.startswith("@wrap\ndef work(n):\n")
    assert told.text.endswith("    return total\n")
    assert "\\x1b[31m" in told.text
    assert "secret" not in told.text
    short = reading.source(known, "app:work", 2)
    assert (short.text, short.truncated) == ("@wrap\ndef work(n):\n", True)
    assert reading.source(known, "app:work@13", 100).text == "        total += i\n"


def test_source_that_is_not_there_is_said(tmp_path):
    binary = tmp_path / "b.py"
    binary.write_bytes(b"\xff\xfe\x00")
    short = tmp_path / "s.py"
    short.write_text("x = 1\n")
    secret = tmp_path / "secret.txt"
    secret.write_text("password: 12\n")
    known = facts(
        member("zlib:compress", kind="native"),
        member("a:f", "<string>", 3),
        member("b:f", binary, 1),
        member("s:f", short, 100),
        member("s:g", short, 1),
        member("s:g@1", short, 1, "line"),
        member("t:f@1", secret, 1, "line"),
    )
    for target, said in (
        ("/etc/passwd", "has seen no function"),
        ("zlib:compress", "has no source file"),
        ("a:f", "not there or no longer what was measured"),
        ("b:f", "no longer what was measured"),
        ("s:f", "no longer what was measured"),
        ("s:g", "no longer what was measured"),
        ("s:g@1", "no longer what was measured"),
        ("t:f@1", "no longer what was measured"),
    ):
        with pytest.raises(NothingToRead, match=said):
            reading.source(known, target, 10)


def test_source_that_was_changed_since_is_not_shown(tmp_path):
    path = tmp_path / "app.py"
    path.write_text(SOURCE)
    began = datetime.now(UTC) - timedelta(days=1)
    with pytest.raises(NothingToRead, match="no longer what was measured"):
        reading.source(facts(member("app:work", path, 8), began=began), "app:work", 10)


def test_long_texts_come_in_parts():
    text = "x" * (reading.MOST_TEXT + 5)
    first = reading.page("run", text, 0)
    rest = reading.page("run", text, first.next_offset)
    assert (len(first.text), len(rest.text), rest.next_offset) == (reading.MOST_TEXT, 5, None)
