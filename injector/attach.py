"""Attaching to this process: read the plan, open the ledger, watch. Once, before the program.

Invariant: the program never notices. Nothing here raises, prints, or stays in `sys.path`; what goes
wrong goes to the ledger, where the tool finds it. A process that cannot even open a ledger runs as
if it had not been asked to attach, and the tool finds no record of it.
"""

from __future__ import annotations

import atexit
import os
import sys
from importlib import import_module

from .backends.choose import choose
from .ledger import Ledger
from .roles import Role
from .wire import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .control import Control

PLAN_VERSION = 1
"""As `injector.plan.VERSION`; that module is not imported here: its `dataclasses` cost 15 ms."""

_DENSE_OF_TWIN_NS = 10_000
"""An event takes 3 to 6 µs there, a call has two of them, and a loop may hold several."""

_attached: Attachment | None = None


def start(directory: str) -> None:
    """Attach this process to the run whose files are in ``directory``. Never raises."""
    global _attached
    if _attached is not None or _is_a_stranger_s(directory):
        return
    records = os.path.join(directory, "records")
    try:
        _attached = Attachment(directory, records)
    except Exception as error:
        try:
            Ledger(records, _header("none", "attaching failed", False, "none")).error(error)
        except Exception:
            return


def _is_a_stranger_s(directory: str) -> bool:
    """Whether another user could have written the plan; nothing is left in such a folder either."""
    try:
        owners = {
            os.stat(path).st_uid for path in (directory, os.path.join(directory, "plan.json"))
        }
    except OSError:
        return False
    return not owners <= {0, os.geteuid()}


class Attachment:
    """What holds this process to its run: backend, tracker, ledger; to discover, the probe; in live
    mode, the ear."""

    def __init__(self, directory: str, records: str) -> None:
        """Attach.

        Raises:
            Exception: whatever went wrong; nothing is installed then.
        """
        self._directory = directory
        plan = _read_plan(directory)
        # First of all, so that in a child nothing that others do there is seen before.
        os.register_at_fork(
            before=self._before_fork,
            after_in_parent=self._after_fork,
            after_in_child=self._in_child,
        )
        self._probe: Any = None
        self._live: Any = None
        self._seen: Any = None
        self._switching = True  # no child can be served before there is a ledger
        self.ledger: Ledger
        self._core, core_reason = load_core(plan["compiled"])
        compiled = self._core is not None
        self.backend, reason = choose(plan["backend"], compiled)
        header = _header(self.backend.name, f"{reason}; {core_reason}", compiled, plan["mode"])
        self.ledger = Ledger(records, header)
        self.ledger.in_child = self._in_child
        self._role = Role(self.ledger)
        self.names: Any
        self.tracker: Any
        if plan["live"]:
            self._listen()
        self._follow(plan)
        self._switching = False
        atexit.register(self.detach)
        self._start_threads()

    def _listen(self) -> None:
        from .control import Control
        from .live import Live
        from .naming import Seen

        self._seen = Seen()
        control = Control(os.path.join(self._directory, "control"))
        self._live = Live(self, control, self._core, self.error)

    def _follow(self, plan: dict[str, Any]) -> None:
        """Do what the plan says from now on."""
        self._observes = plan["mode"] == "discover"
        if self._observes:
            self._discover(plan, self._core)
            self.backend.install(self.tracker)
        else:
            self._delay(plan, self._core)
            if self.names.watches:
                self.backend.install(
                    self.tracker, switched=plan["live"], all_calls=self.names.everywhere
                )

    def _start_threads(self) -> None:
        if self._probe is not None:
            self._probe.start()
        if self._live is not None:
            self._live.start(self.ledger)

    def _stop_threads(self) -> None:
        if self._live is not None:
            self._live.stop()
        if self._probe is not None:
            self._probe.stop()

    def _delay(self, plan: dict[str, Any], core: Any) -> None:
        from .doses import Doses

        twin = core is None
        if twin:
            from . import delayer as core
        self.names = Doses(plan, self.backend, self.ledger, self._role, self._seen)
        self.tracker = core.Delayer(
            self.ledger.counters,
            self.names.resolve,
            self.error,
            _disable(),
            _window(plan),
            self.names.event_ns,
            self.names.native,
            self.names.everywhere,
        )
        if twin and "inside" in plan["event_ns"]:
            self.tracker.inside_ns = round(plan["event_ns"]["inside"])

    def _discover(self, plan: dict[str, Any], core: Any) -> None:
        from .gilprobe import GilProbe
        from .sightings import Sightings

        twin = core is None
        if twin:
            from . import observer as core
        self.names = names = Sightings(plan, self.backend, self.ledger, self._role, self._seen)
        self.tracker = core.Observer(
            self.ledger.counters,
            names.resolve,
            names.site,
            names.edge,
            names.thread,
            names.arm if plan["sites"] else None,
            self.error,
            _disable(),
            _window(plan),
            names.native,
            plan["lines"],
        )
        if twin:
            self.tracker.dense_ns = _DENSE_OF_TWIN_NS
        if plan["sites"] and getattr(sys, "_is_gil_enabled", lambda: True)():
            self._probe = GilProbe(self.tracker, self.error)

    def follow_plan(self) -> None:
        """Live mode: the plan file is another one now.

        Code that runs may never begin again, and suspended code may not for long: all that has been
        seen is met at once.
        """
        if self._probe is not None:
            self._probe.stop()
            self._probe = None
        self._follow(_read_plan(self._directory))
        if self._probe is not None:
            self._probe.start()
        for code in () if self._observes else self._seen.codes():
            self.tracker.meet(code)

    def switch(self, control: Control) -> None:
        """Live mode: the page has changed."""
        if not self._observes:
            self.names.switch(self.tracker, control)

    def let_go(self) -> None:
        """Live mode: the tool is gone."""
        if not self._observes:
            self.names.let_go(self.tracker)
            return
        if self._probe is not None:
            self._probe.stop()
        self.backend.uninstall()

    def error(self, error: BaseException) -> None:
        """Record an exception of the injector's own code."""
        try:
            self.ledger.error(error)
        except Exception:
            return

    def detach(self) -> None:
        """Stop watching: at an orderly end, so that nothing is watched in the interpreter's own."""
        try:
            self._stop_threads()
            self.backend.uninstall()
            self.ledger.detached()
        except Exception as error:
            self.error(error)

    def _before_fork(self) -> None:
        try:
            self._stop_threads()
        except Exception as error:
            self.error(error)

    def _after_fork(self) -> None:
        try:
            self._start_threads()
        except Exception as error:
            self.error(error)

    def _in_child(self) -> None:
        """Once in each child, by the hook or by the first thing that is announced there."""
        if self._switching or not self.ledger.is_foreign():
            return
        self._switching = True
        try:
            self._switch_ledger()
        finally:
            self._switching = False

    def _switch_ledger(self) -> None:
        try:
            ledger = self.ledger.child(name=self._role.of_child())
        except Exception:
            # No records: the parent's must not be written to from here.
            self.ledger.in_child = None
            self.backend.uninstall()
            self.tracker.forked(memoryview(bytearray(self.ledger.counters.nbytes)).cast("Q"))
            return
        self.ledger = ledger
        self.names.ledger = ledger
        self._role.ledger = ledger
        try:
            self.tracker.forked(ledger.counters)
            self._start_threads()
        except Exception as error:
            self.error(error)


