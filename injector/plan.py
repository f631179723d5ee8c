"""What the injector is told to do in one run: the plan.

A plan is one JSON file that every process of the run reads when it attaches. It is written by the
tool and read by the injector; it says either *discover* (watch everything, delay nothing) or
*delay* (slow exactly these pieces of code, by this much, in this state), and nothing else. Arms of
an experiment differ in the content of this file only: never in the length of the environment or of
the command line, both of which move the stack and with it the speed of a program.

Two ways to say what is delayed, which may be combined:

* ``doses``: exact functions with a delay per visit of each *site*, made from discovery data. This
  is the proportional dose ("every piece of this function takes a quarter longer, where it is
  spent").
* ``rules``: lines of a targets file with one fixed delay per call at entry: the classic Speed Bump
  method.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

VERSION = 1
"""Format of the plan file and of the records; an injector refuses any other."""

State = Literal["gil", "nogil", "wait"]
"""How time is spent: on CPU holding the GIL, on CPU without it, waiting."""

STATES: tuple[State, ...] = ("gil", "nogil", "wait")

ByState: TypeAlias = tuple[float, float, float]
"""One for each state."""

At = Literal["entry", "resume", "call", "jump", "yield", "return", "line"]
"""The kinds of site, by the event that marks them."""


class PlanError(ValueError):
    """The plan cannot be used: malformed, or of another version."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place inside a function where a delay can be added.

    ``offset`` is the byte offset of the instruction in ``co_code`` (-1 for ``entry`` and
    ``resume``; for ``line`` it is the number of the line); ``delay_ns`` is added at every
    visit, on average: delays below the floor are carried as a debt. With ``share``, in state
    ``wait``, each wait is made longer by that share of itself as waits turn out in this run,
    and ``delay_ns`` only serves until that is known (`injector.waits`).
    """

    at: At
    offset: int
    state: State
    delay_ns: float
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Dose:
    """The delays of one code object. ``line`` (``co_firstlineno``) tells apart code that shares a
    name.

    With ``part`` they are those of a finer target in that code, and are counted as its: a line
    (``module:qualname@42``), or a native callable, of which only its own calls are delayed.
    """

    target: str
    line: int
    sites: tuple[Site, ...]
    part: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """One run's instructions. Times in nanoseconds unless the name says otherwise.

    ``warmup_ms``/``duration_ms`` bound the window, counted from ``launched_ns``
    (``time.monotonic_ns`` of the launch), in which delays are active and calls are counted;
    ``duration_ms`` None is no end. ``progress`` is the ``module:qualname`` whose calls are the
    progress point, and ``begins`` one whose calls begin what that ends, for latencies: counted as a
    progress point as well. ``event_ns`` is what one callback costs by itself (entry, site, line;
    wide: more for each large offset): it is part of the delivered dose and is counted as such
    (inside: what of it the Python twin's clock sees). ``sites``: whether to discover also where in
    a function its time is spent; without, only how much is, and no code is slowed by finding out.
    ``native``: native callables are targets as well, of discovery and of rules; ``lines``: so are
    lines.
    ``live``: the doses are what a page of memory says (`injector.control`), times those of the
    plan, and 0 to begin with; and another plan may follow at any time.
    """

    mode: Literal["delay", "discover"] = "delay"
    doses: tuple[Dose, ...] = ()
    rules: tuple[str, ...] = ()
    delay_ns: float = 0.0
    every: int = 1
    launched_ns: int = 0
    warmup_ms: float = 0.0
    duration_ms: float | None = None
    progress: str | None = None
    begins: str | None = None
    sites: bool = True
    native: bool = False
    lines: bool = False
    live: bool = False
    event_ns: dict[str, float] = field(default_factory=dict)
    backend: str = "auto"
    compiled: bool = True
    version: int = VERSION

    def to_json(self) -> str:
        """The plan as one JSON document."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan.

        Raises:
            PlanError: not JSON, not a plan, or a plan of another version.
        """
        try:
            raw: dict[str, Any] = json.loads(text)
            version = raw.get("version")
        except (ValueError, AttributeError) as error:
            raise PlanError(f"the plan is not a JSON object: {error}") from None
        if version != VERSION:
            raise PlanError(
                f"the plan has format version {version!r}, this injector reads {VERSION}"
            )
        try:
            raw["doses"] = tuple(
                Dose(
                    d["target"],
                    d["line"],
                    tuple(Site(**s) for s in d["sites"]),
                    d.get("part", ""),
                )
                for d in raw["doses"]
            )
            raw["rules"] = tuple(raw["rules"])
            return cls(**raw)
        except (KeyError, TypeError) as error:
            raise PlanError(f"the plan is malformed: {error}") from None
