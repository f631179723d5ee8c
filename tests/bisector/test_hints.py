"""Hints: what a line of source shows, when nothing is said, and that reading it is safe."""

from __future__ import annotations

import ast
import os
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bisector.discovery import Function
from bisector.hints.source import LARGEST_BYTES, MOST_NODES, Sources

ROOT = Path(__file__).parents[2]
LATER = datetime.now(UTC) + timedelta(days=1)

COMPUTES = (1e-3, 0.0, 0.0)
RELEASES = (1e-4, 1e-3, 0.0)
WAITS = (1e-4, 0.0, 1e-3)


def function(path, name="f", line=1, spent=COMPUTES, kind="function", module="app"):
    gil_s, nogil_s, wait_s = spent
    return Function(f"{module}:{name}", str(path), line, 1.0, gil_s, nogil_s, wait_s, kind=kind)


@pytest.fixture
def hints(tmp_path):
    """The hints of a function ``f`` of a file whose text is given without indent."""

    def of(text, spent=COMPUTES, name="f", module="app", kind="function", line=None):
        text = textwrap.dedent(text).lstrip("\n")
        path = tmp_path / "app.py"
        path.write_text(text, "utf-8")
        if line is None:
            last = name.rpartition(".")[2]
            lines = text.splitlines()
            line = next(i for i, at in enumerate(lines, 1) if f"def {last}(" in at)
        return Sources(LATER, tmp_path).hints(function(path, name, line, spent, kind, module))

    return of


SHOWN = [
    # what the source is, what it did, kind, a word of the clause
    (
        "import torch\ndef f(x):\n    return x.argmax().item()",
        RELEASES,
        "synchronisation",
        ".item()",
    ),
    ("import torch\ndef f(x):\n    return x.cpu()", WAITS, "synchronisation", "x.cpu()"),
    ("import cupy\ndef f(x):\n    return x.tolist()", WAITS, "synchronisation", "x.tolist()"),
    ("def f(s):\n    s.synchronize()", WAITS, "synchronisation", "s.synchronize()"),
    ("import torch\ndef f():\n    torch.cuda.synchronize()", WAITS, "synchronisation", "device"),
    ("import time\ndef f():\n    time.sleep(1)", WAITS, "waiting", "time.sleep()"),
    ("from time import sleep\ndef f():\n    sleep(1)", WAITS, "waiting", "sleep()"),
    ("def f(q):\n    return q.get()", WAITS, "waiting", "q.get()"),
    ("def f(q):\n    return q.get(timeout=3)", WAITS, "waiting", "q.get()"),
    ("def f(c):\n    return c.recv()", WAITS, "waiting", "the other side"),
    ("def f(p):\n    return p.submit(g).result()", WAITS, "waiting", ".result()"),
    ("def f(t):\n    t.join()", WAITS, "waiting", "has ended"),
    ("def f(self):\n    with self._lock:\n        pass", WAITS, "lock", "self._lock"),
    ("def f(m):\n    with m.write_lock_, m.mutex:\n        g()", WAITS, "lock", "m.write_lock_"),
    ("def f(m):\n    with m.stateLock:\n        g()", WAITS, "lock", "m.stateLock"),
    ("def f(self):\n    with self.condition:\n        g()", WAITS, "lock", "self.condition"),
    ("def f(m):\n    m.acquire()", WAITS, "lock", "m.acquire()"),
    (
        "import numpy as np\ndef f(rows):\n    x = np.array([])\n    for r in rows:\n"
        "        x = np.append(x, r)",
        COMPUTES,
        "allocation",
        "x grows by being copied",
    ),
    (
        "import torch\ndef f(rows, out):\n    for r in rows:\n        out = torch.cat([out, r])",
        RELEASES,
        "allocation",
        "out grows",
    ),
    (
        "def f(rows):\n    x = []\n    for r in rows:\n        x = x + [g(r)]\n    return x",
        COMPUTES,
        "allocation",
        "x grows",
    ),
    (
        "def f(rows):\n    x = b''\n    while rows:\n        x += rows.pop()",
        COMPUTES,
        "allocation",
        "x grows",
    ),
    (
        "def f(self, rows):\n    for r in rows:\n        self.text += f'{g(r)},'",
        COMPUTES,
        "allocation",
        "self.text grows",
    ),
    (
        "import numpy\ndef f(rows):\n    for r in rows:\n        g(numpy.zeros(9))",
        COMPUTES,
        "allocation",
        "numpy.zeros() makes a new array",
    ),
    (
        "def f(rows):\n    seen = []\n    for r in rows:\n        if r not in seen:\n"
        "            seen.append(g(r))",
        COMPUTES,
        "search",
        "list seen",
    ),
    (
        "def f(x):\n    a = sum(x)\n    b = max(x)\n    return [a, b, [v / a for v in x]]",
        COMPUTES,
        "repeated_pass",
        "x is gone through 3 times (lines 2, 3, 4)",
    ),
    (
        "def f(x, rows):\n    for r in rows:\n        g(sum(x))",
        COMPUTES,
        "repeated_pass",
        "the same each time",
    ),
    (
        "def f(rows):\n    x = sorted(rows)\n    for r in rows:\n        g(list(x))",
        COMPUTES,
        "repeated_pass",
        "list() goes through x, the same each time",
    ),
    ("import pickle\ndef f(x):\n    return pickle.dumps(x)", COMPUTES, "serialisation", "bytes"),
    ("def f(rows):\n    for r in rows:\n        print(r)", COMPUTES, "logging", "print()"),
    (
        "def f(rows):\n    for r in rows:\n        logger.debug(f'row {r}')",
        COMPUTES,
        "logging",
        "whether it is logged or not",
    ),
    (
        "def f(rows):\n    for r in rows:\n        for v in r:\n            t = v * 2",
        COMPUTES,
        "loop",
        "over r, within one over rows",
    ),
    (
        "def f(x):\n    for i in range(len(x)):\n        x[i] += 1",
        COMPUTES,
        "loop",
        "a loop in Python over x",
    ),
]


