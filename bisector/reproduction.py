"""How a finding is seen again by hand: plan files, and the `inject` command that uses them.

Each member of the sensitive set gets a small plan file in the run directory that slows it, and only
it, exactly as the certificate did: the same sites, the same delays. The command in the summary then
needs nothing but the benchmark. Without a plan file it falls back on a fixed delay per call that
adds the same time per unit at entry, which is the same thing for code that neither waits nor loops.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bisector.answer import Answer, Finding
from bisector.discovery import Function
from bisector.observations import RunRequest
from bisector.quantities import format_time

FALLBACK_DELAY_NS = 10_000
"""For a target whose calls are not known."""


def write_plans(answer: Answer, event_ns: Mapping[str, float], directory: Path) -> dict[str, str]:
    """Write ``<directory>/<name>.json`` for each finding with a proportional dose; target -> path.

    Raises:
        OSError: the directory cannot be made or written to.
    """
    from bisector.dose import plan_for

    if answer.discovery is None:
        return {}
    paths: dict[str, str] = {}
    for finding in answer.sensitive:
        if finding.effect.delay_ns is not None:
            continue
        request = RunRequest(
            seq=0,
            purpose="certificate",
            block=0,
            targets=frozenset(finding.functions),
            dose=finding.effect.counted_dose,
        )
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{_file_name(finding.target)}.json"
        path.write_text(plan_for(answer.discovery, request, dict(event_ns)).to_json(), "utf-8")
        paths[finding.target] = str(path)
    return paths


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the benchmark needs around it: the folder to run it in (None: where the tool was
    started), a shell command before each run, and the names of variables that were set."""

    directory: str | None = None
    prepare: str | None = None
    variables: Sequence[str] = ()


def reproduce_command(
    finding: Finding,
    members: Iterable[Function],
    command: Sequence[str],
    plan: str | None,
    around: Surroundings = Surroundings(),
) -> str:
    """The `inject` command line, quoted for a POSIX shell, that slows just this finding.

    Values given by ``--env`` may be secret: they are taken from the shell's own variables.
    """
    members = list(members)
    before = ""
    if around.directory is not None:
        plan = os.path.abspath(plan) if plan is not None else None
        before += f"cd {shlex.quote(around.directory)} && "
    if around.prepare is not None:
        before += f"{shlex.join(['sh', '-c', around.prepare])} && "
    if around.variables:
        given = (f'"{name}=${{{name}:?as given with --env}}"' for name in around.variables)
        before += f"env {' '.join(given)} "
    words = ["speedbump-bisect", "inject"]
    if plan is not None and finding.effect.delay_ns is None:
        words += ["--plan", plan]
    else:
        for pattern in finding.functions if finding.kind == "subtree" else (finding.target,):
            words += ["--targets", pattern]
        words += [f"--{kind}" for kind in _finer(members)]
        words += ["--delay", format_time(max(1, round(_delay_ns(finding, members))) / 1e9)]
    return before + shlex.join([*words, "--", *command])


def _finer(members: Iterable[Function]) -> list[str]:
    """The options that make targets of what is no function."""
    kinds = {function.kind for function in members}
    return [name for name, kind in (("native", "native"), ("lines", "line")) if kind in kinds]


def _delay_ns(finding: Finding, members: Sequence[Function]) -> float:
    if finding.effect.delay_ns is not None:
        return finding.effect.delay_ns
    calls = sum(f.calls for f in members)
    if calls <= 0:
        return FALLBACK_DELAY_NS
    return sum(f.own_s for f in members) * finding.effect.counted_dose * 1e9 / calls


def _file_name(target: str) -> str:
    """A file name that can be read, and is different for different targets."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "-", target).strip("-.")[-60:] or "target"
    return f"{readable}-{hashlib.sha256(target.encode('utf-8', 'replace')).hexdigest()[:6]}"
