"""Finding the unit of work: the outermost call that recurs steadily and stands for the work done.

A main loop calls a few functions over and over; what they call in turn recurs as well, so what is
looked for is recurring code that no other recurring code called. Code of the standard library is
looked through: the unit is what an event loop or a thread pool runs, not its own machinery. Of
several such calls, one of the main process that holds a good part of its time is taken before those
of its helpers, because it says what comes out at the end; of these, one of its main thread before
those of others, which may go at a pace of their own; and of these the one with the most work.
A program that marks its units (`bisector.marks`) is taken at its word.

Pure: it is given what was counted, and answers a name and why, or why there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bisector.marks import mark_target
from injector.records import ProcessRecord

if TYPE_CHECKING:
    import networkx as nx

Slot = tuple[str, int]
"""(which process, as `ProcessRecord.key` says; slot of the function in its ledger)."""

RECURRING = 10
"""Calls from which on something recurs."""

PARTS = 5
SPREAD = 0.35
"""The time looked at is cut into so many parts; calls in each may differ from the mean by this
share, and two."""

LEAST_SHARE = 0.2
"""Share of the main process' time that a call in it must hold to stand for its work,"""
LEAST_WORK = 0.02
"""and share of all processes' work."""

LEAST_OF_BEST = 0.1
"""Share of the CPU time of the best call that one which recurs more steadily has to hold to be
taken instead: what goes by a clock is steadier than the work beside it, and says nothing of it."""

BODY = "__main__:<module>"
"""What the main thread begins with."""

_LIBRARY = re.compile(r"/lib(64)?/python3\.\d+/(?!(site|dist)-packages/)|^<frozen ")
_INSTALLED = re.compile(r"/(site|dist)-packages/")


@dataclass(frozen=True, slots=True)
class Unit:
    """A progress point: ``target`` and why it was taken."""

    target: str
    why: str
    per_s: float


