"""Real runs of small programs, well-behaved and not: what the executor makes of each."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bisector.calibration import Calibration
from bisector.errors import Interrupted
from bisector.executor import RunExecutor
from bisector.observations import RunObserved, RunRequest
from bisector.settings import read_settings
from bisector.warden import Warden
from bisector.workload import Workload

pytestmark = pytest.mark.process

BAD = Path(__file__).parents[1] / "cases" / "bad"
CALIBRATION = Calibration(
    "3", "monitoring", "", True, {"entry": 30.0, "site": 30.0}, {"callee": 50.0, "caller": 50.0}
)
STEADY = """
import time
def work(n):
    time.sleep(0.002)
    return n
def main():
    began = time.monotonic()
    for n in range(50):
        work(n)
    print(f"throughput: {50 / (time.monotonic() - began):.3f} units/s")
main()
"""


@pytest.fixture(scope="module")
def warden():
    with Warden() as process:
        yield process


@pytest.fixture
def executor(warden, tmp_path):
    def make(script, *args, **options):
        if "\n" in str(script):
            (tmp_path / "bench.py").write_text(script)
            script = tmp_path / "bench.py"
        settings = read_settings(str(script), args, {"seed": "1", **options})
        slot = tmp_path / "slot"
        (slot / "records").mkdir(parents=True)
        workload, began = Workload.of(settings), time.monotonic()
        elapsed = lambda: time.monotonic() - began  # noqa: E731
        return RunExecutor(settings, workload, warden, slot, CALIBRATION, elapsed)

    return make


CONTROL = RunRequest(0, "discard", 0)


def reason(observed):
    assert observed.status == "failed"
    assert "\n" not in observed.reason
    return observed.reason


class TestGoodRun:
    def test_metric_wall_time_and_proof_of_attachment(self, executor):
        observed = executor(STEADY).run(CONTROL)
        assert (observed.seq, observed.status, observed.processes) == (0, "ok", 1)
        assert observed.time_per_unit_s == pytest.approx(1 / observed.value)
        assert 0.002 * 50 < observed.wall_s < observed.elapsed_s

    def test_nothing_of_a_run_is_left_in_the_slot(self, executor):
        subject = executor(STEADY)
        subject.run(CONTROL)
        assert sorted(os.listdir(subject.slot)) == ["plan.json", "records"]
        assert os.listdir(subject.slot / "records") == []

    def test_discovery_is_digested_and_doses_are_delivered(self, executor):
        subject = executor(STEADY)
        subject.run(CONTROL)
        found = subject.run(RunRequest(1, "discover", 1)).discovery
        work = next(f for f in found.functions if f.target == "__main__:work")
        assert work.calls == pytest.approx(1, abs=0.3)
        slowed = RunRequest(2, "search", 2, frozenset({"__main__:work"}), dose=0.5)
        observed = subject.run(slowed)
        assert observed.delivered["__main__:work"].calls == 50
        asked_ns = 0.5 * work.own_per_call_s * 50 * 1e9
        assert observed.delivered["__main__:work"].delayed_ns == pytest.approx(asked_ns, rel=0.3)
        assert observed.calls_total == 50

    def test_a_fixed_delay_per_call_is_delivered(self, executor):
        subject = executor(STEADY)
        request = RunRequest(0, "search", 0, frozenset({"__main__:work"}), delay_ns=1e6)
        delivered = subject.run(request).delivered["__main__:work"]
        assert delivered.calls == 50
        assert 0 < delivered.delays <= 50
        assert delivered.delayed_ns == pytest.approx(50e6, rel=0.2)

    def test_a_progress_point_is_counted(self, executor):
        observed = executor(STEADY, metric="progress:__main__:work").run(CONTROL)
        assert 100 < observed.value < 500

    def test_a_window_bounds_what_discovery_counts(self, executor):
        subject = executor(STEADY, warmup="60s")
        subject.run(CONTROL)
        found = subject.run(RunRequest(1, "discover", 1)).discovery
        assert not any(f.target == "__main__:work" and f.calls for f in found.functions)

    def test_delays_keep_to_the_window_only_where_the_metric_does(self, executor):
        """A printed rate covers the whole run: delays in a part of it would be diluted."""
        slowed = RunRequest(1, "search", 1, frozenset({"__main__:work"}), delay_ns=1e6)
        for metric, delayed in [("auto", True), ("progress:__main__:work", False)]:
            subject = executor(STEADY, duration="1ms", metric=metric)
            observed = subject.run(slowed)
            assert any(d.delays for d in observed.delivered.values()) == delayed
            shutil.rmtree(subject.slot)

    def test_a_window_and_the_time_of_the_whole_run_do_not_go_together(self, executor):
        subject = executor(STEADY, warmup="100ms", metric="time")
        subject.run(CONTROL)
        (warning,) = subject.drain_warnings()
        assert "--warmup and --duration do nothing" in warning
        found = subject.run(RunRequest(1, "discover", 1)).discovery
        work = next(f for f in found.functions if f.target == "__main__:work")
        assert work.calls == 50

    def test_the_metric_of_the_first_run_is_kept(self, executor):
        subject = executor("print('5 tokens/s')\nimport time; time.sleep(.05)\n")
        assert subject.run(CONTROL).value == 5
        script = Path(subject.workload.argv[1])
        script.write_text("print('7 other/s')\nimport time; time.sleep(.05)\n")
        assert "printed no tokens/s this time" in reason(subject.run(replace(CONTROL, seq=1)))

    def test_it_prepares_before_every_run(self, executor, tmp_path):
        subject = executor(STEADY, prepare=f"echo x >> {tmp_path}/prepared")
        subject.run(CONTROL)
        subject.run(replace(CONTROL, seq=1))
        assert (tmp_path / "prepared").read_text() == "x\nx\n"


class TestLimits:
    def test_a_slowed_run_over_the_engines_limit_is_slow_with_a_lower_bound(self, executor):
        subject = executor(STEADY)
        control = subject.run(CONTROL)
        request = RunRequest(
            1, "search", 1, frozenset({"__main__:work"}), delay_ns=5e7, limit_s=2 * control.wall_s
        )
        observed = subject.run(request)
        assert observed.status == "slow"
        assert observed.time_per_unit_s == pytest.approx(2 * control.time_per_unit_s, rel=0.1)
        assert observed.delivered["__main__:work"].calls > 0

    def test_a_hanging_benchmark_is_killed_at_the_timeout(self, executor):
        observed = executor(BAD / "hangs.py", timeout="500ms").run(CONTROL)
        assert "did not end within 500ms and was killed; shorten it" in reason(observed)

    def test_the_default_timeout_is_ten_times_the_first_run(self, executor):
        subject = executor(STEADY, budget="30s")
        assert subject.timeout_s == 30
        subject.recall(CONTROL, RunObserved(0, "ok", 2.0, 2.0, 1.0, 1.0))
        assert subject.timeout_s == 20

    def test_an_interrupted_run_is_no_observation(self, executor):
        subject = executor(BAD / "hangs.py")
        with Warden() as subject.warden:
            subject.warden.interrupt()
            with pytest.raises(Interrupted):
                subject.run(CONTROL)


class TestBadBenchmarks:
    @pytest.mark.parametrize(
        ("program", "args", "sentence"),
        [
            ("exits_nonzero.py", (), "exited with code 3: the model file is missing"),
            ("killed.py", (), "was killed by SIGKILL"),
            ("too_fast.py", (), "is too fast to be measured: it takes"),
            ("odd_metric.py", ("0",), "is zero"),
            ("odd_metric.py", ("-12.5",), "is negative: -12.5"),
            ("odd_metric.py", ("nan",), "is not a number"),
            ("odd_metric.py", ("inf",), "is infinite"),
        ],
    )
    def test_each_fails_with_its_own_sentence(self, executor, program, args, sentence):
        assert sentence in reason(executor(BAD / program, *args).run(CONTROL))

    def test_a_metric_that_is_not_printed_fails(self, executor):
        observed = executor(BAD / "no_metric.py", metric="regex:rate=(.*)").run(CONTROL)
        assert "printed no metric" in reason(observed)

    def test_without_a_rate_the_time_of_the_run_is_the_metric(self, executor):
        subject = executor(BAD / "no_metric.py")
        observed = subject.run(CONTROL)
        assert subject.metric.is_time
        assert observed.time_per_unit_s == observed.wall_s

    @pytest.mark.parametrize("program", ["not_utf8.py", "writes_200_mb.py"])
    def test_strange_output_is_read_for_its_metric(self, executor, program):
        observed = executor(BAD / program).run(CONTROL)
        assert observed.status == "ok"
        assert observed.value > 0

    def test_a_benchmark_that_forks_and_leaves_is_measured_and_told(self, executor, tmp_path):
        subject = executor(BAD / "forks_and_leaves.py", str(tmp_path / "pid"))
        assert subject.run(CONTROL).status == "ok"
        (warning,) = subject.drain_warnings()
        assert "leaves processes behind, which were killed" in warning
        assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
        subject.run(replace(CONTROL, seq=1))
        assert subject.drain_warnings() == [], "said once"

    def test_a_preparation_that_fails_fails_the_run(self, executor):
        observed = executor(STEADY, prepare="echo no data >&2; exit 7").run(CONTROL)
        assert reason(observed) == "the command given by --prepare exited with code 7: no data"

    def test_the_quoted_line_is_plain_and_short(self, executor):
        noisy = "import sys\nsys.exit('\\x1b[31mred\\x07 ' + 'x' * 1000)\n"
        text = reason(executor(noisy).run(CONTROL))
        assert "red" in text
        assert text.isprintable()
        assert len(text) < 250


class TestNothingAttached:
    @pytest.mark.parametrize("option", ["-I", "-E", "-S"])
    def test_an_isolated_interpreter_is_named(self, warden, tmp_path, option):
        (tmp_path / "slot" / "records").mkdir(parents=True)
        workload = Workload.of(read_settings(str(BAD / "no_metric.py"), ()))
        python, *rest = workload.argv
        settings = read_settings(None, [python, option, *rest])
        subject = RunExecutor(
            settings, Workload.of(settings), warden, tmp_path / "slot", CALIBRATION, lambda: 0.0
        )
        assert f"nothing attached: python {option} ignores" in reason(subject.run(CONTROL))

    def test_a_command_without_python_is_named(self, warden, tmp_path):
        (tmp_path / "slot" / "records").mkdir(parents=True)
        settings = read_settings(None, ["sh", "-c", "sleep 0.1"])
        subject = RunExecutor(
            settings, Workload.of(settings), warden, tmp_path / "slot", CALIBRATION, lambda: 0.0
        )
        assert "nothing attached: sh seems to start no Python" in reason(subject.run(CONTROL))
