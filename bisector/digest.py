"""From raw records of one discovery run to rates per unit of work.

Two corrections make raw counters comparable with an unwatched run: the cost of watching is taken
out of every function's own time, and only the *window* counts, the stretch in which the program
does its steady work, so that imports and warm-up do not dilute rates per unit. Without a window
given by the user it is found from the data: the hull that the bulk of repeatedly called code
agrees on.
"""

from __future__ import annotations

from collections.abc import Sequence

from bisector.counted import CountedCode, Finer, counted_code, lines_of, scaled_sites
from bisector.discovery import CodeProfile, Discovery, Function, SiteProfile
from injector.records import Entry, ProcessRecord

PLAIN = 1.0
"""What a site's ``native`` counter says where it has called plain native code and no other."""

LONGEST_UNCUT_S = 50e-3
"""Work in one piece that a delay at its end cannot stand for, unless the whole run is measured."""

REPEATED_SHARE = 0.2
"""Repeated code with less than this share of all own time does not say when the work was done."""

LEAST_SPLIT = 0.03
"""Share of the time per unit that a function must hold to be split into its lines. What holds less
does not get an entry of its own, nor would its lines."""

REPEATED = 8
"""Code called at least this often says when the steady work began and ended."""


def digest(
    records: Sequence[ProcessRecord],
    *,
    time_per_unit_s: float,
    window: tuple[float, float] | None,
    whole_run_is_unit: bool,
    overheads: dict[str, float],
) -> Discovery:
    """Discovery data of one run.

    Args:
        records: what every process of the run left behind.
        time_per_unit_s: of this very run, by its own metric.
        window: (start, end) in monotonic seconds if the user gave one; counters then cover just
        that. whole_run_is_unit: the run is one unit of work, start-up included.
        overheads: ns charged to a function per own call (``callee``), per call it makes
        (``caller``)
            and per event in its own time (``site``), and for each large offset that is told
            (``wide``).
    """
    codes: list[CountedCode] = []
    edges: dict[tuple[str, str], float] = {}
    imports: dict[tuple[str, str], None] = {}
    modules: dict[str, None] = {}
    warnings: dict[str, None] = {}
    unresolved: dict[str, str] = {}
    ends: dict[int, int] = {}
    for number, record in enumerate(records):
        end_ns = _end_ns(record)
        name = "main" if number == 0 else str(record.header.get("name") or f"child {number}")
        by_slot: dict[int, CountedCode] = {}
        natives = {entry.slot: entry for entry in record.of("native")}
        finer = Finer(natives, overheads)
        sites: list[Entry] = []
        raw_edges: list[Entry] = []
        for entry in record.entries:
            match entry.kind:
                case "function":
                    by_slot[entry.slot] = counted_code(entry, name, overheads)
                case "site":
                    sites.append(entry)
                case "edge":
                    raw_edges.append(entry)
                case "import":
                    imports[entry.fields.get("importer") or "", entry.fields["module"]] = None
                    modules[entry.fields["module"]] = None
                case "unplaced":
                    unresolved[entry.fields["target"]] = entry.fields["reason"]
                case "error":
                    warnings[
                        f"the injector reported {entry.fields.get('type')}: "
                        f"{entry.fields.get('message')}"
                    ] = None
        for entry in sites:
            owner = by_slot.get(entry.fields["function"])
            if owner is not None:
                finer.add(owner, entry)
        found = [*by_slot.values(), *finer.natives()]
        codes += found
        ends |= {id(code): end_ns for code in found}
        targets = {slot: code.target for slot, code in by_slot.items()}
        targets |= {slot: entry.fields["target"] for slot, entry in natives.items()}
        for entry in raw_edges:
            key = (
                targets.get(entry.fields["caller"], ""),
                targets.get(entry.fields["callee"], ""),
            )
            if all(key):
                edges[key] = edges.get(key, 0.0) + entry.counters[0]
    if whole_run_is_unit:
        shares = [1.0] * len(codes)
        start_s, end_s = 0.0, time_per_unit_s
    elif window is not None:
        shares = [1.0] * len(codes)
        start_s, end_s = window
    else:
        start_s, end_s = _steady(codes, max(ends.values(), default=0))
        shares = [_share(code, ends[id(code)], start_s, end_s) for code in codes]
    units = 1.0 if whole_run_is_unit else max((end_s - start_s) / time_per_unit_s, 1e-9)
    _split_into_lines(codes, shares, LEAST_SPLIT * time_per_unit_s * units, overheads)
    threads = [thread for record in records for thread in record.of("thread")]
    inside_s = sum(thread["inside_ns"] for thread in threads) / 1e9
    header = records[0].header if records else {}
    if header.get("backend") != "monitoring" and not whole_run_is_unit:
        unresolved = _without_back_edges(codes) | unresolved
    functions = _functions(codes, shares, units, unresolved)
    return Discovery(
        functions=functions,
        imports=tuple(imports),
        calls_between=tuple((a, b, n / units) for (a, b), n in edges.items()),
        modules=tuple(modules),
        window_s=end_s - start_s,
        units=units,
        processes=len(records),
        gil_s=sum(code.seconds[0] for code in codes),
        nogil_s=sum(code.seconds[1] for code in codes),
        watching_s=sum(code.watching_s for code in codes) + inside_s,
        lanes=len(threads),
        backend=str(header.get("backend", "")),
        compiled=bool(header.get("compiled", False)),
        warnings=tuple(warnings),
    )


