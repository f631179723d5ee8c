"""Made-up answers that look like real ones, shared by the tests of summary and reports."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from bisector.answer import (
    Answer,
    Baseline,
    Certificate,
    CurvePoint,
    Effect,
    Finding,
    Interval,
    Pruned,
    Unresolved,
)
from bisector.discovery import CodeProfile, Discovery, Function, SiteProfile
from bisector.summary import MetricInfo, RunContext

T0 = 6.5e-3
SAMPLE = "gpu_serving.sampler:Sampler.sample_token"
DETOK = "gpu_serving.detokeniser:detokenise"
MAIN = "__main__:main"
TICK = "gpu_serving.metrics:Metrics.tick"
PREPARE = "gpu_serving.input_preparation:InputPreparation.prepare"


def function(target, own_ms, *, wait_ms=0.0, calls=1.0, line=12):
    module = target.partition(":")[0]
    gil_s, wait_s = own_ms * 1e-3, wait_ms * 1e-3
    site = SiteProfile("entry", -1, 1.0, gil_s / max(calls, 1), 0.0, wait_s / max(calls, 1))
    return Function(
        target=target,
        file=f"/srv/app/{module.replace('.', '/')}.py",
        line=line,
        calls=calls,
        gil_s=gil_s,
        nogil_s=0.0,
        wait_s=wait_s,
        codes=(CodeProfile(line, (site,)),),
        processes=("main",),
    )


def effect(gain, half=0.012, dose=0.25, kappa=1.0, shape="linear", slack=None, delay_ns=None):
    drop = 1 - 1 / (1 + gain * dose)
    curve = tuple(
        CurvePoint(r, gain * r * T0 * 1e9, Interval(x := 154 / (1 + gain * r), x - 1.2, x + 1.2))
        for r in (0.0, 0.05, 0.25, 1.0)
    )
    return Effect(
        dose=dose,
        counted_dose=dose,
        delay_ns=delay_ns,
        drop=Interval(drop, drop - half * dose, drop + half * dose),
        gain=Interval(gain, gain - half, gain + half),
        critical_fraction=None if kappa is None else Interval(kappa, kappa - 0.04, kappa + 0.04),
        p_value=1e-12,
        runs=18,
        shape=shape,
        slack_ns_per_unit=slack,
        curve=curve,
    )


def finding(target, gain, *, kind="function", functions=None, with_=(), **more):
    return Finding(target, kind, functions or (target,), effect(gain, **more), 3e-9, tuple(with_))


def pruned(target, functions, gain, reason="measured"):
    return Pruned(target, tuple(functions), reason, gain, gain * 0.25)


DISCOVERY = Discovery(
    functions=(
        function(PREPARE, 2.9, calls=4),
        function(SAMPLE, 2.02),
        function(DETOK, 0.98, calls=3),
        function("gpu_serving.model:Model.step", 0.05, wait_ms=1.1),
        function(TICK, 0.004, calls=12),
        function(MAIN, 0.02),
    ),
    window_s=2.0,
    units=308,
    processes=1,
    backend="monitoring",
    compiled=True,
)
BASELINE = Baseline(Interval(153.8, 152.9, 154.7), T0, 0.012, 24)
HELD = Certificate(
    necessary=True,
    necessary_p_values=((SAMPLE, 2e-14), (DETOK, 1e-9)),
    sufficient=True,
    explained=Interval(0.958, 0.93, 0.99),
    complete=True,
    complement_drop_upper95=0.003,
    complement_gain_upper95=0.012,
    dose=0.1,
)
PYTHON_BOUND = Answer(
    verdict="sensitive",
    stop_reason="certified",
    baseline=BASELINE,
    discovery=DISCOVERY,
    root=effect(0.475),
    sensitive=(finding(DETOK, 0.146), finding(SAMPLE, 0.309)),
    insensitive=(
        pruned("gpu_serving.input_preparation:*", [PREPARE, PREPARE + "_row"], 0.004),
        pruned("gpu_serving.metrics:*", [TICK], 0.001, "cannot_matter"),
        pruned("json.*:*", [f"json.decoder:f{i}" for i in range(31)], 0.0, "not_called"),
        pruned("gpu_serving.model:*", ["gpu_serving.model:Model.step"], 0.009),
    ),
    unresolved=(Unresolved(MAIN, (MAIN,), "its only call lies before the window"),),
    certificate=HELD,
    experiments=23,
    runs=141,
    warnings=("the machine was busy: load 3.1 on 2 cores",),
)
GPU_BOUND = replace(
    PYTHON_BOUND,
    verdict="insensitive",
    root=effect(0.002, shape="threshold", kappa=0.01, slack=5.2e6, dose=1.0),
    sensitive=(),
    insensitive=(pruned("*:*", [f.target for f in DISCOVERY.functions], 0.014),),
    certificate=Certificate(
        complete=True, complement_drop_upper95=0.004, complement_gain_upper95=0.014
    ),
)
WAIT = "client.remote:Client.fetch"
WAITING = replace(
    PYTHON_BOUND,
    discovery=replace(
        DISCOVERY,
        functions=(function(WAIT, 0.01, wait_ms=6.4), function("client.parse:parse", 0.06)),
    ),
    root=effect(0.985),
    sensitive=(finding(WAIT, 0.983),),
    insensitive=(pruned("client.parse:*", ["client.parse:parse"], 0.002),),
    unresolved=(),
    certificate=replace(HELD, necessary_p_values=((WAIT, 1e-20),), complement_gain_upper95=0.002),
)
LEFT, RIGHT = "stages.decode:Decoder.run", "stages.encode:Encoder.run"
CO_CRITICAL = replace(
    PYTHON_BOUND,
    discovery=replace(DISCOVERY, functions=(function(LEFT, 6.1), function(RIGHT, 6.0))),
    root=effect(0.93),
    sensitive=(
        finding(LEFT, 0.92, with_=[RIGHT], kappa=0.98),
        finding(RIGHT, 0.91, with_=[LEFT], kappa=0.97),
    ),
    insensitive=(),
    unresolved=(),
)
OUT_OF_BUDGET = replace(
    PYTHON_BOUND,
    verdict="inconclusive",
    stop_reason="budget",
    root=effect(0.41, half=0.2),
    certificate=Certificate(),
    baseline=replace(BASELINE, cv=0.063),
)
INTERRUPTED = replace(
    OUT_OF_BUDGET, stop_reason="interrupted", sensitive=(), insensitive=(), root=None
)
FAILED = Answer(
    verdict="inconclusive",
    stop_reason="failed",
    failure="the benchmark exited with code 3 in its first run: ValueError: no such model",
    runs=1,
)
HOSTILE = "[red]pkg\x1b[31m:evil\r\nname[/red]\u202e" + "x" * 120
NAN = float("nan")
BROKEN_NUMBERS = replace(
    PYTHON_BOUND,
    root=replace(
        effect(0.4),
        gain=Interval(0.4, -float("inf"), float("inf")),
        critical_fraction=Interval(NAN, NAN, NAN),
        p_value=NAN,
    ),
    sensitive=(replace(finding(HOSTILE, 0.3), p_value_adjusted=NAN),),
    insensitive=(pruned(HOSTILE, ["a", "b"], float("inf")),),
    unresolved=(Unresolved(HOSTILE, (HOSTILE,), "odd [bold]reason\x07"),),
    warnings=("[link=x]warn\x1b]0;title\x07",),
)
ALL = {
    "python_bound": PYTHON_BOUND,
    "gpu_bound": GPU_BOUND,
    "waiting": WAITING,
    "co_critical": CO_CRITICAL,
    "out_of_budget": OUT_OF_BUDGET,
    "interrupted": INTERRUPTED,
    "failed": FAILED,
    "broken_numbers": BROKEN_NUMBERS,
    "nothing": Answer(),
}
CONTEXT = RunContext(
    run_id="20261121-101500-a1b2",
    started_at=datetime(2026, 11, 21, 10, 15, tzinfo=UTC),
    finished_at=datetime(2026, 11, 21, 10, 16, 31, tzinfo=UTC),
    command=("python3.13", "bench.py", "--bound", "python"),
    python="3.13.0",
    metric=MetricInfo("throughput", "tokens/s", "auto: printed rate"),
    fingerprint="5f2c9a",
    wall_s=91.4,
    budget_s=120.0,
    engine_s=0.8,
    tool_version="0.1.0",
    run_directory=".speedbump/20261121-101500-a1b2",
    environment={"cpu": "two cores", "load": NAN},
    settings={"confidence": 0.95, "include": ["gpu_serving.*:*"]},
)