@pytest.mark.parametrize(("text", "spent", "kind", "words"), SHOWN)
def test_a_sign_is_shown_with_its_line(hints, text, spent, kind, words):
    found = {hint.kind: hint for hint in hints(text, spent)}
    assert words in found[kind].text
    assert found[kind].source == text.splitlines()[found[kind].line - 1].strip()
    assert "`" not in found[kind].text


SILENT = [
    ("def f(d):\n    return d.get('key')", WAITS, "a dictionary's"),
    ("def f(parts):\n    return ','.join(parts)", WAITS, "a string's"),
    ("def f(x):\n    return x.item()", RELEASES, "no device anywhere in the file"),
    ("import torch\ndef f(x):\n    return x.item()", COMPUTES, "it was not seen to wait"),
    ("import time\ndef f():\n    time.sleep(1)", COMPUTES, "it was not seen to wait"),
    ("def f(self):\n    with self._lock:\n        g()", COMPUTES, "nobody else held it"),
    ("async def f(q):\n    return await q.get()", WAITS, "the event loop waits"),
    ("def f(lock):\n    lock.acquire(blocking=False)", WAITS, "it only tries"),
    ("def f(c):\n    with open(c) as file:\n        g(file)", WAITS, "no lock"),
    ("def f(self):\n    with self.clock:\n        g()", WAITS, "a clock"),
    ("def f(self):\n    with self.code_block:\n        g()", WAITS, "a block of code"),
    ("def f(self):\n    with self.precondition:\n        g()", WAITS, "no condition variable"),
    ("def f(time):\n    time.sleep(1)", WAITS, "not the module"),
    (
        "def f(rows):\n    x = ''\n    while rows:\n        x += 'a'",
        COMPUTES,
        "CPython lets it grow in place",
    ),
    (
        "def f(rows):\n    x = []\n    while rows:\n        x += [1]",
        COMPUTES,
        "lists grow in place",
    ),
    ("def f(x, rows):\n    while rows:\n        x = x + g()", COMPUTES, "it may be a number"),
    (
        "def f(rows):\n    for r in rows:\n        k = ':' + g(r)\n        k = ':' + k",
        COMPUTES,
        "it does not grow",
    ),
    (
        "import numpy as np\ndef f(x):\n    return np.concatenate([x, x])",
        COMPUTES,
        "once, not in a loop",
    ),
    (
        "def f(rows):\n    for r in rows:\n        g(r in ('a', 'b'))",
        COMPUTES,
        "it is short",
    ),
    (
        "def f(rows, kinds):\n    for r in rows:\n        g(r in kinds)",
        COMPUTES,
        "it may be a set",
    ),
    ("def f(x):\n    return max(x) - min(x)", COMPUTES, "two passes are usual"),
    (
        "def f(x, y):\n    if y == 1:\n        return sum(x)\n    elif y == 2:\n"
        "        return max(x)\n    else:\n        return min(x)",
        COMPUTES,
        "only one of them is done",
    ),
    (
        "def f(rows, x):\n    for r in rows:\n        x.append(r)\n        g(sum(x))",
        COMPUTES,
        "not the same each time",
    ),
    (
        "def f(x, rows):\n    for r in rows:\n        g(any(x), all(x))",
        COMPUTES,
        "they may end at the first",
    ),
    (
        "def f(x):\n    a = sum(x)\n    b = any(x)\n    return [a, b, max(x)]",
        COMPUTES,
        "two passes and a look at the first",
    ),
    (
        "def f(it, rows):\n    for r in rows:\n        g(list(it))",
        COMPUTES,
        "an iterator is at its end after the first time",
    ),
    (
        "def f(rows):\n    it = iter(rows)\n    for r in rows:\n        g(sorted(it))",
        COMPUTES,
        "an iterator is empty after the first time",
    ),
    (
        "def f(rows):\n    for r in rows:\n        if r.bad:\n            print(r)\n        g(r)",
        COMPUTES,
        "not in each turn",
    ),
    ("def f(rows):\n    for r in rows:\n        step(r)", COMPUTES, "step is where the time goes"),
    (
        "def f(rows):\n    for r in rows:\n        t = r * 2",
        (1e-6, 0.0, 0.0),
        "a microsecond is no long loop",
    ),
    ("import json\ndef f(x):\n    return json.dumps(x)", COMPUTES, "time of json's own functions"),
    ("def f():\n    def g(q):\n        return q.get()\n    return g", WAITS, "another target"),
]


