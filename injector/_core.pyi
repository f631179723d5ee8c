"""The compiled half of the injector. What its classes promise is in `injector.tracker`.

Importing it raises ImportError, with a sentence, in a subinterpreter and on a build without GIL.
"""

import sys
from collections.abc import Callable
from types import CodeType
from typing import Any

from .tracker import DelaySpec, EventNs, Look, NativeAnswer, ObserveSpec, Window

def spin_gil(ns: float, /) -> int:
    """Compute for ``ns`` holding the GIL. Returns the nanoseconds spent."""

def spin_nogil(ns: float, /) -> int:
    """Compute for ``ns`` without the GIL. Returns the nanoseconds spent."""

def wait(ns: float, /) -> int:
    """Sleep for ``ns``. Returns the nanoseconds slept, usually some 60 µs more than asked for."""

def listen(pipe: int, counters: memoryview[int], /) -> bool:
    """See `injector.live.listen`. That nobody is left is in the counters before it has the GIL."""

def set_clock(wall_ns: int = ..., cpu_ns: int = ..., /) -> None:
    """For tests: what an Observer's clocks say from now on. Without arguments: the truth again."""

class Delayer:
    """See `injector.tracker.Delayer`."""

    def __init__(
        self,
        counters: memoryview[int],
        resolve: Callable[[CodeType, dict[str, Any] | None], DelaySpec | None],
        on_error: Callable[[BaseException], None],
        disable: object,
        window: Window,
        event_ns: EventNs,
        native: Callable[[object], NativeAnswer] | None = None,
        everywhere: bool = False,
    ) -> None: ...
    def start(self, code: CodeType, offset: int, /) -> object: ...
    def resume(self, code: CodeType, offset: int, /) -> object: ...
    def throw(self, code: CodeType, offset: int, error: BaseException, /) -> None: ...
    def call(self, code: CodeType, offset: int, function: object, arg0: object, /) -> object: ...
    def jump(self, code: CodeType, offset: int, destination: int, /) -> object: ...
    def line(self, code: CodeType, line: int, /) -> object: ...
    def yield_(self, code: CodeType, offset: int, value: object, /) -> object: ...
    def return_(self, code: CodeType, offset: int, value: object, /) -> object: ...
    def forked(self, counters: memoryview[int], /) -> None: ...

class Observer:
    """See `injector.tracker.Observer`."""

    def __init__(
        self,
        counters: memoryview[int],
        resolve: Callable[[CodeType, dict[str, Any] | None], ObserveSpec | None],
        site: Callable[..., int],
        edge: Callable[[int, int], int],
        thread: Callable[[int], int],
        arm: Callable[[CodeType], None] | None,
        on_error: Callable[[BaseException], None],
        disable: object,
        window: Window,
        native: Callable[[object], NativeAnswer] | None = None,
        lines: bool = False,
    ) -> None: ...
    def start(self, code: CodeType, offset: int, /) -> object: ...
    def resume(self, code: CodeType, offset: int, /) -> object: ...
    def throw(self, code: CodeType, offset: int, error: BaseException, /) -> None: ...
    def call(self, code: CodeType, offset: int, function: object, arg0: object, /) -> object: ...
    def native_return(
        self, code: CodeType, offset: int, function: object, arg0: object, /
    ) -> None: ...
    def jump(self, code: CodeType, offset: int, destination: int, /) -> object: ...
    def line(self, code: CodeType, line: int, /) -> object: ...
    def yield_(self, code: CodeType, offset: int, value: object, /) -> object: ...
    def return_(self, code: CodeType, offset: int, value: object, /) -> object: ...
    def unwind(self, code: CodeType, offset: int, error: BaseException, /) -> None: ...
    def look(self) -> list[Look]: ...
    def arm(self, code: CodeType, /) -> None: ...
    def released(self, code: CodeType, offset: int, /) -> None: ...
    def forked(self, counters: memoryview[int], /) -> None: ...

if sys.version_info < (3, 12):
    def install_frame_eval(tracker: Delayer | Observer, /) -> None:
        """Bring the events of all frames to ``tracker`` (PEP 523, chained).

        Raises:
            TypeError: it is neither a Delayer nor an Observer of this module.
        """

    def uninstall_frame_eval() -> None:
        """Bring no more events. A hook that somebody else chained to stays, and hands on."""
