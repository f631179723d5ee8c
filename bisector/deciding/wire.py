"""The words of a decider that is a program: one JSON object a line, version 1.

From us, each with ``"protocol": 1`` and a ``type``:

* ``problem``: a search begins. ``search`` counts from 1 (there is another where fresh runs show
  that more matters). ``items`` are what can be slowed: ``name``, ``most_gain`` (its own time as a
  share of the time per unit: it cannot gain more), ``path`` (its place in the tree, root first) and
  ``functions`` (those it stands for). ``gain`` and ``ci`` are those of all items together; an item
  matters from ``threshold`` on;
* ``outcome``: what slowing a set showed: ``items``, ``judgement`` (``sensitive``, ``insensitive``
  or ``unresolved``), ``gain``, ``ci`` (an end that is unknown is null), ``reason``;
* ``unconfirmed``: ``claims`` that were not judged sensitive;
* ``decided``: what was decided before the investigation was taken up again, in its place among
  what was told then: a decider that goes by what it was told alone decides as if it had never
  stopped;
* ``decide``: the decider has the word, and answers with exactly one line;
* ``error``: the ``message`` says why that answer cannot be taken; a new ``decide`` follows;
* ``verdict``: the end. ``verdict``, ``stop_reason``, ``headline``, ``sensitive`` and
  ``certificate`` are those of the summary.

From the decider:

* ``{"type": "probe", "sets": [["pkg.mod:Class.*"], ["pkg.a:f", "pkg.b:g"]]}``: slow each of these
  sets, side by side in a block, and judge it; sets are lists of patterns or of names of items;
* ``{"type": "done", "claims": [["pkg.a:f"]]}``: look no further. Claims may be left out; they are
  measured like probes if they were not, and count only if that shows them;
* ``{"type": "delegate"}``: the default search goes on with what is undecided, to the end.

Gains are shares of the time per unit. Other fields are ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from bisector.deciding.matching import Matching, NoItems, named
from bisector.deciding.question import Question
from bisector.schema import Summary
from strategies.decision import MOST_SETS, Decision
from strategies.protocol import Outcome

PROTOCOL = 1

Message = dict[str, Any]


class BadAnswer(ValueError):
    """An answer cannot be taken; the message, for whoever decides, says why."""


def news(question: Question) -> Iterable[Message]:
    """What a question says, as messages."""
    problem = question.problem
    if problem is not None:
        yield _message(
            "problem",
            search=question.search,
            gain=problem.gain,
            ci=[_known(problem.gain_lo), _known(problem.gain_hi)],
            threshold=problem.threshold,
            items=[
                {
                    "name": item.name,
                    "most_gain": item.mass,
                    "path": list(item.path),
                    "functions": list(question.members.get(item.name, (item.name,))),
                }
                for item in problem.items
            ],
        )
    for outcome in question.told:
        yield outcome_message(outcome)
    if question.unconfirmed:
        yield _message("unconfirmed", claims=[named(claim) for claim in question.unconfirmed])


def outcome_message(outcome: Outcome) -> Message:
    """One outcome."""
    return _message(
        "outcome",
        items=named(outcome.probe.items),
        judgement=outcome.judgement,
        gain=_known(outcome.gain),
        ci=[_known(outcome.lo), _known(outcome.hi)],
        reason=outcome.reason,
    )


def decide_message() -> Message:
    """The decider has the word."""
    return _message("decide")


def error_message(why: str) -> Message:
    """Its answer cannot be taken."""
    return _message("error", message=why)


def decided_message(decision: Decision) -> Message:
    """What was decided in an earlier session."""
    sets = [named(items) for items in decision.sets]
    return _message("decided", decision={"type": decision.kind, "sets": sets})


def verdict_message(summary: Summary) -> Message:
    """How it ended."""
    return _message(
        "verdict",
        verdict=summary.verdict,
        stop_reason=summary.stop_reason,
        headline=summary.headline,
        sensitive=[
            {
                "target": finding.target,
                "functions": finding.members,
                "gain": finding.estimated_gain and finding.estimated_gain.estimate,
                "ci": finding.estimated_gain and list(finding.estimated_gain.ci95),
            }
            for finding in summary.sensitive
        ],
        certificate=summary.certificate.model_dump(mode="json"),
        run_directory=summary.run_directory,
    )


def written(message: Mapping[str, Any]) -> bytes:
    """A message as its line."""
    return json.dumps(message, allow_nan=False).encode() + b"\n"


def read(line: bytes, matching: Matching) -> Decision:
    """The decision that a line says.

    Raises:
        BadAnswer: it says none.
    """
    try:
        said = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"that is not a JSON object: {str(error)[:200]}") from None
    if not isinstance(said, dict):
        raise BadAnswer("that is not a JSON object, which is written {...}")
    if said.get("protocol", PROTOCOL) != PROTOCOL:
        raise BadAnswer(f"this is protocol {PROTOCOL}, not {str(said['protocol'])[:40]}")
    match said.get("type"):
        case "probe":
            return Decision("probe", _sets(said.get("sets"), "sets", matching))
        case "done":
            claims = said.get("claims")
            return Decision("done", _sets(claims, "claims", matching) if claims else ())
        case "delegate":
            return Decision("delegate")
        case other:
            raise BadAnswer(f"{str(other)[:40]!r} is no answer; say probe, done or delegate")


def _sets(value: Any, name: str, matching: Matching) -> tuple[frozenset[str], ...]:
    if not isinstance(value, list) or not value:
        raise BadAnswer(f'"{name}" must be a list of sets, as in [["package.module:Class.*"]]')
    if len(value) > MOST_SETS:
        raise BadAnswer(f'"{name}" has {len(value)} sets; at most {MOST_SETS} at once')
    sets: dict[frozenset[str], None] = {}
    for each in value:
        if not isinstance(each, list) or not all(isinstance(p, str) for p in each):
            raise BadAnswer(f'each of "{name}" must be a list of patterns, as in ["pkg.mod:f"]')
        if not each:
            raise BadAnswer(f'a set of "{name}" is empty; name what to slow')
        try:
            sets[matching.items(each)] = None
        except NoItems as error:
            raise BadAnswer(str(error)) from None
    return tuple(sets)


def _message(kind: str, **content: Any) -> Message:
    return {"protocol": PROTOCOL, "type": kind, **content}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON")
