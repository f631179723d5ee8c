"""The plan files beside a summary: each slows one finding, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import answers
import pytest

from bisector.reproduction import write_plans
from injector.plan import Plan

EVENT_NS = {"entry": 20.0, "site": 25.0}


def test_each_finding_gets_a_plan_with_its_dose_and_only_its_functions(tmp_path):
    plans = write_plans(answers.PYTHON_BOUND, EVENT_NS, tmp_path / "plans")
    assert set(plans) == {answers.SAMPLE, answers.DETOK}
    plan = Plan.from_json(Path(plans[answers.DETOK]).read_text("utf-8"))
    assert {dose.target for dose in plan.doses} == {answers.DETOK}
    per_call_ns = sum(site.delay_ns for dose in plan.doses for site in dose.sites)
    assert per_call_ns == pytest.approx(0.98e6 / 3 * 0.25)
    assert plan.event_ns == EVENT_NS


def test_a_subtree_is_slowed_whole(tmp_path):
    members = (answers.SAMPLE, answers.DETOK)
    found = answers.finding("gpu_serving.*:*", 0.4, kind="subtree", functions=members)
    plans = write_plans(replace(answers.PYTHON_BOUND, sensitive=(found,)), EVENT_NS, tmp_path)
    plan = Plan.from_json(Path(plans["gpu_serving.*:*"]).read_text("utf-8"))
    assert {dose.target for dose in plan.doses} == set(members)


def test_a_fixed_delay_needs_no_plan_and_leaves_no_folder(tmp_path):
    classic = answers.finding(answers.SAMPLE, 0.3, delay_ns=10_000.0)
    answer = replace(answers.PYTHON_BOUND, sensitive=(classic,))
    assert write_plans(answer, EVENT_NS, tmp_path / "plans") == {}
    assert not (tmp_path / "plans").exists()


def test_hostile_and_similar_names_get_files_of_their_own_in_the_folder(tmp_path):
    names = [answers.HOSTILE, "a:/../../b", "a:b", "a b", "", "x" * 500]
    answer = replace(answers.PYTHON_BOUND, sensitive=tuple(answers.finding(n, 0.1) for n in names))
    plans = write_plans(answer, EVENT_NS, tmp_path)
    assert len(set(plans.values())) == len(names)
    assert {Path(p).parent for p in plans.values()} == {tmp_path}
    assert all(Path(p).is_file() for p in plans.values())
