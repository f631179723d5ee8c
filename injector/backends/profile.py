"""The backend that every Python has: a profile function, set in every thread.

Used on 3.11 where the compiled core is not there. It is slow (every call of every function comes
by, in delay mode too), so the records say when it is in use. What it lacks: back-edges and lines. A
long loop without calls is charged to the entry, the return or the calls of its function.

A profile function is told ``call`` when a function is called and when a generator goes on, and
``return`` for returning, yielding and unwinding alike. Which it was is read from the frame: one
that stands on its first RESUME is being called, one that stands on YIELD_VALUE has yielded (or is
left by an exception thrown in there: to a tracker the same, the frame is gone from the stack).

A Python callee's CALL is made up from the caller's position when the callee starts; the calls that
a native function makes (``sorted(key=...)``) belong to the CALL of that native function.
"""

from __future__ import annotations

import sys
import threading
from _thread import _local
from opcode import opmap

from ..tracker import TYPE_CHECKING
from .contract import placeable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType, FrameType
    from typing import Any

    from .contract import SiteFields

_RESUME = opmap["RESUME"]
_RETURNS = {opmap[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in opmap}
_CALLS = {opmap[name] for name in ("CALL", "CALL_FUNCTION_EX", "CALL_KW") if name in opmap}
_YIELD = opmap["YIELD_VALUE"]

_CACHE_ENTRY = opmap.get("CACHE", 0)

_CACHE = 50_000
"""Byte codes kept; reading ``co_code`` makes a copy of it every time."""


class _Natives(_local):
    """Per thread: the frames whose native call is running, innermost last."""

    def __init__(self) -> None:
        self.frames: list[FrameType] = []


def _python_callee() -> None:
    """Stands for the function that is called, which a profile function is not told."""


class Profile:
    """`sys.setprofile` in all threads, spoken to a tracker in the words of `sys.monitoring`."""

    name = "profile"

    def __init__(self) -> None:
        self._tracker: Any = None
        self._armed: dict[int, tuple[CodeType, set[str]]] = {}
        self._codes: dict[int, tuple[CodeType, bytes]] = {}
        self._natives = _Natives()
        self._observes = self._all_calls = False

    def install(self, tracker: Any, switched: bool = False, all_calls: bool = False) -> None:
        """Set the profile function in this thread, the others that run, and all that will."""
        again = self._tracker is not None
        self._armed = {}
        self._observes = hasattr(tracker, "unwind")
        self._all_calls = all_calls
        self._tracker = tracker
        if again:
            return  # it is set in all threads already, and must not be in that of the injector
        everywhere = getattr(threading, "setprofile_all_threads", threading.setprofile)
        everywhere(self._event)
        sys.setprofile(self._event)

    def uninstall(self) -> None:
        """Take it out of this thread and of those to come; in others it does nothing any more."""
        if self._tracker is None:
            return
        self._tracker = None
        if threading.getprofile() == self._event:
            threading.setprofile(None)
        if sys.getprofile() == self._event:
            sys.setprofile(None)

    def arm(self, code: CodeType, kinds: Iterable[str]) -> None:
        """Pass on these kinds of event of this code."""
        known = self._armed.setdefault(id(code), (code, set()))
        known[1].update(kinds)

    def watch(self, code: CodeType, kinds: Iterable[str], afresh: bool = False) -> None:
        """Pass on exactly these."""
        self._armed.pop(id(code), None)
        if kinds:
            self.arm(code, kinds)

    def place(self, code: CodeType, sites: list[SiteFields]) -> tuple[list[SiteFields], str | None]:
        """All but back-edges and lines can be reached."""
        return placeable(sites, ("jump", "line"), "a profile function does not see")

    def _event(self, frame: FrameType, event: str, arg: object) -> None:
        tracker = self._tracker
        if tracker is None:
            return
        code = frame.f_code
        offset = frame.f_lasti
        if event == "call":
            self._call(tracker, frame, code, offset)
        elif event == "return":
            armed = self._armed.get(id(code))
            if self._observes or (armed is not None and armed[1] & {"yield", "return"}):
                instruction = self._instruction(code, offset)
                if instruction == _YIELD:
                    tracker.yield_(code, offset, arg)
                elif instruction in _RETURNS:
                    tracker.return_(code, offset, arg)
                elif self._observes:
                    tracker.unwind(code, offset, None)
        elif event == "c_call":
            self._natives.frames.append(frame)
            if self._all_calls or id(code) in self._armed:
                tracker.call(code, offset, arg, None)
        else:
            natives = self._natives.frames
            if natives:
                natives.pop()
            if self._observes and id(code) in self._armed:
                tracker.native_return(code, offset, arg, None)

    def _call(self, tracker: Any, frame: FrameType, code: CodeType, offset: int) -> None:
        caller = frame.f_back
        if caller is not None and id(caller.f_code) in self._armed:
            natives = self._natives.frames
            inside_native = bool(natives) and natives[-1] is caller
            at = self._instruction_at(caller.f_code, caller.f_lasti)
            if not inside_native and self._instruction(caller.f_code, at) in _CALLS:
                tracker.call(caller.f_code, at, _python_callee, None)
        if self._instruction(code, offset) == _RESUME and not self._argument(code, offset) & 3:
            tracker.start(code, offset)
        else:
            armed = self._armed.get(id(code))
            if self._observes or (armed is not None and "resume" in armed[1]):
                tracker.resume(code, offset)

    def _instruction(self, code: CodeType, offset: int) -> int:
        return self._bytes(code)[offset] if offset >= 0 else -1

    def _instruction_at(self, code: CodeType, offset: int) -> int:
        """The instruction that ``offset``, which may lie in its inline cache, belongs to."""
        codes = self._bytes(code)
        while offset > 0 and codes[offset] == _CACHE_ENTRY:
            offset -= 2
        return offset

    def _argument(self, code: CodeType, offset: int) -> int:
        return self._bytes(code)[offset + 1]

    def _bytes(self, code: CodeType) -> bytes:
        known = self._codes.get(id(code))
        if known is None:
            if len(self._codes) >= _CACHE:
                self._codes.clear()
            known = self._codes[id(code)] = (code, code.co_code)
        return known[1]
