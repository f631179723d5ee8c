import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisector.metric import Metric, MetricError, MetricSpec, RunOutput, resolve
from bisector.point import Point, time_on_the_way_ns
from injector.records import Entry, ProcessRecord


def output(stdout="", stderr="", wall_s=2.0, records=()):
    return RunOutput(stdout, stderr, wall_s, tuple(records))


def value(text, out, lower_is_better=False):
    return resolve(MetricSpec.parse(text), lower_is_better, out).value(out)


def progress(*points):
    return [
        ProcessRecord(
            {}, [Entry("progress", 1, {"target": "m:f"}, (n, 0, 0, 0, 0, 0, first, last))]
        )
        for n, first, last in points
    ]


class TestTime:
    def test_it_is_the_wall_time_and_the_whole_run_is_the_unit(self):
        metric = resolve(MetricSpec.parse("time"), False, output(wall_s=3.0))
        assert metric.is_time
        assert metric.value(output(wall_s=4.0)) == 4.0
        assert metric.time_per_unit_s(4.0, output()) == 4.0


class TestRegex:
    def test_the_last_match_counts_and_standard_output_comes_first(self):
        out = output(stdout="rate=1\nrate=2\n", stderr="rate=3")
        assert value("regex:rate=(.*)", out) == 2
        assert value("regex:rate=(.*)", output(stderr="rate=3")) == 3

    def test_thousands_separators_are_read(self):
        assert value(r"regex:rate: (\S+)", output("rate: 1,234.5")) == 1234.5

    def test_a_latency_followed_by_a_unit_of_time_is_read_in_it(self):
        spec, out = MetricSpec.parse(r"regex:latency ([\d.]+)"), output("latency 12.5 ms")
        metric = resolve(spec, True, out)
        assert metric.time_per_unit_s(metric.value(out), out) == pytest.approx(0.0125)

    def test_no_match_and_no_number_say_so(self):
        with pytest.raises(MetricError, match="printed no metric: nothing in its output matches"):
            value("regex:rate=(.*)", output("hello"))
        with pytest.raises(MetricError, match="is not a number: 'fast'"):
            value("regex:rate=(.*)", output("rate=fast"))


class TestJson:
    def test_the_last_document_counts_whatever_else_is_printed(self):
        out = output('{"r": 1}\nlog [info] {x}\n{\n  "r": {"a": [5, 2.5]}\n}\nbye\n')
        assert value("json:r.a.1", out) == 2.5
        assert value("json:r.a.-1", out) == 2.5

    def test_missing_and_not_numeric_say_so(self):
        with pytest.raises(MetricError, match="no JSON on its standard output"):
            value("json:r", output("nothing"))
        with pytest.raises(MetricError, match="has no 'r' for json:r"):
            value("json:r", output('{"q": 1}'))
        with pytest.raises(MetricError, match="is not a number: 'True'"):
            value("json:r", output('{"r": true}'))

    def test_a_document_that_is_deep_or_torn_is_skipped(self):
        assert value("json:r", output("[" * 100_000 + '\n{"r": 3}\n{"r": ')) == 3


class TestProgress:
    def test_calls_per_second_between_the_first_and_the_last_over_all_processes(self):
        records = progress((5, 1_000_000_000, 2_000_000_000), (6, 1_500_000_000, 3_000_000_000))
        assert value("progress:m:f", output(records=records)) == pytest.approx(10 / 2.0)

    @pytest.mark.parametrize(("calls", "words"), [(0, "never called"), (1, "called once")])
    def test_a_point_that_does_not_progress_says_so(self, calls, words):
        with pytest.raises(MetricError, match=words):
            value("progress:m:f", output(records=progress((calls, 5, 5))))


class TestAuto:
    def test_a_printed_rate_is_taken(self):
        metric = resolve(MetricSpec.parse("auto"), False, output("throughput: 120.5 tokens/s\n"))
        assert (metric.name, metric.unit, metric.kind) == ("throughput", "tokens/s", "rate")
        assert metric.higher_is_better
        assert metric.time_per_unit_s(100.0, output()) == 0.01

    def test_what_calls_itself_throughput_goes_before_what_comes_last(self):
        out = output("throughput: 120 tokens/s\nprompt: 7 tokens/s\n")
        assert value("auto", out) == 120

    def test_without_a_rate_it_is_the_time(self):
        assert resolve(MetricSpec.parse("auto"), False, output("done in 3 s")).is_time

    def test_a_latency_is_never_taken_for_a_rate(self):
        assert resolve(MetricSpec.parse("auto"), True, output("5 tokens/s")).is_time

    def test_once_resolved_it_stays_what_it_is(self):
        metric = resolve(MetricSpec.parse("auto"), False, output("throughput: 120 tokens/s"))
        again = Metric(**json.loads(json.dumps(metric.to_dict())))
        assert again == metric
        assert again.value(output("prompt: 9 tokens/s\nthroughput: 80 tokens/s\n")) == 80
        with pytest.raises(MetricError, match="printed no throughput tokens/s this time"):
            again.value(output("done in 3 s"))


