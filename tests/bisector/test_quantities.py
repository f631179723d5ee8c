import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisector.quantities import format_fraction, format_time, parse_fraction, parse_time

SECONDS = st.floats(min_value=1e-9, max_value=1e7) | st.integers(1, 10**7).map(float)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90s", 90),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1m30s", 90),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("100ns", 1e-7),
        ("5min", 300),
        ("0", 0),
    ],
)
def test_times_as_people_write_them(text, seconds):
    assert parse_time(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "h", "2x", "-5s", "1m1h", "5s5s", "nan", "infs", "1e3s", "5 s x"]
)
def test_what_is_not_a_time_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"is not a time.*write 90s"):
        parse_time(text)


def test_a_time_without_unit_is_refused_rather_than_guessed():
    with pytest.raises(ValueError, match=r"'600' has no unit .write 600s"):
        parse_time("600")


@given(SECONDS)
def test_a_formatted_time_is_read_back(seconds):
    assert math.isclose(parse_time(format_time(seconds)), seconds, rel_tol=1e-9, abs_tol=1e-18)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7200, "2h"), (5400, "1h30m"), (90, "1m30s"), (0.25, "250ms"), (1e-5, "10us"), (0, "0s")],
)
def test_times_are_formatted_as_people_write_them(seconds, text):
    assert format_time(seconds) == text


@pytest.mark.parametrize(
    ("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("100%", 1), ("2.5 %", 0.025), ("0", 0)]
)
def test_fractions_as_people_write_them(text, value):
    assert parse_fraction(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "%", "five", "-1%", "5%%", "nan", "5 percent"])
def test_what_is_not_a_fraction_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"is not a fraction .write 5% or 0\.05"):
        parse_fraction(text)


@given(st.floats(min_value=1e-6, max_value=10))
def test_a_formatted_fraction_is_read_back(fraction):
    assert math.isclose(parse_fraction(format_fraction(fraction)), fraction, rel_tol=1e-9)
