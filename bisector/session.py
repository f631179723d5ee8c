"""One investigation from beginning to end: journal, executor and events around the engine.

The loop is the whole of it: ask the engine, carry out, journal, tell the engine. An investigation
that is taken up again differs only in that the first answers come from the journal. Invariant: the
engine is told nothing that is not in the journal already, and each observation exactly once; so
replaying a journal always leads to the state in which its last observation left the engine.

Only active time counts against the budget: ``elapsed_s`` of the last observation plus the time
since this session began.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bisector import __version__
from bisector.answer import Answer, StopReason
from bisector.auto_executor import AutoExecutor
from bisector.calibration import Calibration, calibrate
from bisector.census import Census, take_census
from bisector.context import context_of, describe
from bisector.crash import crash_log
from bisector.deciding.decider import Decider, NoDecision
from bisector.deciding.process import decider_for
from bisector.engine import Engine, engine_settings
from bisector.errors import Interrupted, RunDirectoryError, SpeedbumpError, UsageError
from bisector.events import Event, PhaseBegan, RunBegan, RunEnded, Warned
from bisector.executor import RunExecutor
from bisector.interrupts import Interrupts
from bisector.journal import Journal
from bisector.live_executor import LiveExecutor, mode_of
from bisector.metric import Metric
from bisector.observations import RunObserved, RunRequest
from bisector.reproduction import write_plans
from bisector.run_directory import DEFAULT_PARENT, RunDirectory, run_at
from bisector.settings import Settings
from bisector.summary import RunContext, Summary, summarize
from bisector.warden import Warden
from bisector.workload import Workload

Listener = Callable[[Event], None]
"""Is told what happens while it happens, in the thread of the session."""

Pause = Callable[[RunRequest, Engine], bool]
"""Is asked before each run whether to stop there."""


def begin(
    settings: Settings,
    listeners: Sequence[Listener] = (),
    pause: Pause | None = None,
    decider: Decider | None = None,
    run_id: str | None = None,
) -> Summary:
    """Investigate from the start, in a new run directory.

    Args:
        pause: asked before every run whether to stop there, to be resumed later.
        decider: decides where to look; by default what the settings name, where that is needed.
        run_id: by default a new one.

    Raises:
        SpeedbumpError: nothing can be investigated; a benchmark that fails is told in the summary.
    """
    started = time.monotonic()
    workload = Workload.of(settings)
    meta = describe(settings, workload, run_id)
    path = Path(settings.output or Path(DEFAULT_PARENT, meta["run_id"]).absolute())
    with RunDirectory(path) as directory, Journal.create(directory.journal, meta) as journal:
        try:
            session = Session(settings, directory, journal, listeners, started)
            session.decider, session.pause = decider, pause
            return session.run(workload)
        except RunDirectoryError:
            raise
        except UsageError:
            # Nothing was measured that a changed command line could go on from.
            directory.discard()
            raise


def resume(
    path: Path,
    listeners: Sequence[Listener] = (),
    decider: Decider | None = None,
    pause: Pause | None = None,
) -> Summary:
    """Take up an investigation where its journal ends; one that is finished is only told again.

    Args:
        decider: takes the place of the one that it began with.
        pause: as for `begin`.

    Raises:
        SpeedbumpError: the directory holds no usable journal, or nothing can be investigated.
    """
    started = time.monotonic()
    path = run_at(path)
    with RunDirectory(path) as directory, Journal.open(directory.journal) as journal:
        settings = Settings(**journal.description()["settings"])
        session = Session(settings, directory, journal, listeners, started)
        session.decider, session.pause = decider, pause
        return session.run()


class Session:
    """The state around the engine while an investigation runs."""

    def __init__(
        self,
        settings: Settings,
        directory: RunDirectory | None,
        journal: Journal,
        listeners: Sequence[Listener],
        started: float,
    ) -> None:
        self.settings = settings
        self.directory = directory
        self.journal = journal
        self.listeners = list(listeners)
        self.started = started
        self.prior_s = 0.0
        """Active time of earlier sessions."""
        self.engine_s = 0.0
        self.interrupted = False
        self.undecided: str | None = None
        """Why there was no decision, where one was needed to go on."""
        self.decider: Decider | None = None
        self.pause: Pause | None = None
        self.meta = journal.description()
        self.history = list(journal.observations())
        self.engine = Engine(engine_settings(settings))
        self._replay()

    def run(self, workload: Workload | None = None) -> Summary:
        """Investigate until the engine is finished, the budget is over or the user interrupts.

        Raises:
            SpeedbumpError: the investigation cannot go on; what was measured is in the journal.
        """
        assert self.directory is not None
        try:
            with contextlib.ExitStack() as stack:
                if self.engine.ask() is not None and not self._is_over():
                    self.decider = self.decider or decider_for(self.settings, self.meta)
                    if self.decider is not None:
                        stack.callback(self.decider.close)
                    self._measure(workload or Workload.of(self.settings))
                summary = self._conclude()
                if self.decider is not None:
                    self.decider.end(summary)
                return summary
        except (SpeedbumpError, KeyboardInterrupt, BrokenPipeError):
            raise
        except Exception as error:
            raise crash_log(error, self.directory.path) from error

    def told(self) -> Summary:
        """The summary as of the journal's last observation; writes nothing."""
        return summarize(self._answer(), self._context({}))

    def census(self) -> Census:
        """What is known of each function, likewise."""
        return take_census(self._answer())

    def elapsed_s(self) -> float:
        """Active time since the investigation began."""
        return self.prior_s + time.monotonic() - self.started

    # -- the loop ---------------------------------------------------------------------------------

    def _measure(self, workload: Workload) -> None:
        assert self.directory is not None
        if self.directory.ended:
            self._warn(
                "the benchmark of the session before still ran and was stopped: "
                + ", ".join(self.directory.ended[:3])
            )
        if self.meta["source_hash"] not in ("", workload.source_hash):
            self._warn("the benchmark has changed since this investigation began")
        with (
            Warden() as warden,
            Interrupts(lambda: self._interrupt(warden)) as interrupts,
            contextlib.closing(self._executor(workload, warden)) as executor,
        ):
            for request, observed in self.history:
                if request.is_run:
                    executor.recall(request, observed)
                elif self.decider and request.question and observed.decision:
                    self.decider.remember(request.question, observed.decision)
            self._pass_on()
            threading.Thread(target=_load_ahead).start()
            while not interrupts.asked and not self._is_over():
                wanted = self._ask()
                if wanted is None:
                    return
                if self.pause is not None and self.pause(wanted, self.engine):
                    self.interrupted = True
                    return
                self.directory.require_room()
                self._emit(RunBegan(wanted))
                known = executor.metric
                try:
                    decides = not wanted.is_run
                    observed = self._decided(wanted, executor) if decides else executor.run(wanted)
                except Interrupted:
                    break
                except NoDecision as silence:
                    self.undecided = f"{silence}; resume asks again"
                    return
                if executor.metric is not known and executor.metric is not None:
                    self.meta["metric"] = executor.metric.to_dict()
                    self.meta["mode"] = executor.mode
                    noted = {name: self.meta[name] for name in ("metric", "mode")}
                    self.journal.append(wanted, observed, noted)
                else:
                    self.journal.append(wanted, observed)
                self._tell(observed)
                self._emit(RunEnded(wanted, observed))
                for sentence in executor.drain_warnings():
                    self._warn(sentence)
                self._pass_on()
            self.interrupted = interrupts.asked

    def _decided(self, request: RunRequest, executor: AutoExecutor) -> RunObserved:
        """The decision that a request asks for. What passes until then is not active time; where
        it takes long, nothing keeps running.

        Raises:
            NoDecision: there is none to be had.
            Interrupted: the user does not want to wait.
        """
        if self.decider is None or request.question is None:
            raise NoDecision("nobody is there to decide where to look; give --decider COMMAND")
        began = time.monotonic()
        try:
            decision = self.decider.decide(request.question, self.engine.objection, executor.close)
        finally:
            self.started += time.monotonic() - began
        return RunObserved(request.seq, "ok", self.elapsed_s(), 0.0, decision=decision)

    def _interrupt(self, warden: Warden) -> None:
        warden.interrupt()
        if self.decider is not None:
            self.decider.interrupt()

    def _executor(self, workload: Workload, warden: Warden) -> AutoExecutor:
        assert self.directory is not None
        arguments = (
            self.settings,
            workload,
            warden,
            self.directory.slot,
            self._calibration(workload),
            self.elapsed_s,
            self._metric(),
        )
        return AutoExecutor(
            lambda: LiveExecutor(*arguments),
            lambda: RunExecutor(*arguments),
            self.meta.get("mode") or mode_of(self.settings),
        )

    def _replay(self) -> None:
        """Tell the engine what the journal holds.

        Raises:
            RunDirectoryError: the engine would have asked for something else.
        """
        for request, observed in self.history:
            if self._ask() != request:
                its = self.meta.get("tool_version", "unknown")
                which = f"both say {its}" if its == __version__ else f"{its}, this is {__version__}"
                raise RunDirectoryError(
                    f"{self.journal.path.parent} was measured by another version of the search "
                    f"({which}); "
                    "resume it with that version, or start a new run"
                )
            self._tell(observed)
            self.prior_s = max(self.prior_s, observed.elapsed_s)

    def _ask(self) -> RunRequest | None:
        began = time.perf_counter()
        request = self.engine.ask()
        self.engine_s += time.perf_counter() - began
        return request

    def _tell(self, observed: RunObserved) -> None:
        began = time.perf_counter()
        self.engine.tell(observed)
        self.engine_s += time.perf_counter() - began

    def _is_over(self) -> bool:
        return self.elapsed_s() >= self.settings.budget_s

    def _calibration(self, workload: Workload) -> Calibration:
        if "calibration" not in self.meta:
            self._emit(PhaseBegan("calibration", "what the injector costs here"))
            calibration = calibrate(workload)
            if self.settings.lines and calibration.backend != "monitoring":
                raise UsageError(
                    "--lines needs Python 3.12 or later and a free sys.monitoring id; "
                    f"{workload.python} is {calibration.python} and uses {calibration.backend}: "
                    "drop it, or choose another interpreter with --python"
                )
            self.meta["calibration"] = asdict(calibration)
            self.journal.note({"calibration": self.meta["calibration"]})
            if not self.meta["calibration"]["compiled"]:
                self._warn(
                    f"the compiled part of the injector is not there for {workload.python}: its "
                    "Python twin is in use, whose callbacks cost more"
                )
        return Calibration(**self.meta["calibration"])

    def _metric(self) -> Metric | None:
        return Metric(**self.meta["metric"]) if "metric" in self.meta else None

    # -- events -----------------------------------------------------------------------------------

    def _warn(self, sentence: str) -> None:
        """Tell it now, and in the summary, also after the investigation was taken up again."""
        known = self.meta.setdefault("warnings", [])
        if sentence not in known:
            known.append(sentence)
            self.journal.note({"warnings": known})
            self._emit(Warned(sentence))

    def _pass_on(self) -> None:
        for event in self.engine.drain_events():
            self._emit(event)

    def _emit(self, event: Event) -> None:
        for listener in list(self.listeners):
            try:
                listener(event)
            except Exception:
                # A display that breaks (a closed terminal) must not cost the measurement.
                self.listeners.remove(listener)

    # -- the end ----------------------------------------------------------------------------------

    def _conclude(self) -> Summary:
        assert self.directory is not None
        answer = self._answer()
        plans: dict[str, str] = {}
        if "calibration" in self.meta:
            event_ns = self.meta["calibration"]["event_ns"]
            plans = write_plans(answer, event_ns, self.directory.path / "plans")
        summary = summarize(answer, self._context(plans))
        # The summary last: its date says that all is there.
        self.directory.write(self.directory.census, take_census(answer).model_dump_json() + "\n")
        self.directory.write(self.directory.summary, summary.model_dump_json(indent=2) + "\n")
        return summary

    def _answer(self) -> Answer:
        """What the engine knows, with the reason why it was stopped if it was."""
        answer = self.engine.answer()
        warnings = dict.fromkeys((*answer.warnings, *self.meta.get("warnings", ())))
        answer = replace(answer, warnings=tuple(warnings))
        if self.engine.ask() is None:
            return answer
        if answer.verdict != "inconclusive":  # what is still measured adds to it
            return replace(answer, stop_reason="certified")
        if self.undecided is not None:
            notes = (self.undecided, *answer.certificate.notes)
            certificate = replace(answer.certificate, notes=notes)
            return replace(answer, stop_reason="budget", certificate=certificate)
        over = self.prior_s >= self.settings.budget_s or (
            self.directory is not None and self._is_over()
        )
        stop_reason: StopReason = "budget" if over and not self.interrupted else "interrupted"
        return replace(answer, stop_reason=stop_reason)

    def _context(self, plans: dict[str, str]) -> RunContext:
        elsewhere = self.directory is None
        return context_of(
            self.meta,
            self.settings,
            self._metric(),
            run_directory=str(self.journal.path.parent),
            wall_s=self.prior_s if elsewhere else self.elapsed_s(),
            engine_s=self.engine_s,
            plans=plans,
        )


def _load_ahead() -> None:
    """What takes long to load and is needed only once there is something to decide: meanwhile the
    first run, which does not count, goes on."""
    with contextlib.suppress(RuntimeError):  # where the session is over before it is loaded
        for name in ("networkx", "scipy.special"):
            importlib.import_module(name)
