"""A decider that is a command: whatever it does ends in a sentence, and nothing of it is left."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import deciders
import pytest
from aliveness import is_alive, wait_until
from planted import CRITICAL
from scripted import CALIBRATION
from synthetic_executor import SyntheticExecutor

from bisector import session
from bisector.deciding.process import ProcessDecider, read_command
from bisector.errors import UsageError
from bisector.journal import Journal
from bisector.recall import recall
from bisector.session import begin, resume
from bisector.settings import read_settings

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]


def command(name, *arguments):
    return shlex.join([sys.executable, deciders.__file__, name, *arguments])


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    monkeypatch.setattr(session, "RunExecutor", SyntheticExecutor)
    monkeypatch.setattr(session, "calibrate", lambda workload: CALIBRATION)
    monkeypatch.setattr(SyntheticExecutor, "before", staticmethod(lambda request: None))


def settings(tmp_path, decider, run="run", **options):
    script = tmp_path / "bench.py"
    script.write_text("print('hello')\n")
    given = {"strategy": "external", "decider": decider, "seed": "1", "mode": "runs"}
    given |= {"budget": "10m", "output": str(tmp_path / run), **options}
    return read_settings(str(script), (), given)


def findings(summary):
    return [(f.target, f.estimated_gain) for f in summary.sensitive]


@pytest.mark.parametrize("name", ["Greedy", "LeavesWhenDone", "Delegates"])
def test_it_finds_what_is_planted(name, tmp_path):
    summary = begin(settings(tmp_path, command(name)))
    assert (summary.verdict, {f.target for f in summary.sensitive}) == ("sensitive", CRITICAL)
    with Journal.open(tmp_path / "run" / "journal.db", read_only=True) as journal:
        runs = [request for request, _ in journal.observations() if request.is_run]
    assert summary.cost.runs == len(runs)


def test_killed_anywhere_and_resumed_it_gives_the_same_answer(tmp_path):
    undisturbed = begin(settings(tmp_path, command("Greedy"), "undisturbed"))
    for seq in (7, 25):

        def stop(request, seq=seq):
            if request.seq == seq:
                raise KeyboardInterrupt

        SyntheticExecutor.before = staticmethod(stop)
        run = tmp_path / f"run-{seq}"
        with pytest.raises(KeyboardInterrupt):
            begin(settings(tmp_path, command("Greedy"), run.name))
        SyntheticExecutor.before = staticmethod(lambda request: None)
        resumed = resume(run)
        assert findings(resumed) == findings(undisturbed)
        assert resumed.cost.runs == undisturbed.cost.runs
        again = resume(run)
        assert findings(again) == findings(undisturbed), "and is only told again then"


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("Nonsense", (), "answers of the decider in a row could not be taken, the last because"),
        ("Unknown", (), "'no.such:thing' matches no item"),
        ("Huge", (), "a line of more than"),
        ("Silent", (), "the decider was silent for 500ms"),
        ("Leaves", ("7",), r"the decider ended \(exit code 7\) before it decided"),
        ("Leaves", ("0",), r"the decider ended \(exit code 0\) before it decided"),
    ],
)
def test_what_goes_wrong_is_said_and_resume_asks_again(name, arguments, said, tmp_path):
    waited = {"decider_timeout": "500ms"} if name == "Silent" else {}
    began = time.monotonic()
    summary = begin(settings(tmp_path, command(name, *arguments), **waited))
    assert time.monotonic() - began < 30
    assert (summary.verdict, summary.stop_reason) == ("inconclusive", "budget")
    assert re.search(said, summary.certificate.notes[0])
    assert re.search(said, summary.headline)
    assert summary.root is not None, "what was measured is kept"
    assert recall(tmp_path / "run") == summary
    if name != "Nonsense":
        return
    better = ProcessDecider(read_command(command("Greedy")), str(tmp_path), 60.0)
    assert resume(tmp_path / "run", decider=better).verdict == "sensitive"


def test_waiting_costs_no_budget(tmp_path):
    slow = tmp_path / "slow.py"
    slow.write_text(
        "import sys, time\n"
        "for line in sys.stdin:\n"
        "    if '\"decide\"' in line:\n"
        "        time.sleep(1.0)\n"
        '        print(\'{"type": "delegate"}\', flush=True)\n'
    )
    began = time.monotonic()
    summary = begin(settings(tmp_path, shlex.join([sys.executable, str(slow)])))
    assert summary.verdict == "sensitive"
    assert summary.cost.wall_s < time.monotonic() - began - 0.9


def test_ctrl_c_ends_the_waiting(tmp_path):
    class Interrupted:
        def __call__(self, event):
            request = getattr(event, "request", None)
            if request is not None and not request.is_run and not hasattr(event, "observed"):
                signal.setitimer(signal.ITIMER_REAL, 0.3)

    previous = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        summary = begin(settings(tmp_path, command("Silent")), [Interrupted()])
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert summary.stop_reason == "interrupted"


def test_usage_errors_come_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="say who, with --decider COMMAND"):
        begin(settings(tmp_path, None))
    with pytest.raises(UsageError, match="there is no program 'no-such-program'"):
        begin(settings(tmp_path, "no-such-program --flag"))
    with pytest.raises(UsageError, match="--decider decides for --strategy external"):
        settings(tmp_path, command("Greedy"), strategy="bisect")
    with pytest.raises(UsageError, match=r"--decider: .*cannot be read as a command"):
        settings(tmp_path, "python 'decide.py")
    assert not (tmp_path / "run").exists()


LEFT_BEHIND = """
import json, os, subprocess, sys, time
from bisector.deciding.process import ProcessDecider
from bisector.deciding.question import Question
from strategies.protocol import Item, Problem

decider = ProcessDecider(sys.argv[1:], os.getcwd(), 600.0)
problem = Problem((Item("a:f", 0.5, ("*:*",)),), 0.5, 0.4, 0.6, 0.05)
print("begun", flush=True)
decider.decide(Question(1, problem), lambda decision: None, lambda: None)
"""

SAYS_WHO_IT_IS = """
import json, os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open("pids", "w") as file:
    json.dump([os.getpid(), child.pid, dict(os.environ)], file)
os.rename("pids", "pids.json")
sys.stderr.write("hello from the decider\\n")
time.sleep(600)
"""


def test_it_and_its_children_are_gone_when_the_tool_is_killed(tmp_path):
    (tmp_path / "tool.py").write_text(LEFT_BEHIND)
    (tmp_path / "decide.py").write_text(SAYS_WHO_IT_IS)
    given = {"SPEEDBUMP_BISECT": "/nowhere", "PYTHONPATH": str(ROOT)}
    tool = subprocess.Popen(
        [sys.executable, "tool.py", sys.executable, "decide.py"],
        cwd=tmp_path,
        env={**os.environ, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until((tmp_path / "pids.json").exists)
    *pids, environment = json.loads((tmp_path / "pids.json").read_text())
    assert all(map(is_alive, pids))
    assert "SPEEDBUMP_BISECT" not in environment
    tool.kill()
    _, errors = tool.communicate()
    assert "hello from the decider" in errors
    wait_until(lambda: not any(map(is_alive, pids)))
