"""`inject`: options to plan, a run that passes everything through, counts that come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from argparse import ArgumentParser
from pathlib import Path

import pytest

from bisector.commands import inject
from bisector.errors import RunDirectoryError, UsageError
from bisector.nearest import names_beside, nearest
from bisector.plan_by_hand import plan_by_hand
from bisector.run_directory import RunDirectory
from injector.plan import Dose, Plan, Site

ROOT = Path(__file__).resolve().parents[2]


def options(*arguments):
    parser = ArgumentParser()
    inject.configure(parser)
    return parser.parse_args(arguments)


def plan_of(*arguments, **environ):
    return plan_by_hand(options(*arguments), environ)[0]


# -- options to plan ------------------------------------------------------------------------------


def test_patterns_files_and_exclusions_become_rules_in_order(tmp_path):
    file = tmp_path / "targets.txt"
    file.write_text("# comment\nnumpy.*:*   # all of it\n!numpy.linalg:*\n", "utf-8")
    plan = plan_of("--targets", str(file), "--targets", "a.b:C.*", "--delay", "20us")
    assert plan.rules == ("numpy.*:*", "!numpy.linalg:*", "a.b:C.*")
    assert plan.delay_ns == pytest.approx(20_000)
    assert (plan.mode, plan.every, plan.warmup_ms, plan.duration_ms) == ("delay", 1, 0.0, None)


def test_without_a_delay_it_is_ten_microseconds():
    assert plan_of("--targets", "a:*").delay_ns == pytest.approx(10_000)


def test_every_start_and_duration():
    plan = plan_of("--targets", "a:*", "--every", "10", "--start", "5s", "--duration", "30s")
    assert (plan.every, plan.warmup_ms, plan.duration_ms) == (10, 5000.0, 30000.0)


def test_speed_bump_variables_mean_what_its_documentation_says(tmp_path):
    file = tmp_path / "targets.txt"
    file.write_text("vllm.*:*\n", "utf-8")
    plan, used = plan_by_hand(
        options(),
        {
            "SPEED_BUMP_TARGETS": str(file),
            "SPEED_BUMP_DELAY_NS": "5000",
            "SPEED_BUMP_FREQUENCY": "10",
            "SPEED_BUMP_START_MS": "1000",
            "SPEED_BUMP_DURATION_MS": "2000",
        },
    )
    assert plan.rules == ("vllm.*:*",)
    assert (plan.delay_ns, plan.every) == (5000.0, 10)
    assert (plan.warmup_ms, plan.duration_ms) == (1000.0, 2000.0)
    assert used == ["SPEED_BUMP_TARGETS"]
    plan = plan_of(SPEED_BUMP_TARGETS=str(file), SPEED_BUMP_DURATION_MS="0")
    assert (plan.delay_ns, plan.every, plan.duration_ms) == (1000.0, 1, None)


def test_options_come_before_variables():
    environ = {"SPEED_BUMP_TARGETS": "/nowhere", "SPEED_BUMP_DELAY_NS": "5000"}
    plan, used = plan_by_hand(options("--targets", "a:*", "--delay", "7us"), environ)
    assert plan.rules == ("a:*",)
    assert plan.delay_ns == pytest.approx(7000)
    assert used == []


def test_a_plan_file_is_taken_as_it_is(tmp_path):
    dose = Dose("a:f", 3, (Site("call", 12, "wait", 5e5),))
    file = tmp_path / "plan.json"
    file.write_text(Plan(doses=(dose,), warmup_ms=7.0).to_json(), "utf-8")
    plan = plan_of("--plan", str(file))
    assert plan.doses == (dose,)
    assert plan.warmup_ms == 7.0


@pytest.mark.parametrize(
    ("arguments", "environ", "says"),
    [
        ([], {}, "nothing to delay"),
        (["--targets", "no_such_file.txt"], {}, "neither a targets file nor a pattern"),
        (["--targets", "a:"], {}, "both sides of ':'"),
        (["--targets", "!a:*"], {}, "names nothing to delay"),
        (["--targets", "a:*", "--delay", "10"], {}, "has no unit"),
        (["--targets", "a:*", "--delay", "2h"], {}, "out of range"),
        (["--targets", "a:*", "--every", "0"], {}, "1 or more"),
        (["--targets", "a:*", "--every", "x"], {}, "whole number"),
        (["--targets", "a:*"], {"SPEED_BUMP_DELAY_NS": "fast"}, "SPEED_BUMP_DELAY_NS"),
        (["--plan", "missing.json"], {}, "No such file"),
        (["--plan", "x.json", "--delay", "1us"], {}, "drop --delay"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(arguments, environ, says, tmp_path):
    with pytest.raises(UsageError, match=says) as caught:
        plan_by_hand(options(*arguments), environ)
    assert "\n" not in str(caught.value)


def test_a_targets_file_with_a_bad_line_is_named_with_the_line(tmp_path):
    file = tmp_path / "targets.txt"
    file.write_text("a:*\nnonsense\n", "utf-8")
    with pytest.raises(UsageError, match=r"targets.txt: line 2"):
        plan_of("--targets", str(file))


def test_a_plan_to_discover_delays_nothing_and_is_refused(tmp_path):
    file = tmp_path / "plan.json"
    file.write_text(Plan(mode="discover").to_json(), "utf-8")
    with pytest.raises(UsageError, match="plan to discover"):
        plan_of("--plan", str(file))


def test_the_command_is_required_and_is_a_command():
    with pytest.raises(UsageError, match="no command given"):
        inject.execute(options("--targets", "a:*"), None)
    with pytest.raises(UsageError, match=r"write -- python bench\.py"):
        inject.execute(options("--targets", "a:*"), ["bench.py"])


def test_nearest_names_know_the_script_as_main(tmp_path):
    (tmp_path / "sampler.py").write_text("class Sampler:\n def sample_token(self): pass\n")
    script = tmp_path / "bench.py"
    script.write_text("def work():\n pass\n")
    names = names_beside(script, tmp_path)
    assert names == {"__main__:work", "sampler:Sampler.sample_token"}
    assert nearest("bench:work", names) == ["__main__:work"]
    assert nearest("sampler:Sampler.sample_tokn", names) == ["sampler:Sampler.sample_token"]
    assert nearest("entirely:different", names) == []


# -- real runs ------------------------------------------------------------------------------------

BENCH = """
    import os, signal, subprocess, sys
    class Worker:
        def step(self):
            return sum(range(50))
        def numbers(self):
            yield 1
            yield 2
    def other():
        return 1
    if __name__ == "__main__":
        worker = Worker()
        for _ in range(100):
            worker.step()
            other()
            list(worker.numbers())
        sys.stdout.buffer.write(sys.stdin.buffer.read())
        sys.stderr.write("err\\n")
        if "child" in sys.argv:
            subprocess.run([sys.executable, __file__], stdin=subprocess.DEVNULL)
        if "kill" in sys.argv:
            os.kill(os.getpid(), signal.SIGTERM)
        if "ignored" in sys.argv:
            print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        sys.exit(int(os.environ.get("CODE", 0)))
