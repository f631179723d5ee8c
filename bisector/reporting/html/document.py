"""The HTML report: one file that needs no other and asks nothing of any network.

Read from top to bottom it says what was found and what to do, then shows why. Called by
`bisector.reporting.formats`, with an `Evidence`.

Invariants: what comes from the benchmark is shown, never interpreted. Every value goes through
`visible` and is escaped on its way into the page; data for the scripts is JSON without a ``<``; and
a policy in the page itself lets a browser run our two scripts, known by their hashes, and load
nothing. What a picture shows stands in a table or list beside it as well.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from bisector.certificate_text import certificate_sentences
from bisector.evidence import Evidence
from bisector.hot_text import why_not_hottest
from bisector.next_steps import next_steps
from bisector.phrases import (
    HINTS,
    co_critical,
    cost,
    measured_by,
    response,
    set_legend,
    set_title,
    throughput,
)
from bisector.prose import spans
from bisector.reporting.forecast import Forecast, forecast
from bisector.reporting.html import icicle, tables
from bisector.reporting.html.branches import grow
from bisector.reporting.html.figures import Figure
from bisector.reporting.html.mattering_plot import mattering_plot
from bisector.reporting.html.response_plot import response_plot
from bisector.reporting.html.tables import Table
from bisector.reporting.mattering import weighed
from bisector.schema import EffectPart, Sensitive, Summary
from bisector.wording import (
    counted,
    counted_runs,
    duration_ns,
    percent_with_interval,
    spoken,
    unit_noun,
    visible,
)

HERE = Path(__file__).parent
"""Where its template, style and script are."""
MOST_RESPONSES = 12
"""Members of the sensitive set that get a dose-response plot of their own."""


def html(evidence: Evidence) -> str:
    """The page."""
    summary = evidence.summary
    unit = unit_noun(summary.benchmark.metric)
    figures: dict[str, Figure] = {}
    points = weighed(evidence)
    if points:
        figures["mattering"] = mattering_plot(points, unit)
    root = grow(evidence.census) if evidence.census and evidence.census.members else None
    if root is not None:
        figures["tree"] = icicle.icicle(root, unit)
    responses = list(_responses(summary, unit))
    figures |= {r.name: r.figure for r in responses}
    scripts = [_script(get_plotlyjs()), _script((HERE / "report.js").read_text("utf-8"))]
    title, hottest = why_not_hottest(summary)
    return _template().render(
        summary=summary,
        evidence=evidence,
        unit=unit,
        style=Markup((HERE / "report.css").read_text("utf-8")),
        policy=_policy(scripts),
        scripts=scripts,
        figures=_data(figures),
        steps=next_steps(summary),
        facts=_facts(summary, unit),
        set_title=set_title(summary),
        set_notes=[
            *co_critical(summary.sensitive),
            set_legend(unit, spoken(summary.benchmark.metric)),
        ],
        hints=[hint for finding in summary.sensitive for hint in finding.hints],
        hints_title=HINTS,
        hot_title=title,
        hottest=hottest,
        points=points,
        kinds=[k for k in icicle.WORDS if any(p.verdict == k for p in points)],
        tree=root,
        sizes=icicle.SIZES,
        words=icicle.WORDS,
        colours=icicle.colours(root) if root else [],
        verdict=icicle.verdict,
        times=icicle.times,
        responses=responses,
        certificate=certificate_sentences(summary),
        tables=tables,
        counted=counted,
        counted_runs=counted_runs,
    )


@dataclass(frozen=True, slots=True)
class ResponsePart:
    """A dose-response plot and what is said of it."""

    name: str
    target: str
    said: str
    figure: Figure
    table: Table


def _responses(summary: Summary, unit: str) -> Sequence[ResponsePart]:
    if summary.baseline is None:
        return []
    base_ns = summary.baseline.time_per_unit_s * 1e9
    fixed_ns = summary.root.delay_ns if summary.root else None
    what = spoken(summary.benchmark.metric)
    effects: list[EffectPart] = [*([summary.root] if summary.root else [])]
    effects += summary.sensitive[:MOST_RESPONSES]
    parts = []
    for number, effect in enumerate(effects):
        if len(effect.curve) < 2:
            continue
        line = forecast(effect, base_ns)
        parts.append(
            ResponsePart(
                name=f"response-{number}",
                target=effect.target,
                said=f"{response(effect, unit, fixed_ns, what)}. {_if_free(effect, line, unit)}",
                figure=response_plot(effect, line, base_ns, unit),
                table=tables.responses(effect, line, summary),
            )
        )
    return parts


def _if_free(effect: EffectPart, line: Forecast | None, unit: str) -> str:
    """Where the line leads, in a sentence."""
    if line is None:
        return ""
    if effect.shape in ("threshold", "none"):
        return "It is hidden: faster, it would change nothing."
    group = isinstance(effect, Sensitive) and effect.co_critical_with
    what = "it and what it is co-critical with" if group else "it"
    return (
        f"If {what} cost nothing, a {unit} would take {duration_ns(line.faster(1.0).time_ns)} "
        f"instead of {duration_ns(line.base_ns)}, by a straight line from what was measured."
    )


def _facts(summary: Summary, unit: str) -> list[tuple[str, str]]:
    """The numbers at the top: what they are called, and what they are."""
    facts = []
    if summary.baseline is not None:
        said = f"{throughput(summary, summary.baseline)}. {measured_by(summary)}"
        facts.append(("Undelayed", said))
    root = summary.root
    if root is not None:
        gain = percent_with_interval(root.estimated_gain)
        at_dose = response(root, unit, root.delay_ns, spoken(summary.benchmark.metric))
        facts.append(("All Python", f"gain {gain} · {at_dose}"))
        if root.slack_ns_per_unit:
            facts.append(("Slack", f"{duration_ns(root.slack_ns_per_unit)} per {unit}"))
    facts.append(("Cost", cost(summary)))
    return facts


def _prose(sentence: str) -> Markup:
    """A sentence with its names as code."""
    pieces = (
        Markup("<code>{}</code>").format(span.text) if span.is_name else Markup.escape(span.text)
        for span in spans(visible(sentence))
    )
    return Markup("").join(pieces)


def _visible(value: Any) -> Any:
    """What Jinja puts into the page: text that can be seen; what is HTML already is ours."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    return environment.get_template("report.html")


def _script(source: str) -> Markup:
    """A script as it may stand in a page: ``</script`` in one of its strings does not end it."""
    return Markup(source.replace("</script", "<\\/script"))


def _policy(scripts: Sequence[str]) -> str:
    """What a browser may do with the page: run these scripts, and load nothing at all."""
    hashes = (
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    )
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _data(figures: dict[str, Figure]) -> Markup:
    """The figures as JSON that is no HTML, and no end of a line to any script."""
    text = json.dumps(figures, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)
