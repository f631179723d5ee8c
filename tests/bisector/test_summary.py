"""The published result: what it holds, that it is valid JSON for its own schema, always."""

from __future__ import annotations

import json
import math
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import answers
import hostile
import pytest
from answers import CONTEXT

import bisector.reporting
from bisector.quantities import parse_time
from bisector.reporting.formats import rendered
from bisector.reproduction import Surroundings
from bisector.schema import UNBOUNDED, Hint, Summary, json_schema
from bisector.summary import exit_code, finding_fingerprint, summarize

SCHEMA_FILE = Path(bisector.reporting.__file__).with_name("summary.schema.json")


def numbers_in(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, float):
        yield value


@pytest.mark.parametrize("name", answers.ALL)
def test_every_answer_becomes_strict_json_that_reads_back_as_the_same_summary(name):
    summary = summarize(answers.ALL[name], CONTEXT)
    text = summary.model_dump_json()
    raw = json.loads(text, parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))
    assert all(math.isfinite(x) for x in numbers_in(raw))
    assert Summary.model_validate_json(text) == summary


@pytest.mark.parametrize("name", answers.ALL)
def test_every_answer_obeys_the_published_schema(name):
    jsonschema = pytest.importorskip("jsonschema")
    raw = json.loads(summarize(answers.ALL[name], CONTEXT).model_dump_json())
    jsonschema.validate(raw, json_schema())


def test_the_schema_file_is_the_models_schema():
    # After a deliberate change: python -m bisector.reporting.schema_file
    assert json.loads(SCHEMA_FILE.read_text("utf-8")) == json_schema()


def test_fields_of_the_contract_are_there_under_their_names():
    raw = json.loads(summarize(answers.PYTHON_BOUND, CONTEXT).model_dump_json())
    assert raw["schema_version"] == 1
    assert set(raw) >= {
        *("schema_version", "tool", "run_id", "started_at", "finished_at", "headline"),
        *("verdict", "stop_reason", "benchmark", "baseline", "root", "sensitive"),
        *("insensitive", "unresolved", "certificate", "cost", "environment", "warnings"),
        "tickets",
    }
    assert set(raw["benchmark"]) == {"command", "python", "metric", "fingerprint"}
    assert set(raw["benchmark"]["metric"]) == {"name", "unit", "source", "higher_is_better"}
    assert set(raw["baseline"]) >= {"throughput", "ci95", "cv", "runs"}
    assert set(raw["root"]) >= {
        *("target", "dose", "delay_ns", "throughput_drop", "critical_fraction"),
        *("estimated_gain", "p_value", "shape", "slack_ns_per_unit", "curve"),
    }
    assert raw["root"]["target"] == "*:*"
    assert set(raw["root"]["estimated_gain"]) == {"estimate", "ci95"}
    assert set(raw["root"]["curve"][0]) == {"dose", "injected_ns_per_unit", "throughput", "ci95"}
    assert set(raw["sensitive"][0]) >= {
        *("target", "kind", "file", "line", "calls_per_unit", "own_cpu_ns_per_unit"),
        *("own_wait_ns_per_unit", "dose", "delay_ns", "throughput_drop", "critical_fraction"),
        *("estimated_gain", "p_value", "p_value_adjusted", "shape", "curve"),
        *("co_critical_with", "runs", "reproduce", "fingerprint", "hints"),
    }
    assert set(raw["insensitive"][0]) == {
        *("target", "functions", "reason", "throughput_drop_upper95", "gain_upper95"),
    }
    assert set(raw["unresolved"][0]) == {"target", "functions", "reason"}
    certificate = raw["certificate"]
    assert certificate["necessary"]["holds"] is True
    assert set(certificate["sufficient"]) == {"holds", "explained", "ci95"}
    assert set(certificate["complete"]) >= {"holds", "complement_drop_upper95"}
    assert set(raw["cost"]) == {"wall_s", "budget_s", "runs", "experiments", "engine_s"}
    assert set(raw["tickets"][0]) >= {"title", "body_markdown", "labels", "fingerprint"}


def test_findings_come_largest_gain_first_with_place_calls_and_own_time_from_discovery():
    first, second = summarize(answers.PYTHON_BOUND, CONTEXT).sensitive
    assert (first.target, second.target) == (answers.SAMPLE, answers.DETOK)
    assert first.file == "/srv/app/gpu_serving/sampler.py"
    assert first.line == 12
    assert second.calls_per_unit == 3
    assert first.own_cpu_ns_per_unit == pytest.approx(2.02e6)
    assert first.own_wait_ns_per_unit == 0


