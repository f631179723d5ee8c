import os

import pytest

from bisector.errors import UsageError
from bisector.settings import Settings, read_settings


def read(**options):
    return read_settings("bench.py", (), options)


def test_options_become_values_in_base_units():
    settings = read(budget="1h30m", delay="10us", min_gain="2%", threshold="0.1", seed="7")
    assert settings.budget_s == 5400
    assert settings.delay_ns == pytest.approx(10_000)
    assert (settings.min_gain, settings.threshold, settings.seed) == (0.02, 0.1, 7)


def test_what_is_not_given_has_the_documented_default():
    settings = read()
    assert (settings.budget_s, settings.metric, settings.dose) == (600, "auto", None)
    assert (settings.min_gain, settings.threshold, settings.confidence) == (0.01, 0.05, 0.95)


def test_script_and_command_forms():
    assert read_settings("bench.py", ["--fast"]).command_line == ("bench.py", "--fast")
    assert read_settings(None, ["make", "bench"]).command_line == ("make", "bench")


def test_the_working_directory_and_the_seed_are_settled_when_the_settings_are_made(tmp_path):
    settings = read()
    assert settings.cwd == os.getcwd()
    assert settings.seed != read().seed
    elsewhere = read(cwd=str(tmp_path))
    assert elsewhere.cwd == str(tmp_path)
    assert elsewhere.script == os.path.abspath("bench.py")


def test_settings_come_back_from_the_journal_as_they_were():
    settings = read(env=["A=1", "B=x=y"], include=["a.*:*"], dose="25%", warmup="1s")
    assert settings.env == (("A", "1"), ("B", "x=y"))
    assert Settings(**settings.model_dump(mode="json")) == settings


def test_keywords_may_be_single_values_and_numbers():
    settings = read(include="a.*:*", env={"A": "1"}, min_gain=0.02)
    assert settings.include == ("a.*:*",)
    assert settings.env == (("A", "1"),)
    assert settings.min_gain == 0.02


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("budget", "soon", "--budget: 'soon' is not a time"),
        ("budget", "600", "--budget: '600' has no unit"),
        ("budget", "10ms", "--budget: '10ms' is out of range"),
        ("budget", 600, "--budget: 600 is not text; write a time such as '90s'"),
        ("delay", "10", "--delay: '10' has no unit"),
        ("delay", "0us", "--delay: '0us' is out of range"),
        ("min_gain", "lots", "--min-gain: 'lots' is not a fraction"),
        ("threshold", "5", "--threshold: '5' is out of range"),
        ("confidence", "95", "--confidence: '95' is out of range"),
        ("confidence", "nan", "--confidence: 'nan' is not a fraction"),
        ("dose", "-25%", "--dose: '-25%' is not a fraction"),
        ("seed", "x", "--seed: 'x' is not a whole number"),
        ("seed", "-1", "--seed: '-1' is out of range"),
        ("mode", "alive", "--mode: 'alive' is not a mode"),
        ("strategy", "guess", "--strategy: there is no strategy 'guess'; give one of bisect, "),
        ("metric", "speed", "--metric: 'speed' is not a metric"),
        ("metric", "regex:(", "--metric: the pattern '(' is not a regular expression"),
        ("metric", "regex:x", "--metric: the pattern 'x' has no group"),
        ("metric", "json:", "--metric: 'json:' names no key"),
        ("metric", "progress:main", "--metric: 'progress:main' names no function"),
        ("include", ["nocolon"], "--include: 'nocolon' has no ':'"),
        ("exclude", ["a b:c"], "--exclude: 'a b:c' is not module_glob:qualname_glob"),
        ("env", ["NOVALUE"], "--env: 'NOVALUE' is not NAME=VALUE"),
        ("env", ["SPEEDBUMP_BISECT=x"], "--env: SPEEDBUMP_BISECT is this tool's own"),
        ("cwd", "/no/such/place", "--cwd: '/no/such/place' is not a directory"),
        ("timeout", "", "--timeout: '' is empty"),
        ("nonsense", "1", "there is no option 'nonsense'"),
    ],
)
def test_a_bad_value_is_one_sentence_with_option_and_value(option, value, sentence):
    with pytest.raises(UsageError) as caught:
        read(**{option: value})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_options_that_exclude_each_other_are_refused():
    with pytest.raises(UsageError, match="--dose and --delay exclude each other"):
        read(dose="25%", delay="10us")
    with pytest.raises(UsageError, match="--python goes with a script"):
        read_settings(None, ["make"], {"python": "python3"})


def test_nothing_to_run_says_how_to_name_it():
    with pytest.raises(UsageError, match=r"no benchmark given; write speedbump-bisect bench\.py"):
        read_settings(None, None)
