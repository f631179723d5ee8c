import json
import os
import signal
import threading
from dataclasses import replace

import pytest
from scripted import CALIBRATION, ScriptedEngine

from bisector import session
from bisector.errors import CrashError, Interrupted, RunDirectoryError, UsageError
from bisector.events import PhaseBegan, RunBegan, RunEnded, Warned
from bisector.journal import Journal
from bisector.metric import MetricSpec, RunOutput, resolve
from bisector.observations import RunObserved
from bisector.recall import recall, settings_of
from bisector.run_directory import RunDirectory
from bisector.session import begin, resume
from bisector.settings import read_settings
from bisector.summary import exit_code

pytestmark = pytest.mark.process  # the warden; everything else is fake


class FakeExecutor:
    """Every run takes 0.25 s, says the fake clock; ``before`` is called with each request."""

    made = ()
    before = staticmethod(lambda request: None)

    def __init__(self, settings, workload, warden, slot, calibration, elapsed_s, metric):
        self.metric = metric
        self.ran, self.recalled = [], []
        self.calibration = calibration
        self.elapsed_s = elapsed_s
        FakeExecutor.made = (*FakeExecutor.made, self)

    def close(self):
        pass

    def recall(self, request, observed):
        self.recalled.append(request.seq)

    def run(self, request):
        FakeExecutor.before(request)
        if self.metric is None:
            self.metric = resolve(MetricSpec.parse("time"), False, RunOutput("", "", 0.25))
        self.ran.append(request.seq)
        return RunObserved(request.seq, "ok", self.elapsed_s(), 0.25, 0.25, 0.25, processes=1)

    def drain_warnings(self):
        return ["the benchmark leaves processes behind"] if len(self.ran) == 1 else []


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    monkeypatch.setattr(session, "Engine", ScriptedEngine)
    monkeypatch.setattr(session, "RunExecutor", FakeExecutor)
    monkeypatch.setattr(session, "calibrate", lambda workload: CALIBRATION)
    monkeypatch.setattr(FakeExecutor, "made", ())
    monkeypatch.setattr(FakeExecutor, "before", staticmethod(lambda request: None))
    monkeypatch.setattr(ScriptedEngine, "RUNS", 5)


@pytest.fixture
def settings(tmp_path):
    script = tmp_path / "bench.py"
    script.write_text("print('hello')\n")
    options = {"output": str(tmp_path / "run"), "seed": "1", "mode": "runs"}
    return read_settings(str(script), (), options)


def stop_at(seq, what):
    def before(request):
        if request.seq == seq:
            what()

    FakeExecutor.before = staticmethod(before)


def raise_(error):
    raise error


def ran():
    return [executor.ran for executor in FakeExecutor.made]


