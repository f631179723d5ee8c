"""The certificate in words: what was tested, what came out, in a sentence for each of its parts.

Invariant: a part that was not tested is said not to be tested, one that failed is said to have
failed; no sentence is left out because it is bad news.
"""

from __future__ import annotations

from bisector.phrases import dose
from bisector.schema import Summary
from bisector.wording import about, at_most, counted, percent, percent_range, spoken, visible


def certificate_sentences(summary: Summary) -> list[str]:
    """One sentence each for necessary, sufficient and complete, then the engine's notes.

    Empty where a certificate makes no sense: a failed measurement, or nothing known at all.
    """
    if summary.stop_reason == "failed" or summary.root is None:
        return []
    if summary.verdict == "insensitive":
        sentences = [_everything(summary)]
    else:
        sentences = [_necessary(summary), _sufficient(summary), _complete(summary)]
    return sentences + [visible(note) for note in summary.certificate.notes]


def _everything(summary: Summary) -> str:
    complete = summary.certificate.complete
    if complete.holds is None or complete.complement_drop_upper95 is None:
        root = summary.root
        if root is None or root.estimated_gain is None:
            return "Everything together: not tested in fresh runs."
        bound = at_most(root.estimated_gain.ci95[1])
        return f"Everything together could gain at most {bound} (95% bound)."
    slowed = _slowed(summary, [summary.certificate.dose])
    costs = spoken(summary.benchmark.metric).costs(complete.complement_drop_upper95)
    held = "" if complete.holds else ", which is more than was allowed for"
    return f"Everything together{slowed} {costs} (95% bound){held}."


def _necessary(summary: Summary) -> str:
    part, what = summary.certificate.necessary, spoken(summary.benchmark.metric)
    n = counted(len(summary.sensitive), "entry", "entries")
    if part.holds is None:
        return f"Necessary (each entry alone {what.lowers} {what.noun}): not tested."
    if not part.holds:
        untrue = f"not every entry alone {what.lowers} {what.noun} in fresh runs"
        return f"Necessary: failed; {untrue}."
    confidence = summary.settings.get("confidence")
    level = ""
    if isinstance(confidence, float):
        level = f", family-wise confidence {percent(confidence)}"
    worst = max(part.p_values.values(), default=None)
    p = "" if worst is None else f" (largest p-value {worst:.1g}{level})"
    each = "the entry alone" if len(summary.sensitive) == 1 else f"each of the {n} alone"
    slowed = _slowed(summary, [entry.dose for entry in summary.sensitive])
    return f"Necessary: {each}{slowed} {what.lowers} {what.noun}{p}."


def _sufficient(summary: Summary) -> str:
    part = summary.certificate.sufficient
    if part.holds is None or part.explained is None:
        return "Sufficient (the set alone accounts for the whole effect): not tested."
    share = about(part.explained)
    if part.ci95 is not None:
        share += f" [{percent_range(*part.ci95)}]"
    if not part.holds:
        return f"Sufficient: failed; the set alone reproduces only {share} of the effect of *:*."
    slowed = _slowed(summary, [summary.certificate.dose])
    return f"Sufficient: the set alone{slowed} reproduces {share} of the effect of *:*."


def _complete(summary: Summary) -> str:
    part = summary.certificate.complete
    if part.holds is None or part.complement_drop_upper95 is None:
        return "Complete (everything else does not matter): not tested."
    if part.holds and part.complement_gain_upper95 == 0.0:
        return "Complete: there was nothing else to slow."
    worth = spoken(summary.benchmark.metric).costs(part.complement_drop_upper95)
    if part.complement_gain_upper95 is not None:
        worth += f", so it could gain at most {at_most(part.complement_gain_upper95)}"
    if not part.holds:
        return f"Complete: failed; slowing everything else {worth}, which is too much to leave out."
    return f"Complete: slowing everything else {worth}."


def _slowed(summary: Summary, doses: list[float | None]) -> str:
    known = [each for each in doses if each is not None]
    if not known:
        return ""
    fixed_ns = summary.root.delay_ns if summary.root else None
    said = dict.fromkeys(dose(each, fixed_ns) for each in (min(known), max(known)))
    return f", slowed by {' to '.join(said)},"
