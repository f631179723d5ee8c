"""The name of running code: what a target is called, in every process of a run.

Module = the ``__name__`` of the code's globals at run time, because that is what the program itself
would print; a script is ``__main__`` in its spawned children too, where multiprocessing calls it
``__mp_main__``. Function = ``co_qualname``.
"""

from __future__ import annotations

import os
import sys
from _functools import partial  # type: ignore[import-not-found]
from _weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep
"""Where the injector's own code lives: never a target, never recorded."""


def is_own(code: CodeType) -> bool:
    """Whether the code is the injector's."""
    return code.co_filename.startswith(OWN_FOLDER)


def module_of(globals_: dict[str, Any] | None) -> str:
    """The module a frame with these globals belongs to, ``?`` where they do not say."""
    name = globals_.get("__name__") if globals_ else None
    if not isinstance(name, str):
        return "?"
    return "__main__" if name == "__mp_main__" else name


def frame_of(code: CodeType) -> FrameType | None:
    """The innermost running frame of ``code`` in this thread."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame


def running_in(code: CodeType, globals_: dict[str, Any] | None) -> str:
    """The module of code that runs in this thread, whose globals may be known."""
    if globals_ is None:
        frame = frame_of(code)
        globals_ = None if frame is None else frame.f_globals
    return module_of(globals_)


def known_by_id(code: CodeType, known: dict[int, Any]) -> ref[CodeType]:
    """A reference for what is known of code under its id: that must not keep the code alive, nor
    outlive it. No Python runs when it goes, which a tracer of the program's would see."""
    return ref(code, partial(known.pop, id(code)))


class Seen:
    """Code that has run, with its module: for finding it again when it does not run right now."""

    def __init__(self) -> None:
        self._modules: dict[int, tuple[ref[CodeType], str]] = {}

    def module_of(self, code: CodeType, globals_: dict[str, Any] | None) -> str:
        """As `running_in`, and remembered: code keeps the module it was first seen in."""
        known = self._modules.get(id(code))
        if known is not None:
            return known[1]
        module = running_in(code, globals_)
        key = id(code)
        self._modules[key] = (known_by_id(code, self._modules), module)
        return module

    def codes(self) -> list[CodeType]:
        """All that still exist."""
        return [code for known, _ in list(self._modules.values()) if (code := known()) is not None]


def importer_of(code: CodeType) -> str | None:
    """The module whose code is importing the module that ``code`` is the body of.

    That is the nearest frame outside the import machinery; None for the script itself. The body's
    own frame may be running already or be about to.
    """
    body = frame_of(code)
    frame = sys._getframe(1) if body is None else body.f_back
    while frame is not None:
        name = module_of(frame.f_globals)
        if not name.startswith("importlib") and name != "runpy" and not is_own(frame.f_code):
            return name
        frame = frame.f_back
    return None


_FUNCTION: type = type(is_own)
_METHOD: type = type(Seen().codes)
"""As `types` has them, which a target need not import for this."""


def is_python(function: Any) -> bool:
    """Whether it is Python code that is called, whose frame will be seen."""
    kind = type(function)
    return kind is _FUNCTION or (kind is _METHOD and type(function.__func__) is _FUNCTION)


def raised_here(error: BaseException) -> bool:
    """Whether the injector's own code raised this, and not a signal handler that interrupted it."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is None or at.tb_frame.f_code.co_filename.startswith(OWN_FOLDER)