def _read_plan(directory: str) -> dict[str, Any]:
    with open(os.path.join(directory, "plan.json"), encoding="utf-8") as file:
        plan: dict[str, Any] = decode(file.read())
    if plan.get("version") != PLAN_VERSION:
        raise ValueError(
            f"the plan has format version {plan.get('version')!r}, "
            f"this injector reads {PLAN_VERSION}"
        )
    return plan


def load_core(wanted: bool) -> tuple[Any, str]:
    """The compiled core, or None, and why."""
    if not wanted:
        return None, "Python twin: the plan asks for it"
    try:
        core = import_module("._core", __package__)
    except ImportError as error:
        return None, f"Python twin: the compiled core is not there ({error})"
    return core, "compiled core"


def _header(backend: str, reason: str, compiled: bool, mode: str) -> dict[str, Any]:
    argv = list(getattr(sys, "orig_argv", sys.argv))
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "executable": sys.executable,
        "backend": backend,
        "reason": reason,
        "compiled": compiled,
        "mode": mode,
        "argv": argv,
        "forked": False,
        "name": Role.at_start(),
    }


def _disable() -> object:
    monitoring = getattr(sys, "monitoring", None)
    return None if monitoring is None else monitoring.DISABLE


def _window(plan: dict[str, Any]) -> tuple[int, int]:
    """The plan's window on the monotonic clock, ns; 0 for no bound."""
    opens = plan["launched_ns"] + round(plan["warmup_ms"] * 1e6)
    closes = 0 if plan["duration_ms"] is None else opens + round(plan["duration_ms"] * 1e6)
    return (opens if plan["warmup_ms"] else 0, closes)
