"""One code object of one process as its ledger counted it, with the cost of watching taken out; and
the pieces of it that are finer targets: the native callables it calls, its lines.

A native callable's own time is counted where it is called, a line's at the places in that line; so
either is a piece of the code it lies in, and its delays go there too (`CodeProfile.of`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from injector.records import Entry
from injector.tracker import SMALL_INT

Kind: TypeAlias = Literal["function", "native", "line"]

Place: TypeAlias = tuple[str, int]
"""Kind of site and offset."""

LEAST_CALL_S = 1e-6
"""Native calls that take less, at a place, stay with the function that calls: a callback would be a
dose by itself, and the interpreter's fast path for the call is lost as well."""

ONCE = ("entry", "return")
"""Sites that every call visits, if not always the same one."""

_VISITS, _GIL, _NOGIL, _WAIT, _GIVEN_UP, _NATIVE = range(6)
"""What is known of a site; times in seconds."""


@dataclass(slots=True)
class CountedCode:
    """Its counters in the window, corrected, in seconds."""

    target: str
    file: str
    line: int
    process: str
    calls: float
    raw_s: float
    seconds: list[float]
    first_ns: int
    last_ns: int
    kind: Kind = "function"
    of: str = ""
    """The target of the code that it is a piece of; empty for a function."""
    sites: dict[Place, list[float]] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)
    """Lines of sites, where lines are finer targets."""
    watching_s: float = 0.0

    def take_off(self, watching_ns: float) -> None:
        """Of its CPU time, so much is what watching took.

        A floor keeps a function that is nearly all overhead in the tree, at a tenth of its raw
        time.
        """
        raw_s = self.raw_s
        self.watching_s += watching_ns / 1e9
        self.seconds[0] = max(raw_s - self.watching_s, 0.1 * raw_s)

    def add(self, seconds: Iterable[float]) -> None:
        """Time that turns out to be its own, by state."""
        gil_s, nogil_s, wait_s = seconds
        self.raw_s += gil_s
        self.seconds[1] += nogil_s
        self.seconds[2] += wait_s
        self.take_off(0.0)


def counted_code(entry: Entry, process: str, overheads: Mapping[str, float]) -> CountedCode:
    """What a function's counters say. ``overheads`` as in `bisector.digest.digest`."""
    calls, gil, nogil, wait, callees, events, first_ns, last_ns = entry.counters[:8]
    watching = (
        calls * overheads.get("callee", 0.0)
        + callees * overheads.get("caller", 0.0)
        + events * overheads.get("site", 0.0)
    )
    code = CountedCode(
        target=entry.fields["target"],
        file=entry.fields.get("file", ""),
        line=entry.fields.get("line", 0),
        process=process,
        calls=float(calls),
        raw_s=gil / 1e9,
        seconds=[gil / 1e9, nogil / 1e9, wait / 1e9],
        first_ns=first_ns,
        last_ns=last_ns,
    )
    code.take_off(watching)
    return code


class Finer:
    """The pieces of the code objects of one process."""

    def __init__(self, natives: Mapping[int, Entry], overheads: Mapping[str, float]) -> None:
        """``natives``: the entries of native callables, by slot."""
        self._natives = natives
        self._overheads = overheads
        self._pieces: dict[tuple[int, int], CountedCode] = {}
        """By native callable and the code it is called in."""

    def add(self, owner: CountedCode, entry: Entry) -> None:
        """A site of ``owner``, which is one of itself or of a native callable called there."""
        values = _values(entry)
        place = (entry.fields["at"], entry.fields["offset"])
        line = entry.fields.get("line")
        wide_ns = values[_VISITS] * _large_offsets(*place, bool(values[_NATIVE]))
        wide_ns *= self._overheads.get("wide", 0.0)
        if place[0] == "line":
            wide_ns += values[_VISITS] * _more_for_a_line(self._overheads)
        native = self._natives.get(entry.fields.get("native", 0))
        if native is None:
            owner.take_off(wide_ns)
            owner.sites[place] = values
            if line is not None:
                owner.lines[place] = line
        elif values[_GIVEN_UP] or self._is_short(values):
            owner.add(values[_GIL:_GIVEN_UP])
            owner.take_off(wide_ns + values[_VISITS] * self._overheads.get("site", 0.0))
        else:
            self._called(native, owner, place, values, wide_ns)

    def _is_short(self, values: list[float]) -> bool:
        """Whether calls there take so little that to be watched would cost as much."""
        each_s = (values[_GIL] + values[_NOGIL]) / max(values[_VISITS], 1.0)
        return each_s - self._overheads.get("site", 0.0) / 1e9 < LEAST_CALL_S

    def _called(
        self,
        native: Entry,
        owner: CountedCode,
        place: Place,
        values: list[float],
        wide_ns: float,
    ) -> None:
        key = (native.slot, id(owner))
        piece = self._pieces.get(key)
        if piece is None:
            piece = self._pieces[key] = CountedCode(
                target=native.fields["target"],
                file="",
                line=owner.line,
                process=owner.process,
                calls=0.0,
                raw_s=0.0,
                seconds=[0.0, 0.0, 0.0],
                first_ns=native["first_ns"],
                last_ns=native["last_ns"],
                kind="native",
                of=owner.target,
            )
        piece.calls += values[_VISITS]
        piece.add(values[_GIL:_GIVEN_UP])
        piece.take_off(wide_ns + values[_VISITS] * self._overheads.get("site", 0.0))
        piece.sites[place] = values

    def natives(self) -> list[CountedCode]:
        """Those of native callables."""
        return list(self._pieces.values())


