import math

import pytest

from bisector.rates import find_rates


@pytest.mark.parametrize(
    ("line", "label", "unit", "value"),
    [
        ("123.4 tokens/s", "", "tokens/s", 123.4),
        ("throughput: 1,234.5 tokens/s", "throughput", "tokens/s", 1234.5),
        ("did 12 requests per second", "did", "requests/s", 12),
        ("1.2e5 ops/sec", "", "ops/s", 1.2e5),
        ("3.4k items/second", "", "items/s", 3400),
        ("5.1M rows/s", "", "rows/s", 5.1e6),
        ("100%|██| 500/500 [00:10<00:00, 123.45it/s]", "", "it/s", 123.45),
        ("throughput: 123.4", "throughput", "units/s", 123.4),
        ("Throughput (req/s): 12.3", "Throughput", "req/s", 12.3),
        ("Output token throughput (tok/s):   1234.56", "Output token throughput", "tok/s", 1234.56),
        ("tokens/s = 123", "tokens/s", "tokens/s", 123),
        ('  "tokens_per_second": 123,', "tokens_per_second", "tokens/s", 123),
        ("Requests per second:  433.1 [#/sec] (mean)", "Requests per second", "Requests/s", 433.1),
        ("QPS 42", "QPS", "queries/s", 42),
        ("10 tokens in 3.2 s (3.1 tokens/s)", "", "tokens/s", 3.1),
    ],
)
def test_usual_forms(line, label, unit, value):
    (rate,) = find_rates(line)
    assert (rate.label, rate.unit) == (label, unit)
    assert rate.value == pytest.approx(value)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "2.5s/it",
        "took 3.5 s",
        "size 12 MB",
        "step 3/10",
        "info/s",
        "v1.2.3/s",
        "a/b/c 5",
        "12 s/s",
    ],
)
def test_what_is_no_rate(line):
    assert find_rates(line) == []


def test_a_rate_that_is_no_number_is_still_that_rate():
    (rate,) = find_rates("throughput: nan tokens/s")
    assert math.isnan(rate.value)
    (rate,) = find_rates("throughput: -12.5 tokens/s")
    assert rate.value == -12.5


def test_a_progress_bar_rewrites_its_line():
    rates = find_rates("10%  1.0it/s\r50%  2.0it/s\r100%  3.0it/s\n")
    assert [rate.value for rate in rates] == [1.0, 2.0, 3.0]


def test_a_line_without_end_does_not_take_forever():
    assert find_rates("1,234" * 400_000) == []
