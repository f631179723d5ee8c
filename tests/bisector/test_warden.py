import os
import signal
import subprocess
import sys
import threading

import pytest
from aliveness import is_alive, wait_until

from bisector.errors import MeasurementFailed
from bisector.warden import Launch, Warden

pytestmark = pytest.mark.process


@pytest.fixture
def warden():
    with Warden() as process:
        yield process


@pytest.fixture
def launch(tmp_path):
    def make(*argv, limit_s=None, env=None):
        out, err = tmp_path / "out", tmp_path / "err"
        return Launch(argv, str(tmp_path), env or dict(os.environ), out, err, limit_s)

    return make


def pids_in(path, count):
    wait_until(lambda: path.exists() and len(path.read_text().split()) >= count)
    return [int(pid) for pid in path.read_text().split()]


FAMILY = """
echo $$ >> pids
sh -c 'echo $$ >> pids; exec sleep 100' &
while [ $(wc -l < pids) -lt 2 ]; do sleep 0.01; done
setsid sh -c '
    echo $$ >> pids
    (setsid sh -c "echo \\$\\$ >> pids; exec sleep 100" &)
    exec sleep 100
' &
"""
"""Writes four pids, in this order: itself, a child, a child in a session of its own, and that one's
orphan."""


def test_it_reports_the_end_of_a_command(warden, launch, tmp_path):
    ended = warden.run(launch("sh", "-c", "echo out; echo err >&2; exit 3"))
    assert (ended.returncode, ended.stopped, ended.leftovers) == (3, None, ())
    assert ended.wall_s > 0
    assert (tmp_path / "out").read_text() == "out\n"
    assert (tmp_path / "err").read_text() == "err\n"


def test_it_tells_a_signal_from_an_exit(warden, launch):
    assert warden.run(launch("sh", "-c", "kill -SEGV $$")).returncode == -signal.SIGSEGV


def test_what_cannot_be_started_is_an_error_and_the_warden_lives_on(warden, launch):
    assert "FileNotFoundError" in warden.run(launch("/no/such/program")).error
    assert warden.run(launch("true")).returncode == 0


def test_a_command_reads_from_nowhere_and_has_the_usual_signal_handling(warden, launch, tmp_path):
    program = "import sys, signal as s; print(sys.stdin.read() == '', s.getsignal(s.SIGTERM) == 0)"
    assert warden.run(launch(sys.executable, "-c", program)).returncode == 0
    assert (tmp_path / "out").read_text().split() == ["True", "True"]


def test_a_command_over_its_limit_is_killed_with_all_its_family(warden, launch, tmp_path):
    ended = warden.run(launch("sh", "-c", FAMILY + "wait", limit_s=1.0))
    assert ended.stopped == "limit"
    assert ended.wall_s >= 1.0
    assert not any(map(is_alive, pids_in(tmp_path / "pids", 4)))


def test_what_outlives_the_command_is_killed_and_named(warden, launch, tmp_path):
    finish = "while [ $(wc -l < pids) -lt 4 ]; do sleep 0.01; done"
    ended = warden.run(launch("sh", "-c", FAMILY + finish))
    assert ended.returncode == 0
    assert ended.leftovers == ("sleep 100",)
    assert not any(map(is_alive, pids_in(tmp_path / "pids", 4)))


def test_helpers_that_end_by_themselves_are_not_reported(warden, launch):
    assert warden.run(launch("sh", "-c", "sleep 0.05 & exit 0")).leftovers == ()


def test_an_interrupt_kills_the_run_in_flight(warden, launch, tmp_path):
    def interrupt():
        pids_in(tmp_path / "pids", 4)
        warden.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    ended = warden.run(launch("sh", "-c", FAMILY + "wait"))
    thread.join()
    assert ended.stopped == "killed"
    assert not any(map(is_alive, pids_in(tmp_path / "pids", 4)))


def test_an_interrupt_just_before_a_run_is_not_lost(warden, launch, tmp_path):
    warden.interrupt()
    assert warden.run(launch("touch", "started")).stopped == "killed"
    assert not (tmp_path / "started").exists()


def test_a_fork_bomb_of_short_lived_processes_is_stopped(warden, launch):
    ended = warden.run(launch("sh", "-c", "while :; do sleep 5 & sleep 0.01; done", limit_s=0.3))
    assert ended.stopped == "limit"


def test_when_the_tool_is_killed_nothing_is_left(tmp_path):
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from bisector.warden import Launch, Warden\n"
        "warden = Warden()\n"
        "print(warden._process.pid, flush=True)\n"
        "here = Path(sys.argv[1])\n"
        "argv = ('sh', '-c', sys.argv[2])\n"
        "warden.run(Launch(argv, str(here), dict(os.environ), here / 'o', here / 'e'))"
    )
    tool = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), FAMILY + "wait"],
        stdout=subprocess.PIPE,
        text=True,
    )
    warden_pid = int(tool.stdout.readline())
    pids = pids_in(tmp_path / "pids", 4)
    tool.kill()
    tool.communicate()
    wait_until(lambda: not any(map(is_alive, [*pids, warden_pid])))


def test_when_the_warden_is_killed_the_run_ends_with_a_clear_error(warden, launch, tmp_path):
    def kill():
        pids_in(tmp_path / "pids", 4)
        os.kill(warden._process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(MeasurementFailed, match="was killed; nothing more can be measured"):
        warden.run(launch("sh", "-c", FAMILY + "wait"))
    thread.join()
    first, second, *strays = pids_in(tmp_path / "pids", 4)
    wait_until(lambda: not is_alive(first) and not is_alive(second))
    for pid in strays:
        os.kill(pid, signal.SIGKILL)