@pytest.mark.parametrize(("text", "spent", "why"), SILENT, ids=[why for *_, why in SILENT])
def test_rather_nothing_than_a_guess(hints, text, spent, why):
    assert hints(text, spent) == [], why


def test_the_most_telling_comes_first_and_there_are_three_at_most(hints):
    found = hints(
        """
        import numpy as np, pickle
        def f(rows):
            seen, x = [], np.array([])
            seen = []
            for r in rows:
                print(pickle.dumps(r))
                x = np.append(x, r)
            a = sum(rows)
            b = max(rows)
            return [a, b, sorted(rows)]
        """
    )
    assert [hint.kind for hint in found] == ["allocation", "serialisation", "repeated_pass"]


@pytest.mark.parametrize("told", ["time.sleep(1)", "q.get(timeout=1)", "subprocess.run(c)"])
def test_what_surely_waits_is_more_telling_than_a_method_of_that_name(hints, told):
    (hint,) = hints(
        f"""
        import subprocess, time
        def f(q, c):
            user = current_user.get()
            {told}
        """,
        WAITS,
    )
    assert hint.source == told, "and not a context variable"


def test_methods_decorators_and_inner_functions_are_found_by_name_and_line(hints):
    text = """
        class C:
            @property
            def size(self):
                return self.q.get()

            @size.setter
            def size(self, value):
                def inner(lock):
                    lock.acquire()
                self.lock.acquire()
        """
    assert [h.kind for h in hints(text, WAITS, "C.size", line=2)] == ["waiting"]
    assert [h.kind for h in hints(text, WAITS, "C.size", line=6)] == ["lock"]
    (hint,) = hints(text, WAITS, "C.size.<locals>.inner", line=8)
    assert (hint.line, hint.source) == (9, "lock.acquire()")
    assert hints(text, WAITS, "C.size", line=3) == [], "another line than was measured"
    assert hints(text, WAITS, "D.size", line=2) == [], "another name"


def test_of_a_line_only_what_stands_in_it(hints):
    text = """
        import time
        def f(q):
            time.sleep(1)
            return q.get()
        """
    (hint,) = hints(text, WAITS, "f@4", kind="line", line=4)
    assert hint.text.startswith("q.get()")
    assert hints(text, WAITS, "f@2", kind="line", line=2) == []


def test_a_scripts_own_body_has_hints_too(hints):
    text = "total = 0\nfor index in range(9):\n    total += index\n"
    (hint,) = hints(text, name="<module>", line=1)
    assert (hint.kind, hint.line) == ("loop", 2)


@pytest.mark.parametrize(
    ("target", "spent", "kind"),
    [
        ("json.decoder:JSONDecoder.raw_decode", COMPUTES, "serialisation"),
        ("re:_compile", COMPUTES, "regex"),
        ("re._parser:_parse", COMPUTES, "regex"),
        ("copy:deepcopy", COMPUTES, "allocation"),
        ("logging:Logger._log", COMPUTES, "logging"),
        ("threading:Condition.wait", WAITS, "waiting"),
    ],
)
def test_the_standard_library_is_known_by_name(hints, target, spent, kind):
    module, _, name = target.partition(":")
    body = "class JSONDecoder:\n    def raw_decode(s): g()\nclass Logger:\n    def _log(s): g()\n"
    body += "class Condition:\n    def wait(s): g()\ndef _compile(): g()\n"
    body += "def deepcopy(): g()\ndef _parse(): g()\n"
    (hint,) = hints(body, spent, name, module)
    assert hint.kind == kind
    if spent is WAITS:
        assert hints(body, COMPUTES, name, module) == []