def test_a_subtree_sums_over_its_members_and_has_no_place():
    members = (answers.SAMPLE, answers.DETOK)
    found = answers.finding("gpu_serving.*:*", 0.4, kind="subtree", functions=members)
    answer = replace(answers.PYTHON_BOUND, sensitive=(found,))
    entry = summarize(answer, CONTEXT).sensitive[0]
    assert (entry.file, entry.line, entry.functions) == (None, None, 2)
    assert entry.members == list(members)
    assert entry.own_cpu_ns_per_unit == pytest.approx(3.0e6)
    assert entry.calls_per_unit == 4


def test_a_line_has_its_functions_file_and_its_own_number():
    line = replace(answers.function(answers.SAMPLE + "@42", 2.0, line=42), kind="line")
    entry = entry_of(line)
    assert (entry.kind, entry.file, entry.line) == ("line", "/srv/app/gpu_serving/sampler.py", 42)


def test_a_native_callable_is_in_no_file():
    native = replace(answers.function("zlib:compress", 2.0, line=0), file="", kind="native")
    entry = entry_of(native)
    assert (entry.kind, entry.file, entry.line) == ("native", None, None)
    plain = replace(CONTEXT, plans={})
    assert " --native --delay " in entry_of(native, plain).reproduce


def entry_of(function, context=CONTEXT):
    """The entry of this function as the one that matters."""
    found = answers.finding(function.target, 0.3, kind=function.kind)
    answer = answers.PYTHON_BOUND
    discovery = replace(answer.discovery, functions=(*answer.discovery.functions, function))
    return summarize(replace(answer, discovery=discovery, sensitive=(found,)), context).sensitive[0]


def test_what_is_not_a_number_is_null_and_what_is_open_ends_far_away():
    summary = summarize(answers.BROKEN_NUMBERS, CONTEXT)
    assert summary.root.critical_fraction is None
    assert summary.root.p_value is None
    assert summary.root.estimated_gain.ci95 == (-UNBOUNDED, UNBOUNDED)
    assert summary.environment["load"] is None


def test_negative_drops_are_published_as_measured():
    quicker = answers.effect(-0.004)
    summary = summarize(replace(answers.PYTHON_BOUND, root=quicker), CONTEXT)
    assert summary.root.estimated_gain.estimate == -0.004


def test_fingerprints_depend_on_benchmark_and_target_only():
    (found, *_) = summarize(answers.PYTHON_BOUND, CONTEXT).sensitive
    moved = replace(
        answers.PYTHON_BOUND,
        discovery=replace(
            answers.DISCOVERY,
            functions=tuple(replace(f, line=99) for f in answers.DISCOVERY.functions),
        ),
    )
    assert summarize(moved, CONTEXT).sensitive[0].fingerprint == found.fingerprint
    assert found.fingerprint == finding_fingerprint(CONTEXT.fingerprint, found.target)
    assert found.fingerprint != finding_fingerprint("other benchmark", found.target)


def test_hints_are_those_of_the_heaviest_member():
    def hints(function):
        return [
            Hint(kind="lock", line=3, text="x", source="y", target=function.target, file="f.py")
        ]

    members = (answers.DETOK, answers.SAMPLE)
    found = answers.finding("gpu_serving.*:*", 0.4, kind="subtree", functions=members)
    answer = replace(answers.PYTHON_BOUND, sensitive=(found,))
    (hint,) = summarize(answer, replace(CONTEXT, hints=hints)).sensitive[0].hints
    assert hint.target == answers.SAMPLE
    assert summarize(answer, CONTEXT).sensitive[0].hints == []


def test_names_are_in_the_json_as_they_are_but_for_what_cannot_be_written():
    raw = json.loads(hostile.SUMMARY.model_dump_json())
    found = {each["target"] for each in raw["sensitive"]}
    assert {hostile.SCRIPT, hostile.LAMBDA, hostile.IMAGE} <= found
    assert raw["warnings"] == list(hostile.NAMES)
    half = replace(answers.PYTHON_BOUND, warnings=("half \ud800 of one \udcff",))
    text = summarize(half, CONTEXT).model_dump_json()
    assert json.loads(text)["warnings"] == ["half \\ud800 of one \\udcff"]