class TestBegin:
    def test_it_runs_what_the_engine_asks_and_writes_the_summary(self, settings, tmp_path):
        summary = begin(settings)
        assert ran() == [[0, 1, 2, 3, 4]]
        assert (summary.verdict, summary.stop_reason) == ("insensitive", "certified")
        written = json.loads((tmp_path / "run" / "summary.json").read_text())
        assert written == json.loads(summary.model_dump_json())
        assert written["benchmark"]["metric"]["name"] == "time"
        assert written["environment"]["backend"] == "monitoring"
        assert written["warnings"] == ["the benchmark leaves processes behind"]
        kept = ["census.json", "journal.db", "lock", "summary.json"]
        assert sorted(os.listdir(tmp_path / "run")) == kept

    def test_what_the_environment_was_given_is_named_but_not_told(self, settings, tmp_path):
        given = settings.model_copy(update={"env": (("API_KEY", "hush"),)})
        assert begin(given).settings["env"] == ["API_KEY"]
        assert "hush" not in (tmp_path / "run" / "summary.json").read_text()
        assert settings_of(tmp_path / "run") == given

    def test_listeners_hear_everything_in_order_and_a_broken_one_costs_nothing(self, settings):
        heard = []
        begin(settings, [lambda event: raise_(OSError("closed")), heard.append])
        kinds = [type(event) for event in heard]
        assert kinds.count(RunBegan) == kinds.count(RunEnded) == 5
        assert heard[0].phase == "calibration"
        assert heard[1] == PhaseBegan("script"), "what the engine said before its first run"
        assert Warned("the benchmark leaves processes behind") in heard
        ended = [event for event in heard if isinstance(event, RunEnded)]
        assert [event.observed.seq for event in ended] == [0, 1, 2, 3, 4]

    def test_what_is_told_is_in_the_journal_first(self, settings, tmp_path, monkeypatch):
        def tell(self, observed):
            with Journal.open(tmp_path / "run" / "journal.db", read_only=True) as journal:
                assert [o.seq for _, o in journal.observations()][-1] == observed.seq
            self.told.append(observed)

        monkeypatch.setattr(ScriptedEngine, "tell", tell)
        assert begin(settings).stop_reason == "certified"

    def test_a_directory_that_holds_a_run_is_refused_before_anything_runs(self, settings):
        begin(settings)
        with pytest.raises(RunDirectoryError, match="already holds a run; resume it"):
            begin(settings)
        assert len(FakeExecutor.made) == 1

    def test_no_run_starts_after_the_budget(self, settings):
        ScriptedEngine.RUNS = 10**9
        clock = iter(range(100))
        summary = begin(replace_budget(settings, 1.0), [lambda event: pause(next(clock, 0))])
        assert (summary.verdict, summary.stop_reason) == ("inconclusive", "budget")
        assert summary.cost.runs < 100

    def test_what_is_decided_stays_so_when_the_budget_ends_what_is_measured_after(
        self, settings, monkeypatch
    ):
        answer = ScriptedEngine.answer
        ScriptedEngine.RUNS = 10**9
        monkeypatch.setattr(
            ScriptedEngine, "answer", lambda self: replace(answer(self), verdict="insensitive")
        )
        clock = iter(range(100))
        summary = begin(replace_budget(settings, 1.0), [lambda event: pause(next(clock, 0))])
        assert (summary.verdict, summary.stop_reason) == ("insensitive", "certified")
        assert exit_code(summary) == 0

    def test_a_usage_error_leaves_no_run_behind(self, settings, monkeypatch, tmp_path):
        monkeypatch.setattr(
            ScriptedEngine, "tell", lambda s, o: raise_(UsageError("the pattern matches nothing"))
        )
        with pytest.raises(UsageError, match="matches nothing"):
            begin(settings)
        assert not (tmp_path / "run").exists()

    def test_a_disk_that_fills_up_ends_it_and_loses_nothing(self, settings, tmp_path, monkeypatch):
        full = RunDirectoryError("the disk is full")
        stop_at(
            2, lambda: monkeypatch.setattr(RunDirectory, "require_room", lambda s: raise_(full))
        )
        with pytest.raises(RunDirectoryError, match="the disk is full"):
            begin(settings)
        monkeypatch.setattr(RunDirectory, "require_room", lambda self: None)
        assert resume(tmp_path / "run").stop_reason == "certified"
        assert ran() == [[0, 1, 2], [3, 4]]

    def test_a_defect_of_the_tool_is_one_sentence_and_a_log(self, settings, tmp_path):
        stop_at(2, lambda: raise_(ZeroDivisionError("oops")))
        with pytest.raises(CrashError, match="ZeroDivisionError: oops; details are in"):
            begin(settings)
        assert "Traceback" in (tmp_path / "run" / "crash.log").read_text()


def replace_budget(settings, budget_s):
    return settings.model_copy(update={"budget_s": budget_s})


def pause(_):
    threading.Event().wait(0.05)


class TestInterruption:
    def test_it_ends_in_a_partial_summary_and_goes_on_where_it_stopped(self, settings, tmp_path):
        stop_at(2, lambda: os.kill(os.getpid(), signal.SIGINT))
        partial = begin(settings)
        assert (partial.verdict, partial.stop_reason) == ("inconclusive", "interrupted")
        assert json.loads((tmp_path / "run" / "summary.json").read_text())["cost"]["runs"] == 3
        FakeExecutor.before = staticmethod(lambda request: None)
        assert resume(tmp_path / "run").stop_reason == "certified"
        assert ran() == [[0, 1, 2], [3, 4]]

    def test_a_run_in_flight_is_not_recorded_but_repeated(self, settings, tmp_path):
        def interrupt():
            os.kill(os.getpid(), signal.SIGINT)
            raise Interrupted("the run in flight was stopped")

        stop_at(2, interrupt)
        assert begin(settings).stop_reason == "interrupted"
        FakeExecutor.before = staticmethod(lambda request: None)
        resume(tmp_path / "run")
        assert ran() == [[0, 1], [2, 3, 4]]

    def test_the_second_time_it_ends_at_once_and_the_state_is_kept(self, settings, tmp_path):
        def twice():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

        stop_at(2, twice)
        with pytest.raises(KeyboardInterrupt):
            begin(settings)
        FakeExecutor.before = staticmethod(lambda request: None)
        assert resume(tmp_path / "run").stop_reason == "certified"

    def test_the_previous_handler_is_back_afterwards(self, settings):
        before = signal.getsignal(signal.SIGINT)
        begin(settings)
        assert signal.getsignal(signal.SIGINT) is before


