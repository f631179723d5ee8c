"""Names that want to be more than names, shared by the tests of all reports."""

from __future__ import annotations

from dataclasses import replace

import answers

from bisector.answer import Unresolved
from bisector.evidence import Evidence, measured
from bisector.observations import RunObserved, RunRequest
from bisector.schema import Hint
from bisector.summary import summarize

SCRIPT = "</script><script>alert(1)</script>:run"
LAMBDA = "pkg.mod:outer.<locals>.<lambda>"
IMAGE = "<img src=x onerror=alert(1)>.m:<b>bold</b>"
FORMULA = "a&lt;b:%{label} $x^2$"
TURNED = "turned\u202emod:\u05e9\u05dc\u05d5\u05dd.\u200f\u2028\u2066end\x1b[31m\x00"
MARKED = "`tick`|pipe|.m:*star* [link](http://x.y) ![i](j) @torvalds #1 !2 :smile: \\"
STRUCK = "~~x~~.__bold__:_it_ deadbeefcafe1234 1. - [x] $y$ <!--"
CALLING = "ping @octocat/x:GH-12 org/repo#3 JIRA-4 www.evil.example me@evil.example :tada: &5 %6 ~7"
NAMES = (SCRIPT, LAMBDA, IMAGE, FORMULA, TURNED, MARKED, STRUCK, CALLING)


def hints(function):
    """Lines of source that want to be more than that."""
    return [
        Hint(
            kind="loop",
            line=7,
            text=f"a loop in Python over {name}",
            source=f"for x in {name}:",
            target=function.target,
            file=function.file,
        )
        for name in NAMES
    ]


ANSWER = replace(
    answers.PYTHON_BOUND,
    discovery=replace(
        answers.DISCOVERY,
        functions=tuple(answers.function(n, 1.0 + i, wait_ms=0.3) for i, n in enumerate(NAMES)),
    ),
    sensitive=(
        answers.finding(SCRIPT, 0.3),
        answers.finding(LAMBDA, 0.2, with_=[IMAGE]),
        answers.finding(IMAGE, 0.2, with_=[LAMBDA]),
        answers.finding("everything | of `it`", 0.1, kind="subtree", functions=(FORMULA, TURNED)),
    ),
    insensitive=(answers.pruned(MARKED, [MARKED], 0.01),),
    unresolved=(Unresolved(STRUCK, (STRUCK,), f"<i>why</i> {MARKED}\n# no heading"),),
    certificate=replace(answers.HELD, notes=NAMES),
    warnings=NAMES,
)
CONTEXT = replace(
    answers.CONTEXT,
    command=("python", *NAMES),
    environment={"<b>key</b>": SCRIPT, "mode": "live"},
    settings={"include": list(NAMES)},
    run_directory=f"/tmp/{MARKED}",
    hints=hints,
)
SUMMARY = summarize(ANSWER, CONTEXT)


def evidence(census):
    """With experiments of those names that failed for such reasons."""
    rows = [
        (
            RunRequest(n, "search", 1, frozenset([name]), dose=0.25, label=name),
            RunObserved(n, "failed", 1.0, 1.0, reason=name),
        )
        for n, name in enumerate(NAMES)
    ]
    return Evidence(SUMMARY, census, measured(rows))
