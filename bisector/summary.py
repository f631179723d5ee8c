"""From what the engine knows to what is published: `summarize(answer, context) -> Summary`.

Invariant: a pure function of its two arguments; what is read off source files is asked of the
context. It adds no judgement of its own: it looks up where a function is, drops what is not a
number, sorts, and leaves the wording to `bisector.headline` and `bisector.tickets`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from bisector.answer import (
    Answer,
    Baseline,
    Certificate,
    CurvePoint,
    Effect,
    Finding,
    Interval,
    Pruned,
    Shape,
    StopReason,
)
from bisector.discovery import Function
from bisector.headline import headline
from bisector.hottest import hottest
from bisector.reproduction import Surroundings, reproduce_command
from bisector.schema import (
    UNBOUNDED,
    BaselinePart,
    Benchmark,
    CertificatePart,
    Complete,
    Cost,
    CurvePart,
    EffectPart,
    Estimate,
    Hint,
    Insensitive,
    Metric,
    Necessary,
    Sensitive,
    Sufficient,
    Summary,
    Tool,
    UnresolvedPart,
    finite,
)
from bisector.tickets import tickets

__all__ = ["MetricInfo", "RunContext", "Summary", "exit_code", "finding_fingerprint", "summarize"]

ROOT = "*:*"


def no_hints(function: Function) -> Sequence[Hint]:
    """What the source of a function shows where nobody looks at it."""
    return ()


Scalar = str | int | float | bool | None

_EXIT: Mapping[StopReason, int] = {"certified": 0, "failed": 1, "budget": 3, "interrupted": 130}


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """What the runs were measured by; ``source`` says where the number came from."""

    name: str
    unit: str
    source: str
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class RunContext:
    """Everything in a summary that the engine does not know: the session tells it.

    ``command`` is the benchmark's full command line. ``fingerprint`` identifies the benchmark (not
    the machine or the day). ``plans`` maps a target to the plan file that slows just that target,
    as written by `bisector.reproduction`; without one, ``reproduce`` uses a fixed delay per call.
    ``around`` is what ``reproduce`` has to set up first. ``hints`` says what a function's source
    shows (`bisector.hints`).
    """

    run_id: str
    started_at: datetime
    finished_at: datetime
    command: Sequence[str]
    python: str
    metric: MetricInfo
    fingerprint: str
    wall_s: float
    budget_s: float | None
    engine_s: float
    tool_version: str
    run_directory: str
    environment: Mapping[str, Scalar] = field(default_factory=dict)
    settings: Mapping[str, Scalar | list[str]] = field(default_factory=dict)
    plans: Mapping[str, str] = field(default_factory=dict)
    around: Surroundings = field(default_factory=Surroundings)
    hints: Callable[[Function], Sequence[Hint]] = no_hints


def exit_code(summary: Summary) -> int:
    """0 certified, 1 failed, 3 the budget ended first, 130 interrupted."""
    return _EXIT[summary.stop_reason]


def finding_fingerprint(benchmark: str, target: str) -> str:
    """The same for one target of one benchmark, whatever lines move: finds an old ticket."""
    both = f"{benchmark}\0{target}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(both).hexdigest()[:16]


def summarize(answer: Answer, context: RunContext) -> Summary:
    """The published result of ``answer``."""
    functions = {f.target: f for f in answer.discovery.functions} if answer.discovery else {}
    found = sorted(answer.sensitive, key=lambda f: (-_sortable(f.effect.gain), f.target))
    root = answer.root
    summary = Summary(
        tool=Tool(version=context.tool_version),
        run_id=context.run_id,
        run_directory=context.run_directory,
        started_at=context.started_at,
        finished_at=context.finished_at,
        headline="",
        verdict=answer.verdict,
        stop_reason=answer.stop_reason,
        failure=answer.failure,
        benchmark=Benchmark(
            command=list(context.command),
            python=context.python,
            metric=Metric(
                name=context.metric.name,
                unit=context.metric.unit,
                source=context.metric.source,
                higher_is_better=context.metric.higher_is_better,
            ),
            fingerprint=context.fingerprint,
        ),
        baseline=_baseline(answer.baseline),
        root=EffectPart(target=ROOT, **_effect(root)) if root else None,
        sensitive=[_sensitive(f, functions, context) for f in found],
        insensitive=[
            Insensitive(
                target=p.target,
                functions=len(p.functions),
                reason=p.reason,
                throughput_drop_upper95=finite(p.drop_upper95),
                gain_upper95=finite(p.gain_upper95),
            )
            for p in sorted(answer.insensitive, key=_least_bounded_first)
        ],
        unresolved=[
            UnresolvedPart(target=u.target, functions=len(u.functions), reason=u.reason)
            for u in answer.unresolved
        ],
        hottest=hottest(answer),
        certificate=_certificate(answer.certificate),
        cost=Cost(
            wall_s=context.wall_s,
            budget_s=context.budget_s,
            runs=answer.runs,
            experiments=answer.experiments,
            engine_s=context.engine_s,
        ),
        environment={k: _plain(v) for k, v in context.environment.items()},
        settings={
            k: list(v) if isinstance(v, list) else _plain(v) for k, v in context.settings.items()
        },
        warnings=_warnings(answer),
        tickets=[],
    )
    summary = summary.model_copy(update={"headline": headline(summary)})
    return summary.model_copy(update={"tickets": tickets(summary)})


def _plain(value: Scalar) -> Scalar:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sortable(gain: Interval) -> float:
    return -math.inf if math.isnan(gain.estimate) else gain.estimate


def _least_bounded_first(pruned: Pruned) -> tuple[bool, float, str]:
    gain = finite(pruned.gain_upper95)
    return (pruned.reason == "not_called", -(UNBOUNDED if gain is None else gain), pruned.target)


def _baseline(baseline: Baseline | None) -> BaselinePart | None:
    if baseline is None:
        return None
    throughput = Estimate.of(baseline.throughput)
    if throughput is None or not math.isfinite(baseline.time_per_unit_s):
        return None
    return BaselinePart(
        throughput=throughput.estimate,
        ci95=throughput.ci95,
        cv=finite(baseline.cv) or 0.0,
        runs=baseline.runs,
        time_per_unit_s=baseline.time_per_unit_s,
    )


def _curve(points: Sequence[CurvePoint]) -> list[CurvePart]:
    parts = []
    for point in points:
        throughput = Estimate.of(point.throughput)
        injected = finite(point.injected_ns_per_unit)
        if throughput is not None and injected is not None:
            parts.append(
                CurvePart(
                    dose=point.dose,
                    injected_ns_per_unit=injected,
                    throughput=throughput.estimate,
                    ci95=throughput.ci95,
                )
            )
    return parts


class _EffectFields(TypedDict):
    """The fields of `EffectPart` that come from an `Effect`."""

    dose: float
    delay_ns: float | None
    throughput_drop: Estimate | None
    critical_fraction: Estimate | None
    estimated_gain: Estimate | None
    p_value: float | None
    shape: Shape
    slack_ns_per_unit: float | None
    curve: list[CurvePart]
    runs: int


def _effect(effect: Effect) -> _EffectFields:
    return {
        "dose": effect.dose,
        "delay_ns": finite(effect.delay_ns),
        "throughput_drop": Estimate.of(effect.drop),
        "critical_fraction": Estimate.of(effect.critical_fraction),
        "estimated_gain": Estimate.of(effect.gain),
        "p_value": finite(effect.p_value),
        "shape": effect.shape,
        "slack_ns_per_unit": finite(effect.slack_ns_per_unit),
        "curve": _curve(effect.curve),
        "runs": effect.runs,
    }


def _sensitive(
    finding: Finding, functions: Mapping[str, Function], context: RunContext
) -> Sensitive:
    members = [functions[name] for name in finding.functions if name in functions]
    own = functions.get(finding.target)
    if own is None and len(members) == 1:
        own = members[0]
    return Sensitive(
        target=finding.target,
        kind=finding.kind,
        file=(own.file or None) if own else None,
        line=(own.line or None) if own else None,
        functions=len(finding.functions),
        members=list(finding.functions),
        calls_per_unit=sum(f.calls for f in members),
        own_cpu_ns_per_unit=sum(f.gil_s + f.nogil_s for f in members) * 1e9,
        own_wait_ns_per_unit=sum(f.wait_s for f in members) * 1e9,
        p_value_adjusted=finite(finding.p_value_adjusted),
        co_critical_with=list(finding.co_critical_with),
        reproduce=reproduce_command(
            finding,
            members,
            context.command,
            context.plans.get(finding.target),
            context.around,
        ),
        fingerprint=finding_fingerprint(context.fingerprint, finding.target),
        hints=_hints(members, context),
        **(
            _effect(finding.effect)
            | {"delay_ns": finite(finding.effect.delay_ns or finding.effect.delay_per_call_ns)}
        ),
    )


def _hints(members: Sequence[Function], context: RunContext) -> list[Hint]:
    """Of the heaviest member: of a subtree the others are each less than that."""
    heaviest = max(members, key=lambda f: (f.own_s, f.target), default=None)
    return list(context.hints(heaviest)) if heaviest is not None else []


def _certificate(certificate: Certificate) -> CertificatePart:
    explained = Estimate.of(certificate.explained)
    p_values = {name: finite(p) for name, p in certificate.necessary_p_values}
    return CertificatePart(
        necessary=Necessary(
            holds=certificate.necessary,
            p_values={name: p for name, p in p_values.items() if p is not None},
        ),
        sufficient=Sufficient(
            holds=certificate.sufficient,
            explained=explained.estimate if explained else None,
            ci95=explained.ci95 if explained else None,
        ),
        complete=Complete(
            holds=certificate.complete,
            complement_drop_upper95=finite(certificate.complement_drop_upper95),
            complement_gain_upper95=finite(certificate.complement_gain_upper95),
        ),
        dose=finite(certificate.dose),
        notes=list(certificate.notes),
    )


def _warnings(answer: Answer) -> list[str]:
    """Every warning once, in order of appearance."""
    found = answer.discovery.warnings if answer.discovery else ()
    return list(dict.fromkeys((*answer.warnings, *found)))