"""


@pytest.fixture
def bench(tmp_path):
    path = tmp_path / "bench.py"
    path.write_text(textwrap.dedent(BENCH), "utf-8")
    return path


def run(folder, *arguments, stdin=b"", command=None, **environ):
    words = [sys.executable, "-m", "bisector", "inject", *arguments]
    words += ["--", *(command or [sys.executable, "bench.py"])]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        words,
        check=False,
        cwd=folder,
        input=stdin,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path, **environ},
        timeout=60,
    )


@pytest.mark.process
def test_streams_and_exit_code_are_the_targets_and_counts_are_exact(bench):
    out = bench.with_name("out.json")
    done = run(
        bench.parent,
        *("--targets", "__main__:Worker.*", "--delay", "10us", "--json", str(out)),
        stdin=b"\xff\x00 raw",
        CODE="7",
    )
    assert done.returncode == 7
    assert done.stdout == b"\xff\x00 raw"
    assert done.stderr.startswith(b"err\n")
    assert b"__main__:Worker.step" in done.stderr
    counted = {t["target"]: t for t in json.loads(out.read_text("utf-8"))["targets"]}
    assert set(counted) == {"__main__:Worker.step", "__main__:Worker.numbers"}
    step = counted["__main__:Worker.step"]
    assert (step["kind"], step["calls"]) == ("function", 100)
    # A spin that was interrupted has given too much, and the next one, of whichever target, less.
    assert 0 < step["delays"] <= 100
    assert sum(target["delayed_ns"] for target in counted.values()) >= 0.99 * 200 * 10_000
    assert counted["__main__:Worker.numbers"]["calls"] == 100, "a generator counts once"


@pytest.mark.process
def test_children_are_listed_and_summed(bench):
    done = run(
        bench.parent,
        *("--targets", "__main__:other", "--json", "-", "--quiet"),
        command=[sys.executable, "bench.py", "child"],
    )
    assert done.stderr == b"err\nerr\n"
    document = json.loads(done.stdout)
    parent, child = document["processes"]
    assert child["parent"] == parent["pid"]
    assert {p["targets"][0]["calls"] for p in document["processes"]} == {100}
    assert [t["calls"] for t in document["targets"]] == [200]
    assert set(parent) >= {"pid", "parent", "python", "backend", "targets"}


@pytest.mark.process
def test_interpreters_of_other_versions_count_alike(bench):
    mine = Path(sys.base_prefix, "bin", "python3").resolve()
    found = subprocess.run([ROOT / ".ci" / "pythons"], capture_output=True, text=True, check=True)
    others = [python for python in found.stdout.split() if Path(python).resolve() != mine]
    if not others:
        pytest.skip("there is no other supported Python here")
    for python in others:
        done = run(
            bench.parent,
            *("--targets", "__main__:Worker.*", "--delay", "10us", "--json", "-", "--quiet"),
            command=[python, "bench.py"],
        )
        document = json.loads(done.stdout)
        (process,) = document["processes"]
        assert process["python"].rpartition(".")[0] in python
        assert {t["target"]: t["calls"] for t in document["targets"]} == {
            "__main__:Worker.step": 100,
            "__main__:Worker.numbers": 100,
        }


@pytest.mark.process
def test_a_plan_file_delays_its_sites(bench):
    import ast

    tree = ast.parse(bench.read_text("utf-8"))
    line = next(n.lineno for n in ast.walk(tree) if getattr(n, "name", "") == "step")
    dose = Dose("__main__:Worker.step", line, (Site("entry", -1, "gil", 20_000.0),))
    plan = bench.with_name("plan.json")
    plan.write_text(Plan(doses=(dose,)).to_json(), "utf-8")
    done = run(bench.parent, "--plan", str(plan), "--json", "-", "--quiet")
    (target,) = json.loads(done.stdout)["targets"]
    assert target["target"] == "__main__:Worker.step"
    assert target["delayed_ns"] == pytest.approx(100 * 20_000, rel=0.5)


@pytest.mark.process
def test_every_nth_call_from_speed_bumps_variables(bench):
    (bench.parent / "targets.txt").write_text("bench.py:Worker.step\n", "utf-8")
    done = run(
        bench.parent,
        *("--json", "-", "--quiet"),
        SPEED_BUMP_TARGETS="targets.txt",
        SPEED_BUMP_DELAY_NS="50000",
        SPEED_BUMP_FREQUENCY="10",
    )
    (target,) = json.loads(done.stdout)["targets"]
    assert target["calls"] == 100
    assert 0 < target["delays"] <= 10
    assert target["delayed_ns"] >= 0.99 * 10 * 50_000


@pytest.mark.process
def test_what_matches_nothing_is_said_with_the_nearest_name(bench):
    done = run(bench.parent, "--targets", "bench:Worker.step", CODE="3")
    assert done.returncode == 3
    text = " ".join(done.stderr.decode().split())
    assert "nothing that ran matches bench:Worker.step" in text
    assert "__main__:Worker.step" in text


@pytest.mark.process
def test_death_by_a_signal_is_128_and_its_number(bench):
    done = run(
        bench.parent,
        *("--targets", "__main__:*"),
        command=[sys.executable, "bench.py", "kill"],
    )
    assert done.returncode == 128 + signal.SIGTERM
    assert b"__main__:Worker.step" in done.stderr, "records survive"


@pytest.mark.process
def test_the_target_has_the_signal_handling_it_would_have_alone(bench):
    done = run(
        bench.parent,
        *("--targets", "__main__:*", "--quiet"),
        command=[sys.executable, "bench.py", "ignored"],
    )
    assert done.stdout == b"True\n"


@pytest.mark.process
def test_nothing_attached_is_an_error_that_names_the_reason(bench):
    arguments = ("--targets", "__main__:*")
    isolated = [sys.executable, "-I", "bench.py"]
    done = run(bench.parent, *arguments, command=isolated)
    assert done.returncode == 1
    assert b"nothing attached: python -I ignores PYTHONPATH" in done.stderr
    assert run(bench.parent, *arguments, command=isolated, CODE="9").returncode == 9
    assert b"Traceback" not in done.stderr


@pytest.mark.process
def test_a_termination_request_reaches_the_target(bench):
    script = bench.with_name("waits.py")
    script.write_text(
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n",
        "utf-8",
    )
    words = [sys.executable, "-m", "bisector", "inject", "--targets", "a:*", "--quiet", "--"]
    child = subprocess.Popen(
        [*words, sys.executable, str(script)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with child:
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == 5


@pytest.mark.process
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--targets", "a:*", "--json", "/nowhere/x.json"), b"--json: /nowhere/x.json"),
        (("--targets", "a:*", "--dealy", "1us"), b"did you mean --delay?"),
    ],
)
def test_usage_errors_exit_with_2_before_anything_runs(bench, arguments, says):
    done = run(bench.parent, *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == b""


@pytest.mark.process
def test_work_in_processes_that_nothing_attached_to_is_said(bench):
    work = "import time\nwhile time.process_time() < 0.5: pass\n"
    bench.write_text(
        "import subprocess, sys\ndef step(): pass\nstep()\n"
        f"subprocess.run([sys.executable, '-c', {work!r}], env={{}}, check=True)\n"
    )
    done = run(bench.parent, "--targets", "__main__:step")
    assert done.returncode == 0
    said = b" ".join(done.stderr.split())
    assert b"% of the CPU time was used by processes that nothing attached to" in said


def test_a_delay_below_what_can_be_spun_is_thinned_and_it_is_said(tmp_path):
    script = tmp_path / "program.py"
    script.write_text("def step(): pass\nfor _ in range(100): step()\n")
    done, document = injected(tmp_path, script, "--targets", "__main__:step", "--delay", "100ns")
    (target,) = document["targets"]
    assert target["calls"] == 100
    assert target["delays"] <= 20  # with the Python twin the callback is more than that
    assert "too short to be spun exactly" in done.stderr


def test_finer_targets_are_counted_with_their_kind(tmp_path):
    script = tmp_path / "program.py"
    script.write_text("import zlib\ndef step():\n    zlib.crc32(b'x')\nfor _ in range(5): step()\n")
    options = ("--native", "--targets", "__main__:step", "--targets", "zlib:*")
    lines = ("--lines", "--targets", "__main__:step@3") if sys.version_info >= (3, 12) else ()
    _, document = injected(tmp_path, script, *options, *lines)
    counted = {t["target"]: (t["kind"], t["calls"]) for t in document["targets"]}
    expected = {"__main__:step": ("function", 5), "zlib:crc32": ("native", 5)}
    assert counted == expected | ({"__main__:step@3": ("line", 5)} if lines else {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_refused(tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text(Plan().to_json())
    os.chown(plan, 65534, 65534)
    with pytest.raises(UsageError, match="belongs to another user"):
        plan_of("--plan", str(plan))
    folder = tmp_path / "run"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(RunDirectoryError, match="belongs to another user"):
        RunDirectory(folder)
    assert not list(folder.iterdir())


def injected(folder, script, *options):
    """A run of a script by hand: the finished process, and its JSON document."""
    out = folder / "out.json"
    command = [sys.executable, "-m", "bisector", "inject", *options, "--json", str(out), "--"]
    done = subprocess.run(
        [*command, sys.executable, str(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return done, json.loads(out.read_text())
