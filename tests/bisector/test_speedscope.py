"""The speedscope file: its shape, and that widths are what the result says."""

from __future__ import annotations

import json
from dataclasses import replace

import answers
import hostile
import pytest
from answers import CONTEXT

from bisector.census import take_census
from bisector.evidence import Evidence
from bisector.reporting.speedscope import SCHEMA, speedscope
from bisector.summary import summarize

NUMBER = {"type": "number"}
NUMBERS = {"type": "array", "items": NUMBER}
SHAPE = {
    "type": "object",
    "required": ["$schema", "shared", "profiles"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"const": SCHEMA},
        "name": {"type": "string"},
        "exporter": {"type": "string"},
        "activeProfileIndex": NUMBER,
        "shared": {
            "type": "object",
            "required": ["frames"],
            "properties": {
                "frames": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "additionalProperties": False,
                        "properties": {
                            "name": {"type": "string"},
                            "file": {"type": "string"},
                            "line": NUMBER,
                            "col": NUMBER,
                        },
                    },
                }
            },
        },
        "profiles": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    *("type", "name", "unit", "startValue", "endValue", "samples", "weights")
                ],
                "additionalProperties": False,
                "properties": {
                    "type": {"const": "sampled"},
                    "name": {"type": "string"},
                    "unit": {
                        "enum": [
                            *("bytes", "microseconds", "milliseconds", "nanoseconds"),
                            *("none", "seconds"),
                        ]
                    },
                    "startValue": NUMBER,
                    "endValue": NUMBER,
                    "samples": {"type": "array", "items": NUMBERS},
                    "weights": NUMBERS,
                },
            },
        },
    },
}
"""The part of https://www.speedscope.app/file-format-schema.json that sampled profiles need."""


def told(answer, census=True):
    summary = summarize(answer, CONTEXT)
    return json.loads(speedscope(Evidence(summary, take_census(answer) if census else None)))


def stacks(document, profile):
    """Weight by stack, as names."""
    names = [frame["name"] for frame in document["shared"]["frames"]]
    (found,) = (p for p in document["profiles"] if p["name"] == profile)
    return {
        tuple(names[number] for number in sample): weight
        for sample, weight in zip(found["samples"], found["weights"], strict=True)
    }


@pytest.mark.parametrize("name", answers.ALL)
@pytest.mark.parametrize("census", [True, False])
def test_every_answer_is_a_valid_file(name, census):
    jsonschema = pytest.importorskip("jsonschema")
    document = told(answers.ALL[name], census)
    jsonschema.validate(document, SHAPE)
    frames = len(document["shared"]["frames"])
    for profile in document["profiles"]:
        assert len(profile["samples"]) == len(profile["weights"])
        assert profile["endValue"] == pytest.approx(sum(profile["weights"]))
        assert all(weight > 0.0 for weight in profile["weights"])
        assert all(0 <= number < frames for sample in profile["samples"] for number in sample)


def test_gains_are_time_per_unit_below_the_path_in_the_tree():
    document = told(answers.PYTHON_BOUND)
    gains = stacks(document, "gain per token")
    assert gains == {
        (
            *("*:*", "gpu_serving.*:*", "gpu_serving.sampler:*", "gpu_serving.sampler:Sampler.*"),
            answers.SAMPLE,
        ): pytest.approx(0.309 * answers.T0 * 1e9),
        (
            *("*:*", "gpu_serving.*:*", "gpu_serving.detokeniser:*"),
            answers.DETOK,
        ): pytest.approx(0.146 * answers.T0 * 1e9),
    }
    frame = next(f for f in document["shared"]["frames"] if f["name"] == answers.SAMPLE)
    assert frame["file"] == "/srv/app/gpu_serving/sampler.py"
    assert frame["line"] == 12


def test_own_time_on_cpu_and_waiting_are_told_apart():
    document = told(answers.PYTHON_BOUND)
    waiting = stacks(document, "own time waiting per token")
    assert list(waiting.values()) == [pytest.approx(1.1e6)]
    on_cpu = stacks(document, "own time on CPU per token")
    assert sum(on_cpu.values()) == pytest.approx(5.974e6)


def test_a_group_gains_what_it_gains_together():
    gains = stacks(told(answers.CO_CRITICAL), "gain per token")
    assert sum(gains.values()) == pytest.approx((0.92 + 0.91) / 2 * answers.T0 * 1e9)


def test_a_subtree_is_one_entry_below_what_its_members_share():
    members = (answers.SAMPLE, answers.DETOK)
    found = answers.finding("2 functions of it", 0.4, kind="subtree", functions=members)
    gains = stacks(told(replace(answers.PYTHON_BOUND, sensitive=(found,))), "gain per token")
    assert list(gains) == [("*:*", "gpu_serving.*:*", "2 functions of it")]


def test_names_can_be_seen():
    document = json.loads(speedscope(hostile.evidence(take_census(hostile.ANSWER))))
    assert all(frame["name"].isprintable() for frame in document["shared"]["frames"])
    assert any(frame["name"] == hostile.LAMBDA for frame in document["shared"]["frames"])
