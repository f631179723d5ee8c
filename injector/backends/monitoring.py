"""The backend of Python 3.12 and later: `sys.monitoring`, with the tracker's methods as callbacks.

In delay mode only PY_START is watched in all code, and switches itself off in code that is no
target, so that a run costs nothing outside its targets; the rest are local events of these. Where
targets are switched while the program runs, PY_START switches itself off in all code, once that is
known, and everything else is local events of a second tool id: events that were switched off by
their callback only come back with another id's. In
discover mode the events that keep a shadow stack are watched everywhere, and CALL and JUMP in the
code that proves worth it. C_RETURN and C_RAISE come with CALL.

Measured on 3.12.1 and 3.13.0: local events that are switched on in a code's own PY_START callback
take effect in that same activation, native returns and back-edges included.
"""

from __future__ import annotations

import sys
from _weakref import ref

from ..tracker import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import Any

    from .contract import SiteFields

_IDS = (3, 4, 1, 5, 2, 0)
"""Tool ids by preference: 0, 1, 2, 5 have customary owners (debugger, coverage, profiler, JIT)."""

_TOOL = "speedbump-bisect"


class Monitoring:
    """`sys.monitoring` under a free tool id."""

    name = "monitoring"

    def __init__(self) -> None:
        """Take a free tool id.

        Raises:
            RuntimeError: this Python has no `sys.monitoring`, or other tools hold all six ids.
        """
        self._id: int | None = self._take_id()
        self._second: int | None = None
        self._armed: list[ref[CodeType]] = []

    def install(self, tracker: Any, switched: bool = False, all_calls: bool = False) -> None:
        """Register and watch.

        Raises:
            RuntimeError: ``switched``, and other tools hold all ids but one.
        """
        tool = self._id
        if tool is None:
            return
        monitoring = sys.monitoring
        events = monitoring.events
        self._disarm()
        if switched:
            self._second = self._take_id() if self._second is None else self._second
            monitoring.register_callback(tool, events.PY_START, tracker.meet)
            monitoring.set_events(tool, events.PY_START)
            tool = self._second
        callbacks = {
            events.PY_START: tracker.start,
            events.PY_RESUME: tracker.resume,
            events.PY_YIELD: tracker.yield_,
            events.PY_RETURN: tracker.return_,
            events.CALL: tracker.call,
            events.JUMP: tracker.jump,
            events.LINE: tracker.line,
        }
        everywhere = events.PY_START | (events.CALL if all_calls else 0)
        if hasattr(tracker, "unwind"):
            callbacks |= {
                events.PY_THROW: tracker.throw,
                events.PY_UNWIND: tracker.unwind,
                events.C_RETURN: tracker.native_return,
                events.C_RAISE: tracker.native_return,
            }
            everywhere |= events.PY_RESUME | events.PY_THROW | events.PY_YIELD
            everywhere |= events.PY_RETURN | events.PY_UNWIND
        for event, callback in callbacks.items():
            monitoring.register_callback(tool, event, callback)
        if not switched:
            monitoring.set_events(tool, everywhere)

    def uninstall(self) -> None:
        """Give the tool ids back."""
        tools = (self._id, self._second)
        self._id = self._second = None
        for tool in tools:
            if tool is None:
                continue
            sys.monitoring.set_events(tool, 0)
            for event in range(17):
                sys.monitoring.register_callback(tool, 1 << event, None)
            sys.monitoring.free_tool_id(tool)

    def arm(self, code: CodeType, kinds: Iterable[str]) -> None:
        """Switch on local events, in addition to those that are on."""
        if self._id is None:
            return
        wanted = sys.monitoring.get_local_events(self._id, code)
        if not wanted:
            self._armed.append(ref(code))
        sys.monitoring.set_local_events(self._id, code, wanted | _events(kinds))

    def watch(self, code: CodeType, kinds: Iterable[str], afresh: bool = False) -> None:
        """Switch on exactly these."""
        if self._second is not None:
            if afresh:  # events that are switched off and on come back everywhere
                start = _events({"start"}.intersection(kinds))
                sys.monitoring.set_local_events(self._second, code, start)
            sys.monitoring.set_local_events(self._second, code, _events(kinds))

    def _disarm(self) -> None:
        """Whoever comes next begins with nothing armed."""
        armed, self._armed = self._armed, []
        for reference in armed:
            code = reference()
            if code is not None and self._id is not None:
                sys.monitoring.set_local_events(self._id, code, 0)

    def place(self, code: CodeType, sites: list[SiteFields]) -> tuple[list[SiteFields], str | None]:
        """Every site can be reached."""
        return sites, None

    @staticmethod
    def _take_id() -> int:
        if not hasattr(sys, "monitoring"):
            raise RuntimeError("this Python has no sys.monitoring")
        for tool in _IDS:
            if sys.monitoring.get_tool(tool) is None:
                sys.monitoring.use_tool_id(tool, _TOOL)
                return tool
        holders = ", ".join(str(sys.monitoring.get_tool(tool)) for tool in sorted(_IDS))
        raise RuntimeError(f"every sys.monitoring tool id is taken ({holders})")


def _events(kinds: Iterable[str]) -> int:
    events = sys.monitoring.events
    by_kind = {
        "start": events.PY_START,
        "resume": events.PY_RESUME,
        "call": events.CALL,
        "jump": events.JUMP,
        "yield": events.PY_YIELD,
        "return": events.PY_RETURN,
        "line": events.LINE,
    }
    wanted = 0
    for kind in kinds:
        wanted |= by_kind.get(kind, 0)
    return wanted