@pytest.mark.parametrize(
    ("printed", "complaint"),
    [
        ("0", "is zero"),
        ("0.0", "is zero"),
        ("-12.5", "is negative: -12.5"),
        ("nan", "is not a number"),
        ("inf", "is infinite"),
        ("1e-320", "as good as zero"),
    ],
)
@pytest.mark.parametrize("spec", ["auto", r"regex:throughput: (\S+)", "json:r"])
def test_what_is_no_positive_number_never_becomes_one(spec, printed, complaint):
    if spec == "json:r":
        spoken = {"nan": "NaN", "inf": "Infinity"}.get(printed, printed)
        text = f'{{"r": {spoken}}}'
    else:
        text = f"throughput: {printed} steps/s"
    with pytest.raises(MetricError, match=complaint):
        value(spec, output(text))


def passing(**times_ms):
    """One process that passed `m:begin` and `m:end` at these times."""
    entries = []
    for slot, (name, times) in enumerate(times_ms.items(), 1):
        at = [round(t * 1e6) for t in times]
        moments = sum(at) % (1 << 64)
        counters = (len(at), 0, 0, moments, 0, 0, min(at, default=0), max(at, default=0))
        entries.append(Entry("progress", slot, {"target": f"m:{name}"}, counters))
    return ProcessRecord({}, entries)


class TestLatency:
    SPEC = "latency:m:begin,m:end"

    def test_it_is_the_mean_time_from_one_call_to_the_other(self):
        metric = resolve(
            MetricSpec.parse(self.SPEC),
            False,
            out := output(records=[passing(begin=[1, 20, 40], end=[5, 24, 44])]),
        )
        assert metric.value(out) == pytest.approx(0.004)
        assert metric.in_flight == 1.0
        assert metric.time_per_unit_s(metric.value(out), out) == pytest.approx(0.004)
        assert metric.time_between_s(metric.value(out), out) == pytest.approx(0.0195)
        assert not metric.higher_is_better

    def test_it_does_not_matter_which_end_belongs_to_which_beginning(self):
        together = output(records=[passing(begin=[0, 0, 0, 10], end=[4, 8, 12, 16])])
        metric = resolve(MetricSpec.parse(self.SPEC), False, together)
        assert metric.value(together) == pytest.approx(0.0075)
        assert metric.in_flight == pytest.approx(4 * 7.5 / 16)

    def test_of_many_at_once_each_is_a_share_of_the_time(self):
        many = output(records=[passing(begin=[0] * 10, end=list(range(1, 11)))])
        metric = resolve(MetricSpec.parse(self.SPEC), False, many)
        assert metric.in_flight == pytest.approx(5.5)
        assert metric.time_per_unit_s(metric.value(many), many) == pytest.approx(0.001)

    def test_times_of_day_may_be_large(self):
        uptime = 10**9
        times = {"begin": [uptime + t for t in range(0, 1000, 10)]}
        out = output(records=[passing(**times, end=[t + 3 for t in times["begin"]])])
        assert value(self.SPEC, out) == pytest.approx(0.003)

    def test_what_cannot_be_a_latency_is_said(self):
        with pytest.raises(MetricError, match="m:begin was never called"):
            value(self.SPEC, output(records=[passing(begin=[], end=[1, 2])]))
        with pytest.raises(MetricError, match="do not end what those begin"):
            value(self.SPEC, output(records=[passing(begin=[5], end=[1, 2, 9])]))

    @pytest.mark.parametrize(
        "text", ["latency:", "latency:m:f", "latency:m:f,m:f", "latency:m:f,g", "latency:a b"]
    )
    def test_two_functions_have_to_be_named(self, text):
        with pytest.raises(ValueError, match="does not name two functions"):
            MetricSpec.parse(text)

    def test_a_name_stands_for_marks(self):
        assert MetricSpec.parse("latency:request").point == Point(
            "bisector.mark:end.request", "bisector.mark:begin.request"
        )


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**5)), min_size=1, max_size=20),
    st.integers(0, 1 << 64),
)
def test_the_time_on_the_way_is_that_of_each_added_up(units, uptime):
    """Against the obvious: whatever the time of day, and also beyond what 64 bits hold."""
    begun = [uptime + begin for begin, _ in units]
    ended = [uptime + begin + lasts for begin, lasts in units]
    now = max(ended)
    wrap = 1 << 64
    on_the_way = time_on_the_way_ns(
        len(begun), len(ended), sum(begun) % wrap, sum(ended) % wrap, now % wrap
    )
    assert on_the_way == sum(lasts for _, lasts in units)
