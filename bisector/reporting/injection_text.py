"""What `inject` tells: the table for people, the document for programs, and what went amiss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bisector.injection import Injected, TargetCount, counts_of
from bisector.nearest import names_beside, nearest
from bisector.reach import work_elsewhere
from bisector.reporting.page import Page
from bisector.wording import counted, duration_ns, listed, visible
from injector.patterns import parse
from injector.plan import Plan
from injector.records import ProcessRecord
from injector.tracker import FLOOR_NS

MOST_TARGETS = 40
MOST_PROCESSES = 20


def document(result: Injected, trouble: Sequence[str], command: Sequence[str]) -> dict[str, Any]:
    """The JSON object of ``inject --json``."""
    return {
        "schema_version": 1,
        "command": list(command),
        "exit_code": result.exit_code,
        "wall_s": result.wall_s,
        "processes": [
            {
                "pid": record.header["pid"],
                "parent": record.header["ppid"],
                "name": record.header.get("name"),
                "argv": record.header.get("argv"),
                "python": record.header["python"],
                "backend": record.header["backend"],
                "compiled": record.header.get("compiled"),
                "reason": record.header.get("reason"),
                "forked": record.header.get("forked", False),
                "targets": [_counted(count) for count in counts_of(record)],
                "errors": record.errors,
            }
            for record in result.processes
        ],
        "targets": [_counted(count) for count in result.targets],
        "warnings": list(trouble),
    }


def _counted(count: TargetCount) -> dict[str, Any]:
    return {
        "target": count.target,
        "kind": count.kind,
        "calls": count.calls,
        "delays": count.delays,
        "delayed_ns": count.delayed_ns,
        "file": count.file,
        "line": count.line,
    }


def trouble(result: Injected, plan: Plan, command: Sequence[str], cwd: Path) -> list[str]:
    """What the user should know: rules that matched nothing, delays not placed, our own errors,
    work in processes that nothing attached to."""
    if not result.processes:
        return []
    found = [*_unmatched(result, plan, command, cwd), *_unplaced(result.processes)]
    if plan.rules and plan.delay_ns < FLOOR_NS[0]:
        found.append(
            f"a delay of {duration_ns(plan.delay_ns)} is too short to be spun exactly: it is owed, "
            f"and paid {duration_ns(FLOOR_NS[0])} at a time, so that it is right on average"
        )
    errors = [error for record in result.processes for error in record.errors]
    for error in dict.fromkeys(errors):
        found.append(f"the injector reports: {error}")
    elsewhere = work_elsewhere(result.cpu_s, result.processes)
    return [*found, elsewhere] if elsewhere else found


def _unmatched(result: Injected, plan: Plan, command: Sequence[str], cwd: Path) -> list[str]:
    ran = [(t.target, *t.target.rsplit(":", 1), t.file) for t in result.targets]
    missed = []
    for rule in plan.rules:
        if rule.startswith("!"):
            continue
        pattern = parse([rule])
        if not any(pattern.matches(module, name, file) for _, module, name, file in ran):
            missed.append(rule)
    dosed = {dose.target for dose in plan.doses} - {target for target, *_ in ran}
    known = names_beside(_script(command, cwd), cwd) if missed else set()
    sentences = []
    for rule in missed:
        near = listed(nearest(rule, known))
        hint = f"; near it in the files here: {near}" if near else ""
        sentences.append(f"nothing that ran matches {rule}{hint}")
    if dosed:
        sentences.append(f"in the plan, but not called: {listed(sorted(dosed))}")
    return sentences


def _unplaced(processes: Sequence[ProcessRecord]) -> list[str]:
    reasons = {
        f"{entry.fields.get('target')}: its delay is not where its time is spent: "
        f"{entry.fields.get('reason')}"
        for record in processes
        for entry in record.of("unplaced")
    }
    return sorted(reasons)


def _script(command: Sequence[str], cwd: Path) -> Path | None:
    """The first word of a command that is a Python file."""
    for word in command[1:]:
        if word.endswith(".py") and (cwd / word).is_file():
            return (cwd / word).resolve()
    return None


def render(result: Injected, trouble: Sequence[str], console: Console) -> None:
    """The tables: targets, processes, trouble."""
    page = Page(console)
    targets = result.targets
    if targets:
        page.title("Delayed")
        page.rows(
            ("target", "kind", "calls", "delays", "delayed"),
            (
                (visible(t.target), t.kind, str(t.calls), str(t.delays), duration_ns(t.delayed_ns))
                for t in targets[:MOST_TARGETS]
            ),
            "bold",
        )
        rest = targets[MOST_TARGETS:]
        if rest:
            calls = sum(t.calls for t in rest)
            delayed = duration_ns(sum(t.delayed_ns for t in rest))
            page.prose(f"and {counted(len(rest), 'more target')}: {calls} calls, {delayed}")
    if result.processes:
        page.title("Attached")
        page.rows(
            ("process", "pid", "parent", "python", "backend", "calls", "delayed"),
            (_process(record) for record in result.processes[:MOST_PROCESSES]),
        )
        if not all(record.header.get("compiled") for record in result.processes):
            page.prose("Without the compiled part: the Python twin delays, at a higher cost.")
        more = len(result.processes) - MOST_PROCESSES
        if more > 0:
            page.prose(f"and {counted(more, 'more process', 'more processes')}")
    for sentence in trouble:
        page.prose(f"• {visible(sentence)}", "yellow")


def _process(record: ProcessRecord) -> tuple[str, ...]:
    header = record.header
    counts = counts_of(record)
    backend = str(header["backend"]) + ("" if header.get("compiled") else ", Python")
    return (
        visible(str(header.get("name") or "python")),
        str(header["pid"]),
        str(header["ppid"]),
        str(header["python"]),
        backend,
        str(sum(c.calls for c in counts)),
        duration_ns(sum(c.delayed_ns for c in counts)),
    )
