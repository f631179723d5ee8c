"""The answer in one to three plain sentences, for someone who reads nothing else.

Invariant: a sentence claims no more than what the certificate showed. Numbers that bound something
are rounded up and introduced by "at most"; what was not tested is called undecided.
"""

from __future__ import annotations

from bisector.answer import Kind
from bisector.schema import Sensitive, Summary
from bisector.wording import (
    about,
    at_most,
    clock_s,
    counted,
    counted_runs,
    counted_word,
    duration_ns,
    listed,
    spoken,
    unit_noun,
    visible,
)

LITTLE = 0.05
"""What may be called no bottleneck, however little was asked about."""


def headline(summary: Summary) -> str:
    """The headline of ``summary`` (whose own ``headline`` is ignored)."""
    if summary.stop_reason == "failed":
        return _failed(summary)
    if summary.verdict == "sensitive":
        return _sensitive(summary)
    if summary.verdict == "insensitive":
        return _insensitive(summary)
    sentences = (_why_undecided(summary), _known(summary), _what_to_do(summary))
    return " ".join(sentence for sentence in sentences if sentence)


def waits(finding: Sensitive) -> bool:
    """Whether a finding's own time is mostly waiting: then latency is what costs, not Python."""
    return finding.own_wait_ns_per_unit > finding.own_cpu_ns_per_unit


def _failed(summary: Summary) -> str:
    reason = visible(summary.failure or "the measurement failed for an unknown reason").strip()
    return f"No answer: {reason}" + ("" if reason.endswith((".", "!", "?")) else ".")


def _sensitive(summary: Summary) -> str:
    unit, what = unit_noun(summary.benchmark.metric), spoken(summary.benchmark.metric)
    found = list(summary.sensitive)
    if not found:
        effect = f"Slowing Python {what.lowers} {what.noun}"
        return f"{effect}, but no function was singled out.{_rest(summary)}"
    if all(waits(f) for f in found):
        return _waiting(summary, found, unit)
    explained = summary.certificate.sufficient.explained
    if explained is None:
        share = f"{what.limit}{'' if len(found) > 1 else 's'} {what.noun}"
    else:
        verb = "explain" if len(found) > 1 else "explains"
        share = f"{verb} {about(min(explained, 1.0))} of what faster Python could gain"
    subject = _things(found)
    first = f"{subject[:1].upper()}{subject[1:]} {share}."
    return f"{first} {_biggest(found[0], unit)}{_rest(summary)}"


_KINDS: dict[Kind, str] = {
    "function": "function",
    "native": "native callable",
    "line": "line",
    "subtree": "subtree",
}
"""What they are called, in this order."""


def _things(found: list[Sensitive]) -> str:
    """``two functions``, ``one function and one subtree``."""
    kinds = [f.kind for f in found]
    return listed(
        counted_word(kinds.count(kind), word) for kind, word in _KINDS.items() if kind in kinds
    )


def _biggest(top: Sensitive, unit: str) -> str:
    """What the largest member would gain, alone or with those it is co-critical with."""
    name = visible(top.target)
    gain = top.estimated_gain
    share = "an unknown share" if gain is None else f"up to {about(min(gain.estimate, 1.0))}"
    if top.co_critical_with:
        together = listed([name, *(visible(t) for t in top.co_critical_with)])
        return (
            f"{together} run side by side and hold up each {unit} equally: speeding up only one "
            f"gains nothing; making all of them free would save {share} of the time per {unit}."
        )
    if waits(top):
        return f"Without the waiting in {name}, {share} of the time per {unit} would go."
    return f"Making {name} free would save {share} of the time per {unit}."