class TestFiles:
    TEXT = "def f(q):\n    return q.get()\n"

    def of(self, path, began=LATER, **more):
        return Sources(began, Path("/")).hints(function(path, spent=WAITS, **more))

    def test_one_that_is_as_it_was(self, tmp_path):
        path = tmp_path / "a.py"
        path.write_text(self.TEXT)
        (hint,) = self.of(path)
        assert (hint.file, hint.target) == (str(path), "app:f")

    def test_a_relative_one_is_looked_for_where_the_benchmark_ran(self, tmp_path):
        (tmp_path / "a.py").write_text(self.TEXT)
        assert Sources(LATER, tmp_path).hints(function("a.py", spent=WAITS))

    def test_one_that_was_changed_since_the_run_began(self, tmp_path):
        path = tmp_path / "a.py"
        path.write_text(self.TEXT)
        os.utime(path, (2e9, 2e9))
        assert self.of(path, datetime.fromtimestamp(1.9e9, UTC)) == []
        assert self.of(path, datetime.fromtimestamp(2.1e9, UTC)) != []

    def test_what_is_no_file_of_source(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "large.py").write_text(self.TEXT + "#" * LARGEST_BYTES)
        (tmp_path / "nul.py").write_bytes(self.TEXT.encode() + b"\0")
        (tmp_path / "broken.py").write_text(self.TEXT + "def (")
        (tmp_path / "bytes.py").write_bytes(b"\xff\xfe" + self.TEXT.encode())
        (tmp_path / "lies.py").write_text("# coding: nonsense\n" + self.TEXT)
        (tmp_path / "deep.py").write_text(self.TEXT + "x = " + "(" * 5000 + ")" * 5000)
        (tmp_path / "nested.py").write_text(self.TEXT + "x = " + "-" * 50_000 + "1")
        (tmp_path / "a").mkdir()
        names = ["pipe", "large.py", "nul.py", "broken.py", "bytes.py", "lies.py", "deep.py"]
        for name in [*names, "nested.py", "gone.py", "a", "x" * 5000, "<string>", "a\0b"]:
            assert self.of(tmp_path / name) == [], name
        assert self.of("") == []

    def test_another_encoding_that_is_declared(self, tmp_path):
        path = tmp_path / "a.py"
        path.write_bytes(
            "# coding: latin-1\n# größe\ndef f(größe):\n    größe.get()\n".encode("latin-1")
        )
        (hint,) = self.of(path, line=3)
        assert hint.source == "größe.get()"

    def test_a_huge_function_is_not_looked_through(self, tmp_path):
        path = tmp_path / "a.py"
        path.write_text("def f(q):\n    q.get()\n" + "    x = 1\n" * MOST_NODES)
        assert self.of(path) == []

    def test_reading_imports_nothing_and_warns_of_nothing(self, tmp_path, recwarn):
        path = tmp_path / "a.py"
        path.write_text(self.TEXT + "raise SystemExit('\\d')\n1 is 1\n")
        assert self.of(path)
        assert not recwarn.list


LINES = [text for text, *_ in SHOWN] + [text for text, *_ in SILENT]
JOINED = "\n".join(LINES)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_the_source_is_a_hint_is_a_line_of_it(data, tmp_path_factory):
    pieces = st.sampled_from(JOINED.splitlines()) | st.text(max_size=12)
    text = "\n".join(data.draw(st.lists(pieces, max_size=30)))
    path = tmp_path_factory.mktemp("any") / "a.py"
    path.write_text(text, "utf-8", newline="")
    sources = Sources(LATER, path.parent)
    for number in range(1, len(text.splitlines()) + 1):
        for spent in (COMPUTES, WAITS):
            for hint in sources.hints(function(path, line=number, spent=spent)):
                assert hint.source in text


@pytest.mark.parametrize(
    ("place", "target", "kind", "words"),
    [
        ("gpu_serving/serving/sampler.py", "Sampler.top_k", "loop", "over row"),
        (
            "gpu_serving/serving/detokenizer.py",
            "Detokenizer.merge_pieces",
            "loop",
            "over pieces, within one over tail",
        ),
        ("web_service/service/ranking.py", "score_all", "loop", "over range(FEATURES), within"),
        ("web_service/service/rendering.py", "snippet", "loop", "over range(TEXT_WORDS)"),
    ],
)
def test_what_limits_the_examples_has_a_true_hint(place, target, kind, words):
    path = ROOT / "examples" / place
    (name,) = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == target.rpartition(".")[2]
    ]
    (hint,) = Sources(LATER, ROOT).hints(function(path, target, name.lineno))
    assert hint.kind == kind
    assert words in hint.text