class TestResume:
    @pytest.fixture
    def stopped(self, settings, tmp_path):
        stop_at(3, lambda: raise_(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            begin(settings)
        FakeExecutor.before = staticmethod(lambda request: None)
        return tmp_path / "run"

    def test_it_gives_the_answer_of_an_undisturbed_run(self, stopped):
        summary = resume(stopped)
        assert ran() == [[0, 1, 2], [3, 4]]
        assert FakeExecutor.made[1].recalled == [0, 1, 2]
        assert (summary.stop_reason, summary.cost.runs) == ("certified", 5)

    def test_calibration_metric_and_warnings_are_those_it_began_with(self, stopped, monkeypatch):
        monkeypatch.setattr(session, "calibrate", lambda w: raise_(AssertionError("again")))
        summary = resume(stopped)
        assert FakeExecutor.made[1].calibration == FakeExecutor.made[0].calibration
        assert FakeExecutor.made[1].metric == FakeExecutor.made[0].metric
        assert summary.warnings == ["the benchmark leaves processes behind"]

    def test_only_active_time_counts(self, stopped):
        with Journal.open(stopped / "journal.db", read_only=True) as journal:
            before = max(observed.elapsed_s for _, observed in journal.observations())
        resume(stopped)
        with Journal.open(stopped / "journal.db", read_only=True) as journal:
            after = [observed.elapsed_s for _, observed in journal.observations()]
        assert after == sorted(after)
        assert after[3] > before

    def test_a_finished_run_is_only_told_again(self, stopped):
        first = resume(stopped)
        again = resume(stopped)
        assert len(FakeExecutor.made) == 2
        assert again.model_dump(exclude={"finished_at", "cost"}) == first.model_dump(
            exclude={"finished_at", "cost"}
        )

    def test_a_changed_benchmark_is_told(self, stopped, tmp_path):
        (tmp_path / "bench.py").write_text("print('changed')\n")
        warnings = resume(stopped).warnings
        assert "the benchmark has changed since this investigation began" in warnings

    def test_another_version_of_the_search_is_refused(self, stopped, monkeypatch):
        ask = ScriptedEngine.ask
        monkeypatch.setattr(ScriptedEngine, "ask", lambda self: replace(ask(self), block=99))
        with pytest.raises(RunDirectoryError, match=r"another version of the search \(both say 0"):
            resume(stopped)

    def test_a_directory_in_use_is_refused(self, stopped):
        with RunDirectory(stopped), pytest.raises(RunDirectoryError, match="in use"):
            resume(stopped)

    def test_what_is_no_run_is_refused_and_left_alone(self, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(RunDirectoryError, match="holds no run"):
            resume(tmp_path / "empty")
        with pytest.raises(RunDirectoryError, match="is not a run directory"):
            resume(tmp_path / "gone")
        assert os.listdir(tmp_path / "empty") == []
        assert not (tmp_path / "gone").exists()

    def test_a_report_of_a_run_that_was_killed_comes_from_its_journal(self, stopped):
        summary = recall(stopped)
        assert (summary.stop_reason, summary.cost.runs) == ("interrupted", 3)
        assert len(FakeExecutor.made) == 1, "nothing runs"
        assert not (stopped / "summary.json").exists()

    def test_a_report_of_a_finished_run_is_its_summary(self, stopped):
        assert recall(stopped) != resume(stopped) == recall(stopped)


def test_the_library_raises_on_interruption_and_carries_the_summary(settings, tmp_path):
    from bisector import bisect

    stop_at(2, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted) as caught:
        bisect(tmp_path / "bench.py", budget="1m", output=tmp_path / "other")
    assert caught.value.summary.cost.runs == 3
    FakeExecutor.before = staticmethod(lambda request: None)
    assert bisect(tmp_path / "bench.py", output=tmp_path / "third").stop_reason == "certified"
