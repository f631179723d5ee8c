"""What became of each function, and what was measured: what reports show beside the summary."""

from __future__ import annotations

from dataclasses import replace

import answers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisector.answer import Answer
from bisector.census import Census, take_census
from bisector.evidence import measured
from bisector.observations import RunObserved, RunRequest
from bisector.reporting.html.branches import grow


def verdicts(census):
    return {
        census.members[number].target: judgement
        for judgement in census.judgements
        for number in judgement.functions
    }


@pytest.mark.parametrize("name", answers.ALL)
def test_it_reads_back_as_it_was_written(name):
    census = take_census(answers.ALL[name])
    assert Census.model_validate_json(census.model_dump_json()) == census


@pytest.mark.parametrize("name", answers.ALL)
def test_every_function_is_in_it_once_and_judged_at_most_once(name):
    census = take_census(answers.ALL[name])
    targets = [member.target for member in census.members]
    assert len(targets) == len(set(targets))
    judged = [number for judgement in census.judgements for number in judgement.functions]
    assert len(judged) == len(set(judged))


def test_each_has_its_verdict_with_interval_bound_or_reason():
    found = verdicts(take_census(answers.PYTHON_BOUND))
    assert found[answers.SAMPLE].verdict == "sensitive"
    assert found[answers.SAMPLE].estimated_gain.ci95 == pytest.approx((0.297, 0.321))
    assert found[answers.PREPARE].verdict == "insensitive"
    assert found[answers.PREPARE].gain_upper95 == 0.004
    assert found[answers.MAIN].reason == "its only call lies before the window"
    assert found["json.decoder:f3"].reason == "not_called"


def test_what_matters_counts_more_than_what_was_thought_before():
    twice = answers.pruned("gpu_serving.*:*", [answers.SAMPLE, answers.TICK], 0.5)
    answer = replace(answers.PYTHON_BOUND, insensitive=(twice,))
    assert verdicts(take_census(answer))[answers.SAMPLE].verdict == "sensitive"


def test_of_nothing_there_is_none():
    assert take_census(Answer()).members == []


PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4)


@given(
    st.lists(st.tuples(PATHS, PATHS, st.floats(0.0, 5.0)), min_size=1, max_size=60),
    st.integers(1, 40),
)
def test_a_thinned_tree_loses_neither_functions_nor_time(functions, branches):
    found = {f"{'.'.join(module)}:{'.'.join(name)}": own for module, name, own in functions}
    discovery = replace(
        answers.DISCOVERY,
        functions=tuple(answers.function(target, own) for target, own in found.items()),
    )
    half = tuple(found)[::2]
    answer = Answer(discovery=discovery, insensitive=(answers.pruned("x", half, 0.1),))
    root = grow(take_census(answer), branches)
    assert root.functions == len(found)
    assert root.own_ns == pytest.approx(sum(found.values()) * 1e6)

    def check(branch):
        if branch.children:
            assert sum(b.functions for b in branch.children) == branch.functions
            assert sum(b.own_ns for b in branch.children) == pytest.approx(branch.own_ns)
        for child in branch.children:
            check(child)

    check(root)


def run(seq, block, time_s, targets=(), **more):
    request = RunRequest(seq, "search", block, frozenset(targets), dose=0.25 if targets else 0.0)
    return request, RunObserved(seq, "ok", 0.0, 0.3, 1 / time_s, time_s, **more)


def test_a_run_is_compared_with_the_undelayed_ones_of_its_block():
    rows = measured(
        [run(1, 1, 0.010), run(2, 1, 0.0125, "a"), run(3, 2, 0.020), run(4, 2, 0.025, "a")]
    )
    assert [row.change for row in rows] == [None, pytest.approx(-0.2), None, pytest.approx(-0.2)]


def test_where_its_block_has_none_with_all():
    rows = measured([run(1, 1, 0.010), run(2, 2, 0.020, "a")])
    assert rows[1].change == pytest.approx(-0.5)


def test_sets_are_told_apart_that_have_the_same_name():
    rows = measured([run(1, 1, 0.010, "ab"), run(2, 1, 0.010, "ac"), run(3, 1, 0.010, "ba")])
    assert rows[0].set == rows[2].set != rows[1].set
