from __future__ import annotations

import pytest

from injector.patterns import PatternError, parse


@pytest.mark.parametrize(
    ("pattern", "module", "name"),
    [
        ("*:*", "any.module", "Class.method"),
        ("numpy.*:*", "numpy", "dot"),
        ("numpy.*:*", "numpy.linalg", "norm"),
        ("pkg.mod:Class.*", "pkg.mod", "Class.method"),
        ("pkg.mod:Class.*", "pkg.mod", "Class.method.<locals>.inner"),
        ("pkg.mod:f?[ab]", "pkg.mod", "f1a"),
        ("pkg.mod:f[!ab]", "pkg.mod", "fc"),
        ("__main__:<module>", "__main__", "<module>"),
        ("m:a.<locals>.<lambda>", "m", "a.<locals>.<lambda>"),
        ("m:odd[name", "m", "odd[name"),
    ],
)
def test_a_pattern_means_these(pattern: str, module: str, name: str) -> None:
    assert parse([pattern]).matches(module, name)


@pytest.mark.parametrize(
    ("pattern", "module", "name"),
    [
        ("numpy.*:*", "numpyro", "dot"),
        ("numpy:*", "numpy.linalg", "norm"),
        ("pkg.mod:Class.*", "pkg.mod", "Class"),
        ("pkg.mod:Class.*", "pkg.mod", "Classic.method"),
        ("pkg.mod:run", "pkg.mod", "run_all"),
        ("pkg.mod:run", "pkg_mod", "run"),
    ],
)
def test_a_pattern_does_not_mean_these(pattern: str, module: str, name: str) -> None:
    assert not parse([pattern]).matches(module, name)


@pytest.mark.parametrize(
    "pattern", ["pkg/mod.py:f", "mod.py:f", "*/pkg/*:f", "/src/pkg/mod.py:f", "/src/*:f"]
)
def test_a_slash_or_py_at_the_end_makes_it_the_path_of_the_file(pattern: str) -> None:
    assert parse([pattern]).matches("whatever", "f", "/src/pkg/mod.py")
    assert not parse([pattern]).matches("whatever", "f", "/other/other.pyx")


def test_the_last_line_that_matches_decides() -> None:
    patterns = parse(["app.*:*", "!app.log:*  # noise", "", "# only a comment", "app.log:flush"])
    assert patterns.matches("app.core", "run")
    assert not patterns.matches("app.log", "debug")
    assert patterns.matches("app.log", "flush")
    assert not patterns.matches("other", "run")
    assert patterns.sources == ("app.*:*", "!app.log:*", "app.log:flush")


def test_nothing_matches_nothing() -> None:
    assert not parse([])
    assert not parse(["# nothing"]).matches("a", "b")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["app:*", "just_a_name"], "line 2: 'just_a_name' has no ':'"),
        (["app:"], "line 1: 'app:'"),
        ([":f"], "line 1: ':f'"),
        (["!"], "line 1: '!' has no ':'"),
        (["app:f g"], "without spaces"),
    ],
)
def test_what_is_no_pattern_is_named_with_its_line(lines: list[str], said: str) -> None:
    with pytest.raises(PatternError) as caught:
        parse(lines)
    assert said in str(caught.value)
    assert "module" in str(caught.value)


def test_a_function_s_name_means_its_lines_only_where_the_whole_is_asked_for() -> None:
    patterns = parse(["m:f", "!m:f@7"])
    assert not patterns.matches("m", "f@6")
    assert patterns.matches("m", "f@6", whole=True)
    assert not patterns.matches("m", "f@7", whole=True)
    assert patterns.matches("m", "f", whole=True)
    assert parse(["m:f@*"]).matches("m", "f@6")
