"""What a Delayer knows of one code object: the parts that are delayed in it, and where.

The compiled twin is ``core/target.c``.
"""

from __future__ import annotations

from .tracker import AS_PLANNED
from .waits import follows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from .plan import ByState
    from .tracker import DelaySpec, PartSpec, Visit

    Site: TypeAlias = tuple[Visit, "Part", bool]
    """With its part, and whether each visit is a call of that."""


class Part:
    """What delays are counted for and multiplied by together: a function, or a finer target."""

    __slots__ = ("base", "delayed", "dose", "native")

    def __init__(self, slot: int, native: int, dose: ByState) -> None:
        self.base = 8 * slot
        self.native = native
        """Only calls of the native callable of this number are its visits; 0: all."""
        self.multiply(dose)

    def multiply(self, dose: ByState) -> None:
        """Another dose, one for each state."""
        self.dose = tuple(max(each, 0.0) for each in dose)
        self.delayed = self.base > 0 and any(self.dose)
        """Else nothing of it is delayed or counted."""


class Target:
    """What is known about one code object that is delayed or is the progress point; or about a
    native callable that is delayed wherever it is called."""

    __slots__ = (
        *("bearer", "delayed", "entry", "every", "fixed", "lines", "parts", "progress", "resume"),
        *("seen", "sites", "waits"),
    )

    def __init__(self, spec: DelaySpec) -> None:
        slot, progress, self.every, self.fixed, self.entry, self.resume, sites = spec[:7]
        parts: tuple[PartSpec, ...] = spec[8] if len(spec) > 8 else ()
        self.parts = [Part(slot, 0, spec[7] if len(spec) > 7 else AS_PLANNED)]
        """The first is the function itself."""
        self.progress = 8 * progress
        self.sites: dict[int, list[Site]] = {}
        self.lines: dict[int, list[Site]] = {}
        self._place(self.sites, sites, self.parts[0], False)
        for part_slot, native, by_offset, by_line, dose in parts:
            part = Part(part_slot, native, dose)
            self.parts.append(part)
            self._place(self.sites, by_offset, part, native > 0)
            self._place(self.lines, by_line, part, True)
        self.seen = 0
        visits = [
            site[0]
            for places in (self.sites, self.lines)
            for there in places.values()
            for site in there
        ]
        self.waits = any(map(follows, (self.entry, self.resume, *visits)))
        """Whether the delays of any visit follow the waits seen."""
        self._choose_bearer()

    @staticmethod
    def _place(
        places: dict[int, list[Site]], visits: dict[int, Visit] | None, part: Part, counts: bool
    ) -> None:
        for place, visit in (visits or {}).items():
            places.setdefault(place, []).insert(0, (visit, part, counts))

    def multiply(self, part: int, dose: ByState) -> None:
        """Other doses for a part."""
        if part < len(self.parts):
            self.parts[part].multiply(dose)
            self._choose_bearer()

    def _choose_bearer(self) -> None:
        delayed = [part for part in self.parts if part.delayed]
        self.delayed = bool(delayed)
        self.bearer = delayed[0] if delayed else self.parts[0]
        """Bears what a callback costs where nothing is delayed."""
