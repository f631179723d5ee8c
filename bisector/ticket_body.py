"""What a ticket says: the finding and its numbers, what to do and what not, and how to see it.

Invariants: Markdown that reads the same on GitHub and GitLab, in which nothing that comes from the
benchmark is interpreted (`bisector.markup`). It begins and ends with a comment that is not shown:
by the first, with the fingerprints, a script finds the ticket that it filed, and it may replace
what stands between them; nothing quoted is such a comment on a line of its own. What does not fit
is left out section by section, least needed first, and named; nothing is cut in the middle of
Markdown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bisector.certificate_text import certificate_sentences
from bisector.headline import waits
from bisector.hot_text import hidden_groups
from bisector.markup import (
    LONGEST_NAME,
    block,
    bullets,
    escaped,
    hinted,
    name,
    prose,
    section,
    table,
)
from bisector.next_steps import ONE_THING, leave_alone, make_faster
from bisector.phrases import cost, dose, measured_by, throughput
from bisector.schema import LONGEST_BODY, Estimate, Sensitive, Summary
from bisector.wording import (
    about,
    counted,
    duration_ns,
    listed,
    number,
    percent,
    percent_range,
    shorten,
    spoken,
    unit_noun,
    visible,
)

BEGINS, ENDS = "<!-- speedbump-bisect: {} -->", "<!-- end of speedbump-bisect -->"
LONGEST_SENTENCE, LONGEST_COMMAND = 1200, 6000
MOST_COLUMNS, MOST_MEMBERS, MOST_WARNINGS, MOST_FINGERPRINTS = 3, 20, 3, 100


class Piece(NamedTuple):
    """A section, and how soon it is left out: the highest first, zero never."""

    title: str
    text: str
    spared: int


def body(group: Sequence[Sensitive], summary: Summary, fingerprint: str) -> str:
    """The ticket's text, at most `LONGEST_BODY` characters. It begins with the fingerprints of all,
    ``fingerprint`` first: which of a group that is changes when others join."""
    pieces = [
        Piece("", prose(_sentence(_found(group, summary))), 0),
        Piece("Where", "\n".join(_where(group, summary)), 2),
        Piece("Numbers", _numbers(group, summary), 1),
        Piece("What to do", bullets(map(_sentence, _to_do(group, summary))), 1),
        Piece("Hints from the source", _hints(group), 3),
        Piece("How sure this is", _certificate(summary), 4),
        Piece("See it yourself", "\n\n".join(_commands(group, summary)), 5),
        Piece("Measured with", "\n".join(_measured_with(summary)), 6),
        Piece("Warnings of the measurement", bullets(_warnings(summary)), 7),
    ]
    others = [each.fingerprint for each in group if each.fingerprint != fingerprint]
    begins = BEGINS.format(" ".join([fingerprint, *others][:MOST_FINGERPRINTS]))
    room = LONGEST_BODY - len(begins) - 450  # for the end, and a word about what does not fit
    fitted = _fitted([piece for piece in pieces if piece.text], room)
    return "\n\n".join([begins, *fitted, ENDS]) + "\n"


def _fitted(pieces: Sequence[Piece], room: int) -> list[str]:
    """The sections that fit into so many characters, and a word about those that do not."""
    kept: set[int] = set()
    for piece in sorted(pieces, key=lambda piece: piece.spared):
        length = len(section(piece.title, piece.text)) + 2
        if length <= room:
            room -= length
            kept.add(id(piece))
    texts = [section(p.title, p.text) if p.title else p.text for p in pieces if id(p) in kept]
    left_out = [piece.title or "What was found" for piece in pieces if id(piece) not in kept]
    if left_out:
        texts.append(f"Too long for a ticket, and in the JSON summary: {', '.join(left_out)}.")
    return texts


def _sentence(text: str) -> str:
    """Cut, between words if there are any, where it is longer than anyone reads."""
    text = visible(text)
    if len(text) <= LONGEST_SENTENCE:
        return text
    end = text.rfind(" ", LONGEST_SENTENCE // 2, LONGEST_SENTENCE)
    return f"{text[:end]} …" if end > 0 else shorten(text, LONGEST_SENTENCE)


def _spoken(group: Sequence[Sensitive]) -> str:
    return listed(shorten(visible(finding.target), LONGEST_NAME) for finding in group)


def _found(group: Sequence[Sensitive], summary: Summary) -> str:
    """The finding in a sentence."""
    what, unit = spoken(summary.benchmark.metric), unit_noun(summary.benchmark.metric)
    first, names = group[0], _spoken(group)
    gain = first.estimated_gain
    share = "an unknown share" if gain is None else f"up to {about(min(gain.estimate, 1.0))}"
    if len(group) > 1:
        return (
            f"{names} run side by side, are equally slow and {what.limit} {what.noun} together: "
            f"making only one of them faster gains nothing; if all of them cost nothing, {share} "
            f"of the time per {unit} would go."
        )
    if waits(first):
        return (
            f"{what.name.capitalize()} is {what.limited} by waiting in {names}, not by how fast "
            f"its Python is: without that waiting {share} of the time per {unit} would go."
        )
    if first.functions > 1:
        return (
            f"The {counted(first.functions, 'function')} of {names} {what.limit} {what.noun} "
            f"together, by many small parts: if all of them cost nothing, {share} of the time per "
            f"{unit} would go."
        )
    return (
        f"{names} {what.limit}s {what.noun}: if it cost nothing, {share} of the time per {unit} "
        "would go."
    )


def _where(group: Sequence[Sensitive], summary: Summary) -> Iterator[str]:
    """File and line of each, and what a subtree consists of."""
    for finding in group[:MOST_MEMBERS]:
        if finding.file is not None:
            place = _below(finding.file, summary.settings.get("cwd"))
            at = f":{finding.line}" if finding.line is not None else ""
            yield f"- {name(finding.target)} in {name(f'{place}{at}')}"
        elif finding.functions > 1:
            yield f"- {name(finding.target)}, which is"
            yield from (f"  - {name(member)}" for member in finding.members[:MOST_MEMBERS])
            more = len(finding.members) - MOST_MEMBERS
            if more > 0:
                yield f"  - and {counted(more, 'more function')}, field members of the JSON summary"
        else:
            yield f"- {name(finding.target)}, which is native code, where Python calls it"
    if len(group) > MOST_MEMBERS:
        yield f"- and {len(group) - MOST_MEMBERS} more, in the JSON summary"


def _below(file: str, directory: object) -> str:
    """A path as one says it from the folder the benchmark ran in."""
    if isinstance(directory, str) and directory and file.startswith(directory.rstrip("/") + "/"):
        return os.path.relpath(file, directory)
    return file


def _numbers(group: Sequence[Sensitive], summary: Summary) -> str:
    """A column for each finding, with intervals."""
    what, unit = spoken(summary.benchmark.metric), unit_noun(summary.benchmark.metric)
    fixed_ns = summary.root.delay_ns if summary.root else None
    shown = group[:MOST_COLUMNS]
    rows: list[tuple[str, list[str]]] = [
        ("gain, if it cost nothing", [_with_interval(f.estimated_gain) for f in shown]),
        (f"{what.name} when slowed", [_dropped(f, summary, fixed_ns) for f in shown]),
        ("critical fraction κ", [_plain(f.critical_fraction) for f in shown]),
        ("shape of the response", [f.shape for f in shown]),
        (f"calls per {unit}", [number(f.calls_per_unit) for f in shown]),
        (f"own CPU time per {unit}", [duration_ns(f.own_cpu_ns_per_unit) for f in shown]),
        (f"own waiting per {unit}", [duration_ns(f.own_wait_ns_per_unit) for f in shown]),
        ("runs or windows", [str(f.runs) for f in shown]),
    ]
    text = table(
        ("", *(name(f.target) for f in shown)),
        ((escaped(head), *map(escaped, cells)) for head, cells in rows),
    )
    notes = (
        f"Gain: share of the time per {unit}. κ: share of the injected delay that reached "
        f"{what.noun}; 1 is all of it. In brackets 95% intervals."
    )
    more = len(group) - len(shown)
    return f"{text}\n\n{prose(notes)}" + (f" {more} more: in the JSON summary." if more else "")


def _with_interval(value: Estimate | None) -> str:
    return f"{percent(value.estimate)} [{percent_range(*value.ci95)}]" if value else "—"


def _dropped(finding: Sensitive, summary: Summary, fixed_ns: float | None) -> str:
    drop, what = finding.throughput_drop, spoken(summary.benchmark.metric)
    if drop is None:
        return "—"
    ends = sorted(drop.ci95, reverse=what.noun == "throughput")
    between = " … ".join(what.change(end) for end in ends)
    return f"{what.change(drop.estimate)} [{between}] by {dose(finding.dose, fixed_ns)}"


def _plain(value: Estimate | None) -> str:
    if value is None:
        return "—"
    return f"{value.estimate:.2f} [{number(value.ci95[0])} … {number(value.ci95[1])}]"


def _to_do(group: Sequence[Sensitive], summary: Summary) -> Iterator[str]:
    """What to do, then what not."""
    first, unit = group[0], unit_noun(summary.benchmark.metric)
    yield make_faster(first, unit)
    if len(group) > 1:
        yield "Do not stop after one of them: alone it gains nothing, and this stays open."
    elif waits(first):
        cpu = duration_ns(first.own_cpu_ns_per_unit)
        yield f"Do not make its Python faster: that is {cpu} per {unit}."
    yield from (leave_alone(hot) for hot in hidden_groups(summary))
    yield ONE_THING


def _hints(group: Sequence[Sensitive]) -> str:
    """What the source shows."""
    lines = hinted(hint for finding in group[:MOST_MEMBERS] for hint in finding.hints)
    return f"Read off the text, not measured; look there first.\n\n{lines}" if lines else ""


def _certificate(summary: Summary) -> str:
    """What the claim rests on: it is about the whole set."""
    said = bullets(map(_sentence, certificate_sentences(summary)))
    return f"Shown in fresh measurements, which the search had not seen:\n\n{said}" if said else ""


def _commands(group: Sequence[Sensitive], summary: Summary) -> Iterator[str]:
    """Commands to be copied. One that is too long is not cut: it would do something else."""
    yield prose("Each command runs the benchmark once with that code slowed, and nothing else.")
    for finding in group[:MOST_COLUMNS]:
        command = visible(finding.reproduce)
        if len(command) <= LONGEST_COMMAND:
            yield block(command)
        else:
            yield prose("This command is long; it is field sensitive[].reproduce of the summary.")


def _measured_with(summary: Summary) -> Iterator[str]:
    """What one has to know to measure it again."""
    known = summary.environment
    yield f"- benchmark: {name(' '.join(summary.benchmark.command))}"
    yield f"- {prose(_sentence(measured_by(summary)))}"
    if summary.baseline is not None:
        yield f"- {prose(_sentence(f'Undelayed: {throughput(summary, summary.baseline)}.'))}"
    python = name(str(known.get("target_python") or summary.benchmark.python))
    backend = f", backend {name(str(known['backend']))}" if known.get("backend") else ""
    slower = ", without the compiled part" if known.get("compiled") is False else ""
    yield f"- Python {python}{backend}{slower}"
    machine = " ".join(str(known[key]) for key in ("os", "machine") if known.get(key))
    cpus = known.get("cpus")
    if machine:
        cores = f", {counted(cpus, 'processor')}" if type(cpus) is int else ""
        yield f"- {name(machine)}{cores}"
    made = name(f"{summary.tool.name} {summary.tool.version}")
    began = f"{summary.started_at:%Y-%m-%d %H:%M}"
    yield f"- {made}, run {name(summary.run_id)} of {began}: {escaped(cost(summary))}"


def _warnings(summary: Summary) -> list[str]:
    return [_sentence(warning) for warning in summary.warnings[:MOST_WARNINGS]]
