"""Ready-made issues for a tracker: what was found, for whoever will change the code.

Invariants: there is a ticket only for what is certified, one for each finding; functions that are
co-critical share one, since none of them gains anything alone. A ticket can be found again whatever
lines move and whichever of a group gains most: its fingerprint is the finding's, of a group that of
its first by name, and its text begins with those of all. Titles are plain text that no tracker
makes anything of.
"""

from __future__ import annotations

from collections.abc import Sequence

from bisector.headline import waits
from bisector.schema import LONGEST_TITLE, Sensitive, Summary, Ticket
from bisector.ticket_body import body
from bisector.wording import about, counted, listed, shorten, spoken, unit_noun, visible

LABELS = ("speedbump-bisect", "performance")

_IN_TITLES = frozenset("_.:*<>-@(), \\")
"""Signs of names that stand in titles as they are; others may begin a mention or a reference."""


def tickets(summary: Summary) -> list[Ticket]:
    """The tickets of a finished summary, largest gain first; none where nothing is certain."""
    if summary.verdict != "sensitive" or summary.stop_reason != "certified":
        return []
    return [_ticket(group, summary) for group in groups(summary.sensitive)]


def groups(found: Sequence[Sensitive]) -> list[list[Sensitive]]:
    """Findings that share a ticket, in the order of the set: those that are co-critical, with each
    other or with the same others."""
    together: list[list[Sensitive]] = []
    for finding in found:
        linked = [g for g in together if any(_names(f) & _names(finding) for f in g)]
        if not linked:
            together.append([finding])
            continue
        first, *others = linked
        first += [f for group in others for f in group] + [finding]
        together = [group for group in together if not any(group is other for other in others)]
    rank = {finding.target: number for number, finding in enumerate(found)}
    return [sorted(group, key=lambda finding: rank[finding.target]) for group in together]


def _names(finding: Sensitive) -> set[str]:
    return {finding.target, *finding.co_critical_with}


def _ticket(group: Sequence[Sensitive], summary: Summary) -> Ticket:
    fingerprint = min(group, key=lambda finding: finding.target).fingerprint
    return Ticket(
        title=title(group, summary),
        body_markdown=body(group, summary, fingerprint),
        labels=list(LABELS),
        fingerprint=fingerprint,
        targets=[finding.target for finding in group],
    )


def title(group: Sequence[Sensitive], summary: Summary) -> str:
    """``sampler:sample limits throughput: up to 31% of the time per token``."""
    what, unit = spoken(summary.benchmark.metric), unit_noun(summary.benchmark.metric)
    first = group[0]
    share = ""
    if first.estimated_gain is not None:
        share = f": up to {about(min(first.estimated_gain.estimate, 1.0))} of the time per {unit}"
    if len(group) > 1:
        before, after = "", f" {what.limit} {what.noun} together"
    elif waits(first):
        before, after = "Waiting in ", f" {what.limit}s {what.noun}"
    else:
        of = f" ({counted(first.functions, 'function')})" if first.functions > 1 else ""
        before, after = "", f"{of} {what.limit}s {what.noun}"
    rest = shorten(f"{after}{share}", LONGEST_TITLE // 2)
    room = LONGEST_TITLE - len(before) - len(rest)
    shown = min(len(group), 3)  # and a few signs between them
    names = (shorten(plain(f.target), room // shown - 12) for f in group)
    return f"{before}{listed(names, most=3)}{rest}"


def plain(name: str) -> str:
    """A name that is text in a title: what may begin a mention, a reference or a smiley, which
    trackers find in titles too, is written as an escape."""
    signs: list[str] = []
    for sign in visible(name):
        inert = sign.isalnum() or sign in _IN_TITLES
        if sign == "@":  # of a line: module:function@42
            inert = bool(signs) and signs[-1][-1].isalnum()
        elif sign == ":":
            inert = sign not in signs
        signs.append(sign if inert else _escape(sign))
    return "".join(signs)


def _escape(sign: str) -> str:
    return f"\\x{ord(sign):02x}" if sign < "\x80" else f"\\u{ord(sign):04x}"