class NoUnit(Exception):
    """Nothing recurs that could stand for the work; the message is the end of a sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Count:
    """Calls of every function so far, at a moment (seconds)."""

    time_s: float
    calls: Mapping[Slot, int]


@dataclass(slots=True)
class _Node:
    target: str
    file: str
    cpu_ns: int
    wait_ns: int
    per_s: float = 0.0
    recurs: bool = False
    repeats: bool = False
    """Called again in the time looked at: it may recur in a longer one."""
    steady: bool = False


def find_unit(
    records: Sequence[ProcessRecord], counts: Sequence[Count], patient: bool = False
) -> Unit:
    """What to take for the unit of work.

    Args:
        records: of the processes watched; the first is the main one.
        counts: from the time to judge by, in order of time.
        patient: the best call is the answer or none is, also if others recur more steadily so far;
            and nothing is that is called by what may yet recur.

    Raises:
        NoUnit: there is none.
    """
    import networkx as nx

    nodes = _nodes(records, counts)
    calls = _calls(records, nodes)
    groups = {
        slot: number
        for number, group in enumerate(nx.strongly_connected_components(calls))
        for slot in group
    }
    marks = [node for node in nodes.values() if _is_unit_mark(node.target)]
    if marks:
        return _marked(marks)
    main, length_s = records[0].key if records else "", counts[-1].time_s - counts[0].time_s
    for ours in (_is_users, _is_no_library):
        outermost = [n for n in nodes if _is_outermost(n, nodes, calls, groups, ours)]
        steady = [n for n in outermost if nodes[n].steady]
        if not outermost:
            continue
        best = _best(outermost, nodes, calls, main, length_s)
        if patient:
            if best not in steady:
                raise NoUnit(f"{nodes[best].target} does not recur steadily")
            if not _is_outermost(best, nodes, calls, groups, ours, patient):
                raise NoUnit(f"{nodes[best].target} is called by what may yet recur")
        if steady:
            taken = _best(steady, nodes, calls, main, length_s)
            held_ns, most_ns = (_inclusive(each, nodes, calls)[0] for each in (taken, best))
            if held_ns < LEAST_OF_BEST * most_ns:
                raise NoUnit(
                    f"{nodes[best].target} does not recur steadily, and {nodes[taken].target}, "
                    "which does, holds next to nothing of the work"
                )
            return _unit(taken, nodes, calls, main)
    recurring = [node for node in nodes.values() if node.recurs]
    if not recurring:
        raise NoUnit(f"no function is called {RECURRING} times or more while it runs")
    raise NoUnit("no call that recurs does so steadily")


def _is_unit_mark(target: str) -> bool:
    name = target.removeprefix(mark_target(""))
    return name != target and not name.startswith(("begin.", "end."))


def _marked(marks: Sequence[_Node]) -> Unit:
    """The mark that is passed most often.

    Raises:
        NoUnit: that is not passed steadily.
    """
    best = max(marks, key=lambda node: node.per_s)
    if not best.recurs:
        raise NoUnit(
            f"the program marks its units ({best.target}), but does fewer than {RECURRING}"
        )
    if not best.steady:
        raise NoUnit(f"the program marks its units ({best.target}), but they do not come steadily")
    return Unit(best.target, f"the program marks it: {best.per_s:.3g} times a second", best.per_s)


def _nodes(records: Sequence[ProcessRecord], counts: Sequence[Count]) -> dict[Slot, _Node]:
    nodes = {}
    edges = _parts(counts)
    for record in records:
        for entry in (*record.of("function"), *record.of("native")):
            slot = (record.key, entry.slot)
            gil_ns, nogil_ns, wait_ns = entry["gil_ns"], entry["nogil_ns"], entry["wait_ns"]
            node = _Node(
                entry.fields["target"], entry.fields.get("file", ""), gil_ns + nogil_ns, wait_ns
            )
            made = [count.calls.get(slot, 0) for count in edges]
            rates = [
                (b - a) / max(now.time_s - then.time_s, 1e-9)
                for a, b, then, now in zip(made, made[1:], edges, edges[1:], strict=False)
            ]
            total = made[-1] - made[0]
            node.recurs, node.repeats = total >= RECURRING, total > 1
            if node.recurs:
                length_s = edges[-1].time_s - edges[0].time_s
                node.per_s = total / length_s
                slack = SPREAD * node.per_s + 2.0 * len(rates) / length_s
                node.steady = all(abs(rate - node.per_s) <= slack for rate in rates)
            nodes[slot] = node
    return nodes


def _parts(counts: Sequence[Count]) -> list[Count]:
    """The counts nearest to the borders of parts of equal length."""
    begin, end = counts[0].time_s, counts[-1].time_s
    borders = [begin + (end - begin) * part / PARTS for part in range(PARTS + 1)]
    chosen = [min(counts, key=lambda count: abs(count.time_s - border)) for border in borders]
    return list(dict.fromkeys(chosen)) if len(counts) > PARTS else list(counts)


def _calls(records: Sequence[ProcessRecord], nodes: Mapping[Slot, _Node]) -> nx.DiGraph[Slot]:
    import networkx as nx

    graph: nx.DiGraph[Slot] = nx.DiGraph()
    graph.add_nodes_from(nodes)
    for record in records:
        for entry in record.of("edge"):
            caller = (record.key, entry.fields["caller"])
            callee = (record.key, entry.fields["callee"])
            if caller in nodes and callee in nodes and caller != callee and entry["calls"]:
                graph.add_edge(caller, callee, calls=entry["calls"])
    return graph


def _is_users(node: _Node) -> bool:
    return _is_no_library(node) and not _INSTALLED.search(node.file)


def _is_no_library(node: _Node) -> bool:
    return not _LIBRARY.search(node.file) and bool(node.file) and node.file != "<string>"


def _is_outermost(
    slot: Slot,
    nodes: Mapping[Slot, _Node],
    calls: nx.DiGraph[Slot],
    groups: Mapping[Slot, int],
    ours: Callable[[_Node], bool],
    patient: bool = False,
) -> bool:
    """Whether it recurs, is ours, and nothing of ours that recurs is on the way to it; nor, with
    ``patient``, what may yet.

    Of functions that call each other in a circle none is further out than another.
    """
    if not nodes[slot].recurs or not ours(nodes[slot]):
        return False
    seen, queue = {slot}, [slot]
    while queue:
        for caller in calls.predecessors(queue.pop()):
            if caller in seen:
                continue
            seen.add(caller)
            node = nodes[caller]
            is_further_out = node.recurs or (patient and node.repeats)
            if ours(node) and is_further_out and groups[caller] != groups[slot]:
                return False
            if not ours(node):
                queue.append(caller)
    return True


def _best(
    candidates: Sequence[Slot],
    nodes: Mapping[Slot, _Node],
    calls: nx.DiGraph[Slot],
    main: str,
    length_s: float,
) -> Slot:
    import networkx as nx

    work = sum(node.cpu_ns for node in nodes.values()) or 1
    held = {slot: _inclusive(slot, nodes, calls) for slot in candidates}
    mains = [
        slot
        for slot, (cpu_ns, wait_ns) in held.items()
        if slot[0] == main
        and cpu_ns + wait_ns >= LEAST_SHARE * length_s * 1e9
        and cpu_ns >= LEAST_WORK * work
    ]
    bodies = [slot for slot, node in nodes.items() if node.target == BODY and slot[0] == main]
    called = {slot for body in bodies for slot in nx.descendants(calls, body)}
    of_main_thread = [slot for slot in mains if slot in called]
    return max(of_main_thread or mains or held, key=lambda slot: held[slot])


def _unit(slot: Slot, nodes: Mapping[Slot, _Node], calls: nx.DiGraph[Slot], main: str) -> Unit:
    node, work = nodes[slot], sum(node.cpu_ns for node in nodes.values()) or 1
    where = "" if slot[0] == main else " of a helper process"
    why = (
        f"the outermost call{where} that recurs steadily: {node.per_s:.3g} times a second, "
        f"{_inclusive(slot, nodes, calls)[0] / work:.0%} of the work"
    )
    return Unit(node.target, why, node.per_s)


def _inclusive(
    slot: Slot, nodes: Mapping[Slot, _Node], calls: nx.DiGraph[Slot]
) -> tuple[float, float]:
    """(CPU, waiting) ns in it and all that it calls; what others call too counts by its share."""
    import networkx as nx

    reached = nx.descendants(calls, slot) | {slot}
    shares = {slot: 1.0}
    condensed = nx.condensation(calls.subgraph(reached))
    cpu_ns = wait_ns = 0.0
    for group in nx.topological_sort(condensed):
        members = condensed.nodes[group]["members"]
        into = [(a, edge["calls"]) for a, b, edge in calls.in_edges(members, data=True)]
        total = sum(count for a, count in into if a not in members)
        mine = sum(shares.get(a, 0.0) * count for a, count in into if a not in members)
        share = 1.0 if slot in members else (mine / total if total else 0.0)
        for member in members:
            shares[member] = share
            cpu_ns += share * nodes[member].cpu_ns
            wait_ns += share * nodes[member].wait_ns
    return cpu_ns, wait_ns