def _waiting(summary: Summary, found: list[Sensitive], unit: str) -> str:
    names = listed(visible(f.target) for f in found)
    gain = found[0].estimated_gain
    share = ""
    if gain is not None:
        alone = "" if len(found) == 1 else f" in {visible(found[0].target)} alone"
        share = f" ({about(min(gain.estimate, 1.0))} of the time per {unit}{alone})"
    what = spoken(summary.benchmark.metric)
    subject = f"{what.name.capitalize()} is {what.limited} by waiting in {names}{share}"
    limit = f"{subject}, not by Python's speed."
    if found[0].co_critical_with:
        together = listed([visible(found[0].target), *map(visible, found[0].co_critical_with)])
        limit += f" {together} run side by side: shortening only one gains nothing."
    return limit + _rest(summary)


def _rest(summary: Summary) -> str:
    """What everything outside the set could gain, if that was tested and held."""
    complete = summary.certificate.complete
    if not complete.holds or complete.complement_gain_upper95 is None:
        return ""
    if complete.complement_gain_upper95 == 0.0:
        return " There was no other Python to slow."
    bound = at_most(complete.complement_gain_upper95)
    return f" All other Python together could gain at most {bound}."


def _insensitive(summary: Summary) -> str:
    unit, what = unit_noun(summary.benchmark.metric), spoken(summary.benchmark.metric)
    root = summary.root
    slack = root.slack_ns_per_unit if root else None
    most = summary.certificate.complete.complement_gain_upper95
    if most is not None and most > LITTLE:
        text = (
            f"Making all Python free could gain at most {at_most(most)}; whether it gains less was "
            "not asked."
        )
    elif slack is not None and slack > 0:
        text = (
            f"Python is not the bottleneck: it could be {duration_ns(slack)} per {unit} slower "
            f"before {what.noun} {what.falls}."
        )
    else:
        effect = f"slowing all of it does not {what.lower} {what.noun}"
        text = f"Python is not the bottleneck: {effect}."
    if most is not None and most <= LITTLE:
        text += f" Making all of it free would gain at most {at_most(most)}."
    if summary.unresolved:
        n = sum(u.functions for u in summary.unresolved)
        text += f" {counted(n, 'function')} could not be tested."
    return text


def _gave_up(summary: Summary) -> bool:
    """Whether it ended without an answer before the budget did, for a reason that it knows."""
    cost, reasons = summary.cost, summary.certificate.notes
    return bool(reasons) and cost.budget_s is not None and cost.wall_s < 0.9 * cost.budget_s


def _why_undecided(summary: Summary) -> str:
    cost = summary.cost
    spent_on = counted_runs(summary, cost.runs)
    notes = summary.certificate.notes
    if summary.stop_reason == "interrupted":
        return f"Undecided: interrupted after {clock_s(cost.wall_s)} and {spent_on}."
    if _gave_up(summary):
        spent = f"Undecided after {clock_s(cost.wall_s)} and {spent_on}, with budget left"
        return f"{spent}: {visible(notes[0])}."
    if summary.stop_reason == "budget" and cost.budget_s is not None:
        return f"Undecided when the budget of {clock_s(cost.budget_s)} ended ({spent_on})."
    return f"Undecided after {spent_on}: the certificate did not hold."


def _known(summary: Summary) -> str:
    gain = summary.root.estimated_gain if summary.root else None
    lo, hi = (min(max(x, 0.0), 1.0) for x in gain.ci95) if gain else (0.0, 1.0)
    if hi - lo > 0.9:
        text = "Nothing is known yet about how much Python's speed matters"
    else:
        text = f"Making all Python free would gain between {about(lo)} and {at_most(hi)}"
    if summary.sensitive:
        names = listed(visible(f.target) for f in summary.sensitive)
        return f"{text}; suspected so far: {names}."
    return f"{text}."


def _what_to_do(summary: Summary) -> str:
    if summary.stop_reason == "interrupted":
        return f"`speedbump-bisect resume {visible(summary.run_directory)}` goes on from here."
    cv = summary.baseline.cv if summary.baseline else 0.0
    if cv > 0.03:
        return (
            f"Runs vary by {about(cv)}: longer runs, a quieter machine or a larger --budget would "
            "decide."
        )
    if _gave_up(summary):
        return "Longer runs would tell more." if summary.root else ""
    return "A larger --budget would decide."