def _split_into_lines(
    codes: list[CountedCode], shares: list[float], least_s: float, overheads: dict[str, float]
) -> None:
    """Split functions of this much own time, where lines were told."""
    own_s: dict[str, float] = {}
    for code, share in zip(codes, shares, strict=True):
        own_s[code.target] = own_s.get(code.target, 0.0) + share * sum(code.seconds)
    for code, share in list(zip(codes, shares, strict=True)):
        if own_s[code.target] >= least_s:
            pieces = lines_of(code, overheads)
            codes += pieces
            shares += [share] * len(pieces)


def _without_back_edges(codes: list[CountedCode]) -> dict[str, str]:
    """Code that computes for long in a call or two, where no event falls inside its loops.

    A delay at entry or return would fall before or after what is measured.
    """
    return {
        code.target: (
            f"its {code.seconds[0]:.2g} s of work lie in a loop that makes no calls; only Python "
            "3.12 and later can place a delay there"
        )
        for code in codes
        if code.calls < REPEATED
        and any(site[1] > LONGEST_UNCUT_S * site[0] for site in code.sites.values())
    }


def _end_ns(record: ProcessRecord) -> int:
    """When the process ended, as far as its own records tell (monotonic ns)."""
    last = max((entry["last_ns"] for entry in record.of("function")), default=0)
    detached = record.entries[0]["detached_ns"]
    return max(last, detached)


def _steady(codes: list[CountedCode], end_ns: int) -> tuple[float, float]:
    """The hull of the steady work in seconds: own-time-weighted medians of first and last calls."""
    repeated = [code for code in codes if code.calls >= REPEATED and code.last_ns > code.first_ns]
    own = sum(sum(code.seconds) for code in codes)
    if sum(sum(code.seconds) for code in repeated) < REPEATED_SHARE * own or not repeated:
        # The work lies in code that is called a few times (a long loop): all that ran counts.
        times = [t for code in codes for t in (code.first_ns, code.last_ns) if t]
        if not times:
            return 0.0, 1e-9
        start = min(times) / 1e9
        return start, max(end_ns / 1e9, max(times) / 1e9, start + 1e-9)
    weights = [sum(code.seconds) + 1e-9 for code in repeated]
    start = _weighted_median([code.first_ns / 1e9 for code in repeated], weights)
    end = _weighted_median(
        [(code.last_ns + sum(code.seconds) * 1e9 / code.calls) / 1e9 for code in repeated], weights
    )
    return (start, end) if end > start else (end - 1e-6, end)


def _weighted_median(values: list[float], weights: list[float]) -> float:
    half = sum(weights) / 2.0
    running = 0.0
    for value, weight in sorted(zip(values, weights, strict=True)):
        running += weight
        if running >= half:
            return value
    return max(values)


def _share(code: CountedCode, process_end_ns: int, start_s: float, end_s: float) -> float:
    """The share of a code object's activity that fell into the window.

    Code called a few times may be active long after its last call (a main loop), so its activity is
    taken to last to the end of its process.
    """
    first, last = code.first_ns / 1e9, code.last_ns / 1e9
    if code.calls < REPEATED:
        last = max(last, process_end_ns / 1e9)
    if last <= first:
        return 1.0 if start_s <= first <= end_s else 0.0
    overlap = min(last, end_s) - max(first, start_s)
    return min(1.0, max(0.0, overlap / (last - first)))


def _functions(
    codes: list[CountedCode], shares: list[float], units: float, unresolved: dict[str, str]
) -> tuple[Function, ...]:
    grouped: dict[str, list[tuple[CountedCode, float]]] = {}
    for code, share in zip(codes, shares, strict=True):
        grouped.setdefault(code.target, []).append((code, share))
    functions = []
    for target, members in grouped.items():
        totals = [0.0, 0.0, 0.0]
        calls = 0.0
        profiles: dict[tuple[str, int], dict[tuple[str, int], list[float]]] = {}
        for code, share in members:
            calls += code.calls * share / units
            for state in range(3):
                totals[state] += code.seconds[state] * share / units
            into = profiles.setdefault((code.of, code.line), {})
            for key, values in scaled_sites(code).items():
                sums = into.setdefault(key, [0.0] * 6)
                for index, value in enumerate(values):
                    sums[index] = sums[index] + value if index < 4 else max(sums[index], value)
            if not code.sites and code.calls > 0:
                sums = into.setdefault(("entry", -1), [0.0] * 6)
                for index, value in enumerate((code.calls, *code.seconds)):
                    sums[index] += value
        first = members[0][0]
        functions.append(
            Function(
                target=target,
                file=first.file,
                line=_line(first),
                kind=first.kind,
                calls=calls,
                gil_s=totals[0],
                nogil_s=totals[1],
                wait_s=totals[2],
                calls_total=sum(code.calls for code, _ in members),
                codes=tuple(
                    CodeProfile(
                        line,
                        of=of,
                        sites=tuple(
                            SiteProfile(
                                *(at, offset, v, g / v, n / v, w / v),
                                given_up=given_up > 0,
                                native=native > 0,
                                plain=native == PLAIN,
                            )
                            for (at, offset), (v, g, n, w, given_up, native) in sorted(
                                sites.items()
                            )
                            if v > 0
                        ),
                    )
                    for (of, line), sites in sorted(profiles.items())
                ),
                processes=tuple(sorted({code.process for code, _ in members})),
                unresolved=unresolved.get(target),
            )
        )
    return tuple(sorted(functions, key=lambda f: f.target))


def _line(code: CountedCode) -> int:
    """Where the target is; 0 for what is in no file."""
    if code.kind == "line":
        return int(code.target.rpartition("@")[2])
    return 0 if code.kind == "native" else code.line
