"""Everything that can go wrong, as one tree; each kind knows the exit code it ends with.

A message is one sentence: what happened, with the offending value, and what to do next. A benchmark
that fails is not an exception but an observation (`bisector.observations.RunObserved`); only what
makes the whole investigation impossible is raised.

    SpeedbumpError                 exit code
    ├── UsageError                 2    an option, a path or a pattern cannot be used
    │   └── RunDirectoryError      2    the run directory is in use, unwritable, full, no journal
    ├── MeasurementFailed          1    nothing can be measured here, whatever the options
    │   └── CrashError             1    a defect of this tool; names the crash log
    └── Interrupted                130  Ctrl-C; carries the best answer so far
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from bisector.summary import Summary


class SpeedbumpError(Exception):
    """Root of all errors this tool raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(SpeedbumpError):
    """What was asked for cannot be done as it was said."""

    exit_code = 2


class RunDirectoryError(UsageError):
    """The run directory or its journal cannot be used."""


class MeasurementFailed(SpeedbumpError):
    """The measurement itself is impossible: no usable interpreter, the process warden died."""


class CrashError(MeasurementFailed):
    """An unexpected exception; the traceback is in the file the message names."""


class Interrupted(SpeedbumpError):
    """The user stopped the investigation; ``summary`` is what was known, ``resume`` goes on."""

    exit_code = 130

    def __init__(self, message: str, summary: Summary | None = None) -> None:
        super().__init__(message)
        self.summary = summary
