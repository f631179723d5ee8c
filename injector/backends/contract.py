"""What a backend is: the mechanism that brings the events of running code to a tracker.

There is one per mechanism the interpreters offer. A backend knows nothing of delays or times; a
tracker knows nothing of mechanisms. `injector.backends.choose` picks one and says why.

An offset is always that of an instruction, never one in its inline cache (where a running caller's
``f_lasti`` points on 3.11), so that what was discovered by one mechanism can be delayed by another
of the same Python.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import Any, Protocol, TypeAlias

    SiteFields: TypeAlias = dict[str, Any]
    """One site of a dose as the plan has it: at, offset, state, delay_ns."""
else:
    Protocol = object


def placeable(
    sites: list[SiteFields], missing: tuple[str, ...], why: str
) -> tuple[list[SiteFields], str | None]:
    """What `Backend.place` answers where these kinds of site cannot be had."""
    placed = [site for site in sites if site["at"] not in missing]
    lost = sum(site["delay_ns"] > 0 for site in sites if site["at"] in missing)
    return placed, f"{lost} delays at back-edges or lines, which {why}" if lost else None


class Backend(Protocol):
    """One mechanism. ``name`` is what the records call it.

    Constructing one, without arguments, is finding out whether it is to be had.

    Raises (the constructor):
        RuntimeError: this interpreter or this process does not offer the mechanism.
        ImportError: it needs the compiled core, which is not there.
    """

    name: str

    def install(self, tracker: Any, switched: bool = False, all_calls: bool = False) -> None:
        """Bring events to ``tracker`` (a Delayer or an Observer, by its methods) from now on.

        Covers every thread of the process, those that run already included. A tracker that was
        there before gets no more. With ``switched`` (a Delayer only) code is brought once to be
        met, and after that only the events that `watch` asks for. With ``all_calls`` (a Delayer
        only) every native call is brought, in any code.

        Raises:
            RuntimeError: the mechanism cannot be had twice, which ``switched`` may need.
        """

    def uninstall(self) -> None:
        """Bring no more events. May be called twice, and while events are being delivered."""

    def arm(self, code: CodeType, kinds: Iterable[str]) -> None:
        """Bring also these kinds of event of this code, at once, in activations that run already.

        Kinds as in `injector.plan.At`. ``call`` brings the returns of native calls with it. Kinds
        that the mechanism brings anyway are ignored, and so are those it does not have.
        """

    def watch(self, code: CodeType, kinds: Iterable[str], afresh: bool = False) -> None:
        """Where it was installed ``switched``: bring exactly these kinds of event of this code.

        Kinds as for `arm`, and ``start``. With ``afresh`` also where they have been switched off by
        what a tracker answered.
        """

    def place(self, code: CodeType, sites: list[SiteFields]) -> tuple[list[SiteFields], str | None]:
        """The sites of a dose as this mechanism can reach them, and why some cannot be, or None.

        A delay that is moved to a neighbouring site keeps its state and its amount.
        """
