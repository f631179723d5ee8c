"""The command line as a user meets it: messages, exit codes, and what it costs to start."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from scripted import CALIBRATION, ScriptedEngine

import bisector
from bisector import cli

ROOT = Path(__file__).parents[2]


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.fixture
def complaint(capsys, tmp_path, monkeypatch):
    """Runs a command line that must fail as a usage error; returns its one sentence."""
    monkeypatch.chdir(tmp_path)

    def of(*arguments):
        assert run(*arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == "", "standard output carries the result and nothing else"
        (line,) = captured.err.splitlines()
        assert line.startswith("speedbump-bisect: ")
        assert os.listdir(tmp_path) in ([], ["bench.py"]), "nothing was made"
        return line.removeprefix("speedbump-bisect: ")

    return of


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ([], "no benchmark given; write speedbump-bisect bench.py"),
            (["--"], "no benchmark given"),
            (["gone.py"], "gone.py: there is no such file"),
            (["/tmp"], "/tmp is a directory; name the script in it"),
            (["gone.py", "--budget", "soon"], "--budget: 'soon' is not a time"),
            (["gone.py", "--delay", "10"], "--delay: '10' has no unit"),
            (["gone.py", "--min-gain", "much"], "--min-gain: 'much' is not a fraction"),
            (["gone.py", "--include", "nocolon"], "--include: 'nocolon' has no ':'"),
            (["gone.py", "--bugdet", "2h"], "no option --bugdet; did you mean --budget?"),
            (["gone.py", "fast"], "'fast' is one argument too many"),
            (["gone.py", "--budget"], "argument --budget: expected one argument"),
            (["--budget", "1m", "--", "nosuchprogram"], "nosuchprogram: there is no such program"),
            (["resume"], "the following arguments are required: DIR"),
            (["resume", "gone"], "gone is not a run directory"),
            (["report", "gone"], "gone is not a run directory"),
            (["resume", "gone", "--", "x"], "resume takes no command"),
        ],
    )
    def test_one_sentence_and_exit_code_2(self, complaint, arguments, sentence):
        assert sentence in complaint(*arguments)

    def test_a_file_named_like_a_command_is_named_with_its_folder(self, complaint, tmp_path):
        assert "gone.py" not in complaint("./resume")
        assert "./resume: there is no such file" in complaint("./resume")

    @pytest.mark.process
    @pytest.mark.parametrize("target", ["/no/such/folder/x.json", "/tmp"])
    def test_a_json_file_that_cannot_be_written_is_said_before_the_work(
        self, complaint, tmp_path, target
    ):
        (tmp_path / "bench.py").write_text("pass\n")
        assert "--json: " in complaint("bench.py", "--json", target)

    @pytest.mark.process
    def test_an_output_directory_that_cannot_be_made_is_said(self, complaint, tmp_path):
        (tmp_path / "bench.py").write_text("pass\n")
        assert "choose another --output" in complaint(
            "bench.py", "--output", "/proc/nothing", "--quiet"
        )

    def test_a_defect_is_one_sentence_and_a_log_never_a_traceback(self, capsys, monkeypatch):
        monkeypatch.setattr(cli, "_dispatch", lambda arguments: 1 // 0)
        assert run() == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "ZeroDivisionError" in line
        log = Path(line.rpartition("details are in ")[2])
        assert "Traceback" in log.read_text()
        log.unlink()

    def test_help_names_every_option_of_the_contract(self, capsys):
        assert run("--help") == 0
        text = capsys.readouterr().out
        for option in (
            *("--budget", "--metric", "--lower-is-better", "--dose", "--delay", "--min-gain"),
            *("--threshold", "--confidence", "--strategy", "--mode", "--seed", "--include"),
            *("--exclude", "--warmup", "--duration", "--prepare", "--timeout", "--env", "--cwd"),
            *("--python", "--output", "--json", "--html", "--quiet", "--no-color"),
        ):
            assert option in text

    @pytest.mark.parametrize("command", sorted(cli.COMMANDS))
    def test_every_command_has_help(self, capsys, command):
        assert run(command, "--help") == 0
        assert command in capsys.readouterr().out

    def test_the_version_is_that_of_the_distribution(self, capsys):
        assert run("--version") == 0
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert capsys.readouterr().out == f"speedbump-bisect {version}\n"
        assert bisector.__version__ == version


class TestResult:
    @pytest.fixture(autouse=True)
    def scripted(self, monkeypatch, tmp_path):
        from bisector import session

        monkeypatch.setattr(session, "Engine", ScriptedEngine)
        monkeypatch.setattr(session, "calibrate", lambda workload: CALIBRATION)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "bench.py").write_text("import time\ntime.sleep(0.15)\n")

    pytestmark = pytest.mark.process

    def test_a_certified_answer_exits_0_and_is_on_standard_output(self, capsys):
        assert run("bench.py", "--output", "out", "--quiet", "--no-color") == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        assert captured.out.strip()
        assert "\x1b" not in captured.out

    def test_json_on_standard_output_is_the_summary_and_nothing_else(self, capsys):
        from bisector.summary import Summary

        assert run("bench.py", "--json", "-") == 0
        captured = capsys.readouterr()
        summary = Summary.model_validate_json(captured.out)
        assert Path(summary.run_directory).parent == Path(".speedbump").absolute()
        assert captured.err, "progress goes to standard error"

    def test_json_in_a_file_goes_with_the_report(self, capsys, tmp_path):
        assert run("bench.py", "--quiet", "--json", "out.json") == 0
        assert (tmp_path / "out.json").read_text().startswith("{")
        assert capsys.readouterr().out

    def test_a_benchmark_that_fails_exits_1_with_its_reason(self, capsys, tmp_path):
        (tmp_path / "bench.py").write_text(
            "import time; time.sleep(.1); raise ValueError('boom')\n"
        )
        assert run("bench.py", "--quiet") == 1
        assert "ValueError: boom" in " ".join(capsys.readouterr().out.split())

    def test_an_answer_that_is_not_certain_exits_3(self, capsys, monkeypatch):
        monkeypatch.setattr(ScriptedEngine, "RUNS", 10**6)
        assert run("bench.py", "--quiet", "--budget", "1s") == 3

    def test_resume_and_report_tell_the_same(self, capsys):
        run("bench.py", "--quiet", "--output", "out")
        told = [capsys.readouterr().out]
        for command in ("report", "resume"):
            assert run(command, "out", *(["--quiet"] if command == "resume" else [])) == 0
            told.append(capsys.readouterr().out)
        assert told[1] == told[0]
        assert told[2].splitlines()[0] == told[0].splitlines()[0]


@pytest.mark.process
class TestStart:
    """What is not needed is not loaded: help must not wait for a statistics package."""

    HEAVY = (
        *("scipy", "numpy", "networkx", "pydantic", "rich", "joblib", "psutil"),
        *("jinja2", "plotly"),
    )

    @pytest.mark.parametrize(
        "statement", ["import bisector", "import bisector.cli as c; c.main(['--help'])"]
    )
    def test_nothing_heavy_is_imported(self, statement):
        program = f"import sys; {statement}; print(*sorted(sys.modules), file=sys.stderr)"
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
        )
        loaded = {name.partition(".")[0] for name in done.stderr.split()}
        assert not loaded & set(self.HEAVY)

    def test_a_reader_that_goes_away_is_no_error_of_ours(self):
        command = f"{sys.executable} -m bisector --help | head -c 1"
        done = subprocess.run(
            ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
