"""The backend of Python 3.11 with the compiled core: PEP 523.

Frame evaluation is hooked (chained to a hook that is there already): about 10 ns for every Python
call, where a profile hook triples it. Native calls of a function that is dosed, or whose own time
is being placed, are seen by a C profile function that is on while that function's own frame runs,
and in no other; its bytecode is up to three times slower meanwhile.

What it lacks: back-edges and lines. A long loop without calls is charged to the entry, the return
or the calls of its function, and delays at back-edges cannot be placed.
"""

from __future__ import annotations

from importlib import import_module

from ..tracker import TYPE_CHECKING
from .contract import placeable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import CodeType
    from typing import Any

    from .contract import SiteFields


class FrameEval:
    """The mechanisms in `_core` that exist on 3.11 only."""

    name = "frame_eval"

    def __init__(self) -> None:
        """See whether the core has them.

        Raises:
            ImportError: the compiled core is not there.
            RuntimeError: this Python has `sys.monitoring` instead.
        """
        self._core: Any = import_module("..._core", __name__)
        if not hasattr(self._core, "install_frame_eval"):
            raise RuntimeError("the compiled core hooks frame evaluation on Python 3.11 only")

    def install(self, tracker: Any, switched: bool = False, all_calls: bool = False) -> None:
        """Bring events to a tracker of the core.

        Raises:
            TypeError: the tracker is not of the compiled core.
        """
        self._core.install_frame_eval(tracker)

    def uninstall(self) -> None:
        """Take the hook out."""
        self._core.uninstall_frame_eval()

    def arm(self, code: CodeType, kinds: Iterable[str]) -> None:
        """Nothing to do: the mechanism brings all events it has."""

    def watch(self, code: CodeType, kinds: Iterable[str], afresh: bool = False) -> None:
        """Nothing to do: the hook hands the frames of a target that rests straight on."""

    def place(self, code: CodeType, sites: list[SiteFields]) -> tuple[list[SiteFields], str | None]:
        """All but back-edges and lines can be reached."""
        return placeable(sites, ("jump", "line"), "Python 3.11 has no event for")
