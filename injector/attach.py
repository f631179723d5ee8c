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

PLAN_VERSION = 1
"""As `injector.plan.VERSION`; that module is not imported here: its `dataclasses` cost 15 ms."""

_DENSE_CALL_OF_TWIN_NS = 3_000
"""Bringing a call and its return to Python takes 0.4 µs, and a loop may hold several."""

_attached: Attachment | None = None


def start(directory: str) -> None:
    """Attach this process to the run whose files are in ``directory``. Never raises."""
    global _attached
    if _attached is not None:
        return
    records = os.path.join(directory, "records")
    try:
        _attached = Attachment(_read_plan(os.path.join(directory, "plan.json")), records)
    except Exception as error:
        try:
            Ledger(records, _header("none", "attaching failed", False, "none")).error(error)
        except Exception:
            return


class Attachment:
    """What holds this process to its run: backend, tracker, ledger and, to discover, the probe."""

    def __init__(self, plan: dict[str, Any], records: str) -> None:
        """Attach.

        Raises:
            Exception: whatever went wrong; nothing is installed then.
        """
        # First of all, so that in a child nothing that others do there is seen before.
        os.register_at_fork(
            before=self._before_fork,
            after_in_parent=self._after_fork,
            after_in_child=self._in_child,
        )
        self._probe: Any = None
        self._switching = True  # no child can be served before there is a ledger
        self.ledger: Ledger
        core, core_reason = load_core(plan["compiled"])
        self.backend, reason = choose(plan["backend"], core is not None)
        header = _header(
            self.backend.name, f"{reason}; {core_reason}", core is not None, plan["mode"]
        )
        self.ledger = Ledger(records, header)
        self.ledger.in_child = self._in_child
        self._role = Role(self.ledger)
        self.names: Any
        self.tracker: Any
        if plan["mode"] == "discover":
            self._discover(plan, core)
            watches = True
        else:
            self._delay(plan, core)
            watches = self.names.watches
        if watches:
            self.backend.install(self.tracker)
        self._switching = False
        atexit.register(self.detach)
        if self._probe is not None:
            self._probe.start()

    def _delay(self, plan: dict[str, Any], core: Any) -> None:
        from .doses import Doses

        if core is None:
            from . import delayer as core
        self.names = Doses(plan, self.backend, self.ledger, self._role)
        self.tracker = core.Delayer(
            self.ledger.counters,
            self.names.resolve,
            self.error,
            _disable(),
            _window(plan),
            self.names.event_ns,
        )

    def _discover(self, plan: dict[str, Any], core: Any) -> None:
        from .gilprobe import GilProbe
        from .sightings import Sightings

        twin = core is None
        if twin:
            from . import observer as core
        self.names = names = Sightings(plan, self.backend, self.ledger, self._role)
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
        )
        if twin:
            self.tracker.dense_call_ns = _DENSE_CALL_OF_TWIN_NS
        if plan["sites"] and getattr(sys, "_is_gil_enabled", lambda: True)():
            self._probe = GilProbe(self.tracker, self.error)

    def error(self, error: BaseException) -> None:
        """Record an exception of the injector's own code."""
        try:
            self.ledger.error(error)
        except Exception:
            return

    def detach(self) -> None:
        """Stop watching: at an orderly end, so that nothing is watched in the interpreter's own."""
        try:
            if self._probe is not None:
                self._probe.stop()
            self.backend.uninstall()
            self.ledger.detached()
        except Exception as error:
            self.error(error)

    def _before_fork(self) -> None:
        try:
            if self._probe is not None:
                self._probe.stop()
        except Exception as error:
            self.error(error)

    def _after_fork(self) -> None:
        try:
            if self._probe is not None:
                self._probe.start()
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
            if self._probe is not None:
                self._probe.start()
        except Exception as error:
            self.error(error)


def _read_plan(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
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
