"""Which backend watches this process, and why. The reason goes into the records.

| Python | core | delay | discover |
|---|---|---|---|
| 3.12 and later | either | monitoring | monitoring |
| 3.11 | compiled | frame_eval (PEP 523) | frame_eval |
| 3.11 | none | profile | profile |

A mechanism that is not to be had is no reason to give up: the next one is tried, and both the
failure and the way out are in the reason.
"""

from __future__ import annotations

import sys

from ..tracker import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import Backend

VERSION_WITH_MONITORING = (3, 12)


class NoBackend(Exception):
    """No mechanism works in this process; the message names each and what was wrong with it."""


def candidates(wanted: str, compiled: bool, version: tuple[int, ...]) -> list[tuple[str, str]]:
    """(name, reason) of the backends to try, in order. ``wanted`` is ``auto`` or a name."""
    running = ".".join(map(str, version[:2]))
    if wanted != "auto":
        return [(wanted, "the plan asks for it")]
    if version >= VERSION_WITH_MONITORING:
        return [
            ("monitoring", f"Python {running} has sys.monitoring"),
            ("profile", "it needs no tool id"),
        ]
    if compiled:
        return [
            ("frame_eval", f"Python {running} has no sys.monitoring; the compiled core is there"),
            ("profile", "it needs no compiled core"),
        ]
    return [("profile", f"Python {running} has no sys.monitoring, and no compiled core is in use")]


def build(name: str) -> Backend:
    """The backend called ``name``, not installed yet.

    Raises:
        ImportError: it needs the compiled core, which is not there.
        RuntimeError: this interpreter or this process does not offer the mechanism.
        ValueError: there is no backend of that name.
    """
    if name == "monitoring":
        from .monitoring import Monitoring

        return Monitoring()
    if name == "profile":
        from .profile import Profile

        return Profile()
    if name == "frame_eval":
        from .frame_eval import FrameEval

        return FrameEval()
    raise ValueError(f"there is no backend {name!r}")


def choose(
    wanted: str, compiled: bool, version: tuple[int, ...] = sys.version_info[:3]
) -> tuple[Backend, str]:
    """The first backend that is to be had, with the reason. Installing it is the caller's.

    Raises:
        NoBackend: none can.
    """
    failures: list[str] = []
    for name, reason in candidates(wanted, compiled, version):
        try:
            return build(name), "; ".join([*failures, reason])
        except (ImportError, RuntimeError, ValueError) as error:
            failures.append(f"{name} failed: {error}")
    raise NoBackend("; ".join(failures))
