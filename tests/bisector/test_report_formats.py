"""`--html` and `report --format`: where a result goes, and what is said when it cannot go there."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3

import pytest
from scripted import CALIBRATION, ScriptedEngine

from bisector import cli, session
from bisector.journal import FORMAT
from bisector.run_directory import RunDirectory
from bisector.summary import Summary

pytestmark = pytest.mark.process  # the warden and a benchmark of next to nothing

FORMATS = {
    "text": "Python is not the bottleneck",
    "json": "{",
    "md": "### Python is not the bottleneck",
    "html": "<!DOCTYPE html>",
    "speedscope": '{"$schema"',
}


@pytest.fixture(autouse=True)
def scripted(monkeypatch, tmp_path):
    monkeypatch.setattr(session, "Engine", ScriptedEngine)
    monkeypatch.setattr(ScriptedEngine, "RUNS", 2)
    monkeypatch.setattr(session, "calibrate", lambda workload: CALIBRATION)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.py").write_text("import time\ntime.sleep(0.02)\n")


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture
def finished(tmp_path, capsys):
    assert run("bench.py", "--quiet", "--output", "out") == 0
    capsys.readouterr()
    return tmp_path / "out"


@pytest.fixture
def complaint(capsys):
    """Runs a command line that must fail as a usage error; returns its one sentence."""

    def of(*arguments):
        assert run(*arguments) == 2
        captured = capsys.readouterr()
        (line,) = captured.err.splitlines()
        return line.removeprefix("speedbump-bisect: ")

    return of


class TestReport:
    @pytest.mark.parametrize(("name", "begins"), FORMATS.items())
    def test_each_format_on_standard_output_and_in_a_file(self, finished, capsys, name, begins):
        assert run("report", finished, "--format", name) == 0
        told = capsys.readouterr()
        assert told.out.lstrip().startswith(begins)
        assert told.err == ""
        assert run("report", finished, "--format", name, "--output", "told") == 0
        assert capsys.readouterr().out == ""
        assert (finished.parent / "told").read_text("utf-8") == told.out

    def test_json_and_html_go_beside_what_is_printed(self, finished, capsys):
        assert run("report", finished, "--format", "md", "--json", "a", "--html", "b") == 0
        assert capsys.readouterr().out.startswith("### ")
        Summary.model_validate_json((finished.parent / "a").read_bytes())
        assert "<!DOCTYPE html>" in (finished.parent / "b").read_text("utf-8")

    def test_json_on_standard_output_while_the_format_goes_to_a_file(self, finished, capsys):
        assert run("report", finished, "--format", "md", "--output", "a", "--json", "-") == 0
        Summary.model_validate_json(capsys.readouterr().out)
        assert (finished.parent / "a").read_text("utf-8").startswith("### ")

    def test_it_exits_as_the_run_did(self, capsys, monkeypatch):
        monkeypatch.setattr(ScriptedEngine, "RUNS", 10**6)
        assert run("bench.py", "--quiet", "--budget", "1s", "--output", "out") == 3
        assert run("report", "out", "--format", "html") == 3

    def test_a_run_that_was_moved_is_read_where_it_is(self, finished, capsys):
        shutil.move(finished, "elsewhere")
        assert run("report", "elsewhere", "--format", "html") == 0
        assert "Every measurement" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("--format", "pdf"), "argument --format: invalid choice: 'pdf'"),
            (("--format", "md", "--json", "-"), "both want standard output"),
            (("--html", "-"), "--html: - is no file; name one"),
            (("--html", "."), "--html: . is a directory; name a file"),
            (("--html", "no/where.html"), "--html: there is no directory no; make it first"),
            (("--output", "no/where"), "--output: there is no directory no; make it first"),
            (("--json", "a", "--html", "./a"), "is named twice"),
        ],
    )
    def test_what_cannot_be_done_is_said(self, finished, complaint, arguments, sentence):
        assert sentence in complaint("report", finished, *arguments)

    @pytest.mark.parametrize("name", FORMATS)
    def test_a_full_disk_is_said_with_how_to_go_on(self, finished, complaint, name):
        sentence = complaint("report", finished, "--format", name, "--output", "/dev/full")
        assert "--output: /dev/full cannot be written: No space left on device" in sentence
        assert f"speedbump-bisect report {finished}" in sentence


@pytest.mark.parametrize("name", FORMATS)
class TestUnusableRuns:
    def test_no_run(self, tmp_path, complaint, name):
        (tmp_path / "empty").mkdir()
        assert "holds no run" in complaint("report", "empty", "--format", name)
        assert "is not a run directory" in complaint("report", "gone", "--format", name)
        (tmp_path / "empty" / "journal.db").touch()
        assert "its journal is empty" in complaint("report", "empty", "--format", name)

    def test_a_summary_of_a_newer_version(self, finished, complaint, name):
        summary = json.loads((finished / "summary.json").read_text())
        (finished / "summary.json").write_text(json.dumps(summary | {"schema_version": 2}))
        sentence = complaint("report", finished, "--format", name)
        assert "was written by a newer version (schema 2" in sentence
        assert "upgrade speedbump-bisect" in sentence

    @pytest.mark.parametrize(
        "content",
        [
            "{",
            "[]",
            "null",
            '{"schema_version": 1}',
            '{"schema_version": "2"}',
            "\x00",
            "[" * 10**5,
        ],
    )
    def test_a_summary_that_is_damaged(self, finished, complaint, name, content):
        (finished / "summary.json").write_text(content)
        assert "summary.json is damaged; remove it" in complaint(
            "report", finished, "--format", name
        )

    def test_a_summary_that_is_no_file(self, finished, complaint, name):
        os.unlink(finished / "summary.json")
        os.mkfifo(finished / "summary.json")
        os.utime(finished / "summary.json", (2e9, 2e9))
        assert "summary.json is damaged" in complaint("report", finished, "--format", name)
        os.unlink(finished / "journal.db")
        os.mkfifo(finished / "journal.db")
        assert "holds no run" in complaint("report", finished, "--format", name)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
    def test_a_summary_that_may_not_be_read(self, finished, complaint, name):
        os.chmod(finished / "summary.json", 0)
        assert "summary.json cannot be read" in complaint("report", finished, "--format", name)

    def test_a_journal_of_a_newer_version(self, finished, complaint, name):
        os.unlink(finished / "summary.json")
        with sqlite3.connect(finished / "journal.db") as connection:
            connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
        assert "was written by a newer version" in complaint("report", finished, "--format", name)

    def test_a_run_that_was_killed_is_told_from_its_journal(self, finished, capsys, name):
        os.unlink(finished / "summary.json")
        os.unlink(finished / "census.json")
        assert run("report", finished, "--format", name) == 0
        assert capsys.readouterr().out.lstrip().startswith(FORMATS[name])
        assert not (finished / "summary.json").exists(), "nothing is written there"

    def test_a_run_that_is_still_being_made_says_so(self, finished, capsys, name):
        with RunDirectory(finished):
            assert run("report", finished, "--format", name) == 0
        told = capsys.readouterr()
        sentence = f"{finished} is still being measured; this is what is known so far"
        assert told.err == f"speedbump-bisect: {sentence}\n"
        assert told.out.lstrip().startswith(FORMATS[name])


def test_a_census_that_is_damaged_costs_only_what_needs_it(finished, complaint, capsys):
    (finished / "census.json").write_text("{")
    assert run("report", finished) == 0
    assert "Python is not the bottleneck" in capsys.readouterr().out
    sentence = complaint("report", finished, "--format", "html")
    assert "census.json is damaged; remove it, and report tells what it can without" in sentence


def test_arguments_that_are_no_text_are_told(capsys, tmp_path):
    assert (
        run(
            "bench.py",
            "--quiet",
            "--output",
            "out",
            "--html",
            "a.html",
            "--",
            b"\xff".decode("utf-8", "surrogateescape"),
        )
        == 0
    )
    assert "Python is not the bottleneck" in capsys.readouterr().out
    for name in FORMATS:
        assert run("report", "out", "--format", name) == 0
    assert (
        json.loads((tmp_path / "out" / "summary.json").read_text("utf-8"))["benchmark"]["command"][
            -1
        ]
        == "\\udcff"
    )


class TestHtmlOfAnInvestigation:
    def test_it_goes_with_the_report(self, capsys, tmp_path):
        assert run("bench.py", "--quiet", "--html", "page.html") == 0
        assert "Python is not the bottleneck" in capsys.readouterr().out
        page = (tmp_path / "page.html").read_text("utf-8")
        assert "Every measurement" in page
        assert "still going on" not in page

    @pytest.mark.parametrize("target", ["/no/such/folder/x.html", "/tmp", "-"])
    def test_a_path_that_cannot_be_written_is_said_before_the_work(
        self, complaint, tmp_path, target
    ):
        assert "--html: " in complaint("bench.py", "--html", target)
        assert os.listdir(tmp_path) == ["bench.py"], "nothing was made"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_so_is_one_that_may_not_be_written(self, complaint, tmp_path):
        (tmp_path / "kept.html").touch(0o400)
        assert "may not be written to" in complaint("bench.py", "--html", "kept.html")

    @pytest.mark.parametrize("missing", ["jinja2", "plotly"])
    def test_so_is_what_is_not_installed(self, complaint, monkeypatch, tmp_path, missing):
        find = importlib.util.find_spec
        monkeypatch.setattr(
            "bisector.reporting.formats.find_spec",
            lambda name: None if name == missing else find(name),
        )
        sentence = complaint("bench.py", "--html", "page.html")
        assert sentence.lower().startswith(f"--html needs {missing}, not installed here; pip")
        assert os.listdir(tmp_path) == ["bench.py"]

    def test_one_that_fails_afterwards_costs_nothing_else(self, capsys, tmp_path):
        arguments = ("--html", "/dev/full", "--json", "all.json", "--output", "out")
        assert run("bench.py", "--quiet", *arguments) == 2
        told = capsys.readouterr()
        assert "Python is not the bottleneck" in told.out
        (line,) = told.err.splitlines()
        assert "--html: /dev/full cannot be written" in line
        assert f"speedbump-bisect report {tmp_path / 'out'}" in line
        Summary.model_validate_json((tmp_path / "all.json").read_bytes())
        assert run("report", "out", "--html", "page.html") == 0

    def test_a_defect_in_the_page_costs_nothing_else_either(self, capsys, monkeypatch):
        monkeypatch.setattr("bisector.reporting.html.document.html", lambda evidence: 1 // 0)
        assert run("bench.py", "--quiet", "--html", "page.html") == 1
        told = capsys.readouterr()
        assert "Python is not the bottleneck" in told.out
        (line,) = told.err.splitlines()
        assert "ZeroDivisionError" in line
        os.unlink(line.rpartition("details are in ")[2])