def lines_of(code: CountedCode, overheads: Mapping[str, float]) -> list[CountedCode]:
    """The lines of a function, which keeps what is of none; empty where lines were not told."""
    groups: dict[int, dict[Place, list[float]]] = {}
    for place, values in _sites_of_lines(code, overheads).items():
        groups.setdefault(code.lines.get(place, 0), {})[place] = values
    pieces = []
    for line, sites in groups.items():
        visits = sites.get(("line", line), [0.0])[_VISITS]
        if not line or not visits:
            continue  # its visits would not be counted
        seconds = [sum(site[state] for site in sites.values()) for state in (1, 2, 3)]
        pieces.append(
            replace(
                code,
                target=f"{code.target}@{line}",
                calls=visits,
                raw_s=seconds[0],
                seconds=seconds,
                kind="line",
                of=code.target,
                sites=sites,
                lines={},
                watching_s=0.0,
            )
        )
        for place in sites:
            del code.sites[place]
        for state, spent_s in enumerate(seconds):
            code.seconds[state] = max(code.seconds[state] - spent_s, 0.0)
    return pieces


def _sites_of_lines(code: CountedCode, overheads: Mapping[str, float]) -> dict[Place, list[float]]:
    """The sites of code whose lines are told, scaled; events are as many as lines are short, so
    each is relieved of its own."""
    if not any(at == "line" for at, _ in code.sites):
        return {}
    relieved = replace(code, sites={})
    for place, values in code.sites.items():
        ns = overheads.get("site", 0.0) * (2.0 if values[_NATIVE] else 1.0)
        if place[0] == "call" and not values[_NATIVE]:
            ns += overheads.get("caller", 0.0)
        if place[0] == "line":
            ns += _more_for_a_line(overheads)
        gil_s = max(values[_GIL] - values[_VISITS] * ns / 1e9, 0.1 * values[_GIL])
        relieved.sites[place] = [values[_VISITS], gil_s, *values[_NOGIL:]]
    return scaled_sites(relieved)


def _more_for_a_line(overheads: Mapping[str, float]) -> float:
    """What it costs to be told of one, beyond what any event in own time does."""
    site_ns = overheads.get("site", 0.0)
    return overheads.get("line", site_ns) - site_ns


def scaled_sites(code: CountedCode) -> dict[Place, list[float]]:
    """The sites with the visits of all calls, not only of those since they are watched, and with
    the corrected own time of their function."""
    charged = [sum(site[state] for site in code.sites.values()) for state in (1, 2, 3)]
    factors = [
        own / held if held > 0.0 else 1.0 for own, held in zip(code.seconds, charged, strict=True)
    ]
    seen = max((site[0] for (at, _), site in code.sites.items() if at in ONCE), default=0.0)
    missed = max(1.0, code.calls / seen) if seen > 0.0 and code.kind == "function" else 1.0
    return {
        key: [
            site[0] * missed,
            *(s * factor for s, factor in zip(site[1:4], factors, strict=True)),
            *site[4:],
        ]
        for key, site in code.sites.items()
    }


def _values(entry: Entry) -> list[float]:
    visits, gil, nogil, wait, *flags = entry.counters[:6]
    return [float(visits), gil / 1e9, nogil / 1e9, wait / 1e9, *map(float, flags)]


def _large_offsets(at: str, offset: int, native: bool) -> int:
    """How many numbers the interpreter makes to tell of one visit: a back-edge's destination is
    hardly ever below `SMALL_INT` if it is not, and a native call is told again when it is over."""
    return (offset > SMALL_INT) * (2 if at == "jump" or native else 1)
