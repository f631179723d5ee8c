"""The compiled half of the injector. What its classes promise is in `injector.tracker`.

Importing it raises ImportError, with a sentence, in a subinterpreter and on a build without GIL.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any

from .tracker import DelaySpec, Window

def spin_gil(ns: float, /) -> int:
    """Compute for ``ns`` holding the GIL. Returns the nanoseconds spent."""

def spin_nogil(ns: float, /) -> int:
    """Compute for ``ns`` without the GIL. Returns the nanoseconds spent."""

def wait(ns: float, /) -> int:
    """Sleep for ``ns``. Returns the nanoseconds slept, usually some 60 µs more than asked for."""

class Delayer:
    """See `injector.tracker.Delayer`."""

    def __init__(
        self,
        counters: memoryview[int],
        resolve: Callable[[CodeType, dict[str, Any] | None], DelaySpec | None],
        on_error: Callable[[BaseException], None],
        disable: object,
        window: Window,
        event_ns: tuple[int, int],
    ) -> None: ...
    def start(self, code: CodeType, offset: int, /) -> object: ...
    def resume(self, code: CodeType, offset: int, /) -> object: ...
    def throw(self, code: CodeType, offset: int, error: BaseException, /) -> None: ...
    def call(self, code: CodeType, offset: int, function: object, arg0: object, /) -> object: ...
    def jump(self, code: CodeType, offset: int, destination: int, /) -> object: ...
    def yield_(self, code: CodeType, offset: int, value: object, /) -> object: ...
    def return_(self, code: CodeType, offset: int, value: object, /) -> object: ...
    def forked(self, counters: memoryview[int], /) -> None: ...