def test_printed_json_is_the_same_document_and_visible():
    printed = rendered("json", hostile.SUMMARY, lambda: pytest.fail("the summary is enough"))
    assert all(line.isprintable() for line in printed.splitlines())
    assert Summary.model_validate_json(printed) == hostile.SUMMARY
    assert "\u05e9" in printed, "what can be seen is left as it is"


def test_results_from_before_there_were_hints_still_read():
    raw = json.loads(summarize(answers.PYTHON_BOUND, CONTEXT).model_dump_json())
    for found in raw["sensitive"]:
        del found["hints"]
    assert Summary.model_validate(raw).sensitive[0].hints == []


def test_reproduce_without_a_plan_adds_the_same_time_per_unit_by_a_delay_per_call():
    (_, detok) = summarize(answers.PYTHON_BOUND, CONTEXT).sensitive
    words = shlex.split(detok.reproduce)
    assert words[:2] == ["speedbump-bisect", "inject"]
    assert words[2:4] == ["--targets", answers.DETOK]
    assert words[4] == "--delay"
    per_call_ns = parse_time(words[5]) * 1e9
    assert per_call_ns == pytest.approx(0.98e6 / 3 * 0.25, rel=0.01)
    assert words[6:] == ["--", *CONTEXT.command]


def test_reproduce_uses_the_plan_file_and_the_fixed_delay_where_there_are_such():
    plan = replace(CONTEXT, plans={answers.SAMPLE: "out dir/plan.json"})
    (sample, _) = summarize(answers.PYTHON_BOUND, plan).sensitive
    assert shlex.split(sample.reproduce)[2:4] == ["--plan", "out dir/plan.json"]
    classic = answers.finding(answers.SAMPLE, 0.3, delay_ns=10_000.0)
    (sample,) = summarize(replace(answers.PYTHON_BOUND, sensitive=(classic,)), plan).sensitive
    assert shlex.split(sample.reproduce)[2:6] == [
        *("--targets", answers.SAMPLE, "--delay", "10us"),
    ]


def test_reproduce_sets_up_what_the_benchmark_was_given(tmp_path):
    around = Surroundings(str(tmp_path / "a b"), "touch prepared", ["MODEL"])
    context = replace(CONTEXT, around=around, plans={answers.SAMPLE: "run/plan.json"})
    command = summarize(answers.PYTHON_BOUND, context).sensitive[0].reproduce
    (tmp_path / "a b").mkdir()
    tool = tmp_path / "speedbump-bisect"
    tool.write_text('#!/bin/sh\necho "$MODEL $3" > seen\n', "utf-8")
    tool.chmod(0o755)
    for value in ("llama 3", ""):
        shell = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "MODEL": value}
        ended = subprocess.run(
            ["/bin/sh", "-c", command], env=shell, capture_output=True, text=True, check=False
        )
        assert (ended.returncode == 0) == (value != "")
    assert "as given with --env" in ended.stderr
    assert (tmp_path / "a b" / "prepared").exists()
    plan = Path("run/plan.json").absolute()
    assert (tmp_path / "a b" / "seen").read_text("utf-8") == f"llama 3 {plan}\n"


def test_the_hottest_functions_are_listed_with_what_became_of_them():
    hot = summarize(answers.PYTHON_BOUND, CONTEXT).hottest
    assert [h.target for h in hot[:3]] == [answers.PREPARE, answers.SAMPLE, answers.DETOK]
    assert [h.verdict for h in hot[:3]] == ["insensitive", "sensitive", "sensitive"]
    assert hot[0].own_share == pytest.approx(2.9 / 6.5)
    assert hot[0].gain_upper95 == 0.004
    assert (hot[0].judged_as, hot[0].judged_with) == ("gpu_serving.input_preparation:*", 2)
    assert {h.target: h.verdict for h in hot}[answers.MAIN] == "unresolved"


@pytest.mark.parametrize(
    ("reason", "code"), [("certified", 0), ("failed", 1), ("budget", 3), ("interrupted", 130)]
)
def test_the_exit_code_follows_the_stop_reason(reason, code):
    answer = replace(answers.PYTHON_BOUND, stop_reason=reason)
    assert exit_code(summarize(answer, CONTEXT)) == code


def test_a_later_version_with_more_fields_still_reads():
    raw = json.loads(summarize(answers.PYTHON_BOUND, CONTEXT).model_dump_json())
    raw["something_new"] = 1
    raw["baseline"]["something_new"] = 1
    assert Summary.model_validate(raw).headline
