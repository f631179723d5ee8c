"""Signs that need no reading: functions of the standard library that are known by name.

Invariant: what a caller asks of these is not the caller's own time but theirs, so it is here that
JSON, regular expressions and messages show; the advice is for who calls them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bisector.schema import HintKind


class Known(NamedTuple):
    """``functions``: beginnings of qualified names. ``waits``: only where it was seen to wait."""

    kind: HintKind
    text: str
    functions: tuple[str, ...] = ("",)
    waits: bool = False


_REGEX = Known("regex", "compiles a regular expression: keep what re.compile() returns")

LIBRARY: Mapping[str, tuple[Known, ...]] = {
    "json.encoder": (Known("serialisation", "makes JSON text of objects"),),
    "json.decoder": (Known("serialisation", "makes objects of JSON text"),),
    "pickle": (Known("serialisation", "pickles in Python; the module pickle does it in C"),),
    "multiprocessing.reduction": (
        Known("serialisation", "pickles what goes to another process", ("ForkingPickler",)),
    ),
    "multiprocessing.connection": (
        Known("waiting", "waits for another process", ("Connection._recv",), waits=True),
    ),
    "copy": (
        Known(
            "allocation",
            "copies an object with everything below it",
            ("deepcopy", "_deepcopy", "_reconstruct", "_keep_alive"),
        ),
    ),
    "re": (
        Known(
            "regex",
            "looks a pattern up that is given as text: keep what re.compile() returns",
            ("_compile",),
        ),
    ),
    "re._compiler": (_REGEX,),
    "re._parser": (_REGEX,),
    "logging": (
        Known("logging", "makes or writes a log message", ("Logger.", "LogRecord", "Handler")),
        Known("logging", "makes or writes a log message", ("Formatter", "StreamHandler")),
    ),
    "threading": (
        Known(
            "waiting",
            "waits until another thread says so",
            ("Condition.wait", "Event.wait", "Barrier.wait"),
            waits=True,
        ),
        Known("waiting", "waits until a thread has ended", ("Thread.join",), waits=True),
    ),
    "selectors": (
        Known(
            "waiting",
            "waits until something can be read or written, or a timer is due",
            ("EpollSelector.select", "PollSelector.select", "SelectSelector.select"),
            waits=True,
        ),
    ),
    "subprocess": (
        Known("waiting", "waits until another process has ended", ("Popen._try_wait",), True),
        Known("waiting", "waits until another process has begun", ("Popen._execute_child",), True),
    ),
    "socket": (
        Known("waiting", "waits until the other side has sent something", ("SocketIO",), True),
    ),
}


def known(target: str) -> tuple[Known, ...]:
    """What is known of a target by its name."""
    module, _, qualname = target.partition(":")
    found = LIBRARY.get(module, ())
    return tuple(each for each in found if qualname.startswith(each.functions))
