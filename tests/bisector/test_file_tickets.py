"""The recipe that files tickets: once each, brought up to date after that, nothing ever closed."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import answers
import hostile
import pytest

from bisector.cli import main
from bisector.schema import Hint
from bisector.summary import summarize

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "examples" / "tickets" / "file_tickets.py"
TRACKERS = pytest.mark.parametrize("tracker", ["gh", "glab"])
FIRST = replace(answers.PYTHON_BOUND, sensitive=answers.PYTHON_BOUND.sensitive[1:])

pytestmark = pytest.mark.process  # of next to nothing


class Desk:
    """A folder with a summary, and a tracker that is not there but for a file."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        for name in ("gh", "glab"):
            tool = folder / "bin" / name
            tool.write_text(f"#!{sys.executable}\n" + (HERE / "tracker.py").read_text())
            tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        self.path = f"{folder / 'bin'}:{os.environ['PATH']}"

    def file(self, answer, *options, context=answers.CONTEXT, code=0):
        summary = summarize(answer, context)
        (self.folder / "summary.json").write_text(summary.model_dump_json(), "utf-8")
        return self.run("summary.json", *options, code=code)

    def run(self, *arguments, code=0):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *arguments],
            cwd=self.folder,
            env={**os.environ, "PATH": self.path, "TRACKER_STATE": str(self.folder / "state")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    @property
    def state(self):
        path = self.folder / "state"
        return json.loads(path.read_text()) if path.exists() else {"issues": [], "calls": []}

    @property
    def issues(self):
        return self.state["issues"]

    def change(self, **more):
        state = self.state
        state["issues"][0] |= more
        (self.folder / "state").write_text(json.dumps(state))


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@TRACKERS
def test_twice_is_one_ticket_and_one_update_and_a_second_finding_is_one_more(desk, tracker):
    assert desk.file(FIRST, "--tracker", tracker).startswith("filed https://tracker.example/")
    ticket = summarize(FIRST, answers.CONTEXT).tickets[0]
    (issue,) = desk.issues
    assert (issue["title"], issue["body"]) == (ticket.title, ticket.body_markdown)
    assert issue["labels"] == ["speedbump-bisect", "performance"]

    later = replace(answers.CONTEXT, run_id="a-later-run")
    told = desk.file(FIRST, "--tracker", tracker, context=later)
    assert told == f"#1 updated: {ticket.title}\n"
    (issue,) = desk.issues
    assert "a-later-run" in issue["body"]
    assert issue["comments"] == []

    told = desk.file(answers.PYTHON_BOUND, "--tracker", tracker)
    assert told.splitlines()[0].startswith("#1 updated: ")
    assert told.splitlines()[1].startswith("filed https://tracker.example/issues/2: ")
    assert len(desk.issues) == 2


@TRACKERS
def test_what_people_wrote_stays(desk, tracker):
    desk.file(FIRST, "--tracker", tracker)
    body = desk.issues[0]["body"]
    desk.change(title="our own words", body=f"Mind you.\n\n{body}\nLooked into by me.\n")
    desk.file(FIRST, "--tracker", tracker, context=replace(answers.CONTEXT, run_id="later"))
    (issue,) = desk.issues
    assert issue["title"] == "our own words"
    assert issue["body"].startswith("Mind you.\n\n<!-- speedbump-bisect: ")
    assert issue["body"].endswith("-->\n\nLooked into by me.\n")
    assert issue["body"].count("#### Numbers") == 1
    assert "`later`" in issue["body"]


@TRACKERS
def test_a_ticket_that_quotes_our_comments_does_not_grow(desk, tracker):
    end = "<!-- end of speedbump-bisect -->"
    quoting = replace(
        answers.CONTEXT,
        command=("python", "bench.py", end, f"\n{end}\n"),
        hints=lambda function: [
            Hint(kind="loop", line=1, text="a", source=end, target=function.target, file="a.py")
        ],
    )
    ours = summarize(FIRST, quoting).tickets[0].body_markdown
    assert ours.count(end) > 3
    desk.file(FIRST, "--tracker", tracker, context=quoting)
    desk.change(body=f"{ours}\r\n  Ours ends with {end}.\r\n")
    for _ in range(2):
        desk.file(FIRST, "--tracker", tracker, context=quoting)
        assert desk.issues[0]["body"] == f"{ours.strip()}\n\r\n  Ours ends with {end}.\r\n"


@TRACKERS
def test_a_co_critical_group_is_found_again_when_another_joins_or_leaves(desk, tracker):
    def group(*names):
        return replace(
            answers.PYTHON_BOUND,
            sensitive=tuple(
                answers.finding(n, 0.3, with_=[other for other in names if other != n])
                for n in names
            ),
        )

    desk.file(group("b:f", "c:f"), "--tracker", tracker)
    assert "#1 updated" in desk.file(group("a:f", "b:f", "c:f"), "--tracker", tracker)
    assert "#1 updated" in desk.file(group("c:f"), "--tracker", tracker)
    assert "#1 updated" in desk.file(group("b:f", "c:f"), "--tracker", tracker)
    assert len(desk.issues) == 1


@TRACKERS
def test_of_a_group_that_falls_apart_each_has_its_own(desk, tracker):
    apart = replace(
        answers.PYTHON_BOUND,
        sensitive=tuple(answers.finding(n, gain) for n, gain in (("b:f", 0.4), ("a:f", 0.3))),
    )
    together = replace(
        answers.PYTHON_BOUND,
        sensitive=(
            answers.finding("a:f", 0.3, with_=["b:f"]),
            answers.finding("b:f", 0.3, with_=["a:f"]),
        ),
    )
    desk.file(together, "--tracker", tracker)
    told = desk.file(apart, "--tracker", tracker).splitlines()
    assert told[0].startswith("filed https://tracker.example/issues/2: b:f limits")
    assert told[1].startswith("#1 updated: a:f limits"), "it was known by this one"
    for _ in range(2):
        told = desk.file(apart, "--tracker", tracker).splitlines()
        assert [line.partition(": ")[0] for line in told] == ["#2 updated", "#1 updated"]
    assert "#1 updated" in desk.file(together, "--tracker", tracker)
    assert len(desk.issues) == 2


@TRACKERS
def test_a_comment_instead(desk, tracker):
    desk.file(FIRST, "--tracker", tracker)
    body = desk.issues[0]["body"]
    assert "#1 commented on" in desk.file(FIRST, "--tracker", tracker, "--comment")
    assert desk.issues[0]["body"] == body
    assert len(desk.issues[0]["comments"]) == 1


@TRACKERS
def test_a_closed_one_is_left_alone_or_opened_again_if_that_is_wanted(desk, tracker):
    desk.file(FIRST, "--tracker", tracker)
    desk.change(open=False)
    assert "#1 is closed and left alone" in desk.file(FIRST, "--tracker", tracker)
    assert not desk.issues[0]["open"]
    assert "#1 updated and reopened" in desk.file(FIRST, "--tracker", tracker, "--reopen")
    assert desk.issues[0]["open"]
    assert len(desk.issues) == 1


@TRACKERS
def test_a_dry_run_only_looks(desk, tracker):
    assert desk.file(FIRST, "--tracker", tracker, "--dry-run").startswith("would be filed: ")
    assert desk.issues == []
    assert desk.state["calls"] == [f"{tracker} issue list"]


@TRACKERS
def test_hostile_names_become_neither_options_nor_shell(desk, tracker):
    names = ("--title=x", "-", "$(touch owned)", "; touch owned", "`touch owned`", "a\nb")
    found = tuple(answers.finding(name, 0.3) for name in names)
    desk.file(replace(answers.PYTHON_BOUND, sensitive=found), "--tracker", tracker)
    desk.file(hostile.ANSWER, "--tracker", tracker, context=hostile.CONTEXT)
    assert len(desk.issues) == len(names) + 3
    assert sorted(os.listdir(desk.folder)) == ["bin", "state", "summary.json"]


def test_more_labels_and_another_repository(desk):
    desk.file(FIRST, "--label", "team", "--repo", "a/b")
    assert desk.issues[0]["labels"] == ["speedbump-bisect", "performance", "team"]
    assert desk.state["labels"] == ["speedbump-bisect", "performance", "team"]


def test_githubs_labels_ignore_case(desk):
    (desk.folder / "state").write_text(json.dumps({"issues": [], "labels": ["Performance"]}))
    desk.file(FIRST, "--label", "Team", "--label", "team")
    assert desk.state["labels"] == ["Performance", "speedbump-bisect", "Team"]


def test_gitlabs_pages_are_all_read(desk):
    desk.file(FIRST, "--tracker", "glab")
    state = desk.state
    (issue,) = state["issues"]
    others = [issue | {"number": n, "body": "other"} for n in range(2, 203)]
    state["issues"] = [*others, issue | {"number": 203}]
    (desk.folder / "state").write_text(json.dumps(state))
    assert "#203 updated" in desk.file(FIRST, "--tracker", "glab")


@pytest.mark.parametrize("name", ["gpu_bound", "out_of_budget"])
def test_where_nothing_is_certain_nothing_is_asked(desk, name):
    assert desk.file(answers.ALL[name]).startswith("nothing to file: ")
    assert desk.state["calls"] == []


def test_what_goes_wrong_is_said_in_a_line(desk):
    assert "cannot be used" in desk.run("gone.json", code=2)
    (desk.folder / "odd.json").write_text('{"schema_version": 7, "tickets": []}')
    assert "of a version not known here" in desk.run("odd.json", code=2)
    (desk.folder / "bin" / "gh").write_text("#!/bin/sh\necho 'gh: not logged in' >&2\nexit 4\n")
    told = desk.file(FIRST, code=1)
    assert told == "file_tickets: gh issue list failed with 4: gh: not logged in\n"
    os.unlink(desk.folder / "bin" / "gh")
    desk.path = str(desk.folder / "bin")
    assert "gh cannot be started: No such file" in desk.file(FIRST, code=1)


def test_what_the_readme_says_to_run_is_understood(capsys):
    readme = (SCRIPT.parents[1] / "README.md").read_text("utf-8")
    given = runpy.run_path(str(SCRIPT))["command_line"]()
    lines = re.findall(r"^.*python \S*file_tickets\.py (.*)$", readme, re.MULTILINE)
    assert len(lines) == 5
    for line in lines:
        assert given.parse_args(shlex.split(line)).summary == "summary.json"
    main(["--help"])
    known = capsys.readouterr().out
    investigations = re.findall(r"speedbump-bisect bench\.py ([^|\n]*)", readme)
    assert len(investigations) == 3
    for line in investigations:
        assert all(word in known for word in line.split() if word.startswith("--"))
