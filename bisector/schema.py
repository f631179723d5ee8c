"""The published result: one JSON document, `Summary`, whose shape scripts and agents rely on.

Invariant: every number in it is a finite number, every text one that can be written. An estimate
that does not exist is ``null`` as a whole; an interval that is open on one side ends at
`UNBOUNDED`. Fractions are fractions (0.05 is 5 %), times carry their unit in the name. Fields are
added in later versions, never renamed; readers ignore what they do not know, so that old and new
tools read each other's results.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bisector.answer import Interval, Kind, PruneReason, Shape, StopReason, Verdict

SCHEMA_VERSION = 1
UNBOUNDED = 1e18
"""Stands for infinity in intervals, which JSON has no word for."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Range = tuple[Number, Number]


Standing = Literal["sensitive", "insensitive", "unresolved"]


def finite(value: float | None) -> float | None:
    """``value`` as JSON can say it: NaN is nothing, infinity is `UNBOUNDED`."""
    if value is None or math.isnan(value):
        return None
    return min(max(value, -UNBOUNDED), UNBOUNDED)


def carried(value: Any) -> Any:
    """``value`` with what UTF-8 has no bytes for written as escapes: an argument or a name that was
    no text comes as half a character, on which writing the result would fail."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list | tuple):
        return [carried(each) for each in value]
    if isinstance(value, dict):
        return {carried(key): carried(each) for key, each in value.items()}
    return value


class Part(BaseModel):
    """Base of all parts: immutable, tolerant of fields of later versions."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @field_validator("*", mode="before")
    @classmethod
    def _that_can_be_written(cls, value: Any) -> Any:
        return carried(value)


class Estimate(Part):
    """An estimate with its 95 % confidence interval."""

    estimate: Number
    ci95: Range

    @classmethod
    def of(cls, interval: Interval | None) -> Estimate | None:
        """The interval with an end that is not known as `UNBOUNDED`; None without an estimate."""
        middle = finite(interval.estimate) if interval else None
        if interval is None or middle is None:
            return None
        lo, hi = finite(interval.lo), finite(interval.hi)
        return cls(
            estimate=middle,
            ci95=(-UNBOUNDED if lo is None else lo, UNBOUNDED if hi is None else hi),
        )


class Tool(Part):
    """What made the result."""

    name: str = "speedbump-bisect"
    version: str


class Metric(Part):
    """What was measured. ``source``: where it came from, e.g. ``time`` or ``regex:PATTERN``."""

    name: str
    unit: str
    source: str
    higher_is_better: bool


class Benchmark(Part):
    """What was run."""

    command: list[str]
    python: str
    metric: Metric
    fingerprint: str


class BaselinePart(Part):
    """The undelayed program. ``throughput`` in the metric's unit, or units per second."""

    throughput: Number
    ci95: Range
    cv: Number = Field(description="Coefficient of variation between runs.")
    runs: int
    time_per_unit_s: Number


class CurvePart(Part):
    """One dose of a dose-response curve."""

    dose: Number
    injected_ns_per_unit: Number
    throughput: Number
    ci95: Range


HintKind = Literal[
    "synchronisation",
    "waiting",
    "lock",
    "allocation",
    "search",
    "repeated_pass",
    "serialisation",
    "regex",
    "logging",
    "loop",
]


class Hint(Part):
    """What the source shows that may be what costs: to be looked at, not a claim."""

    kind: HintKind
    line: int
    text: str = Field(description="A clause about the line.")
    source: str = Field(description="The line of source, without its indent.")
    target: str = Field(description="The function it is in: of a subtree its heaviest member.")
    file: str


class EffectPart(Part):
    """What slowing one set of code did. ``dose``: share of own time; ``delay_ns``: per call."""

    target: str
    dose: Number
    delay_ns: Number | None = Field(
        description="Delay per call in ns: fixed, or the mean of a proportional dose (root: null)."
    )
    throughput_drop: Estimate | None = Field(description="1 - X/X0 at this dose.")
    critical_fraction: Estimate | None = Field(
        description="Increase of time per unit / injected time per unit, as counted."
    )
    estimated_gain: Estimate | None = Field(
        description="Share of the time per unit that would go if this code cost nothing."
    )
    p_value: Number | None
    shape: Shape
    slack_ns_per_unit: Number | None = Field(
        description="Delay per unit that is hidden before throughput starts to fall."
    )
    curve: list[CurvePart]
    runs: int


class Sensitive(EffectPart):
    """A member of the minimal sensitive set. Times and calls of a subtree are sums."""

    kind: Kind
    file: str | None
    line: int | None
    functions: int
    members: list[str] = Field(description="The functions of a subtree; one for a function.")
    calls_per_unit: Number
    own_cpu_ns_per_unit: Number
    own_wait_ns_per_unit: Number
    p_value_adjusted: Number | None
    co_critical_with: list[str]
    reproduce: str = Field(description="A command line that shows the effect.")
    fingerprint: str = Field(description="Hash of benchmark and target, without line numbers.")
    hints: list[Hint] = Field(
        default_factory=list, description="Read off the source: where to look, not a claim."
    )


class Insensitive(Part):
    """A node that cannot matter, with 95 % upper bounds; null: no bound was obtained."""

    target: str
    functions: int
    reason: PruneReason
    throughput_drop_upper95: Number | None
    gain_upper95: Number | None


class UnresolvedPart(Part):
    """A node about which nothing is claimed, and why."""

    target: str
    functions: int
    reason: str


class Necessary(Part):
    """Each member alone lowers throughput. ``holds`` null: not tested."""

    holds: bool | None
    p_values: dict[str, Number]


class Sufficient(Part):
    """Slowing only the set reproduces this share of the drop of ``*:*``."""

    holds: bool | None
    explained: Number | None
    ci95: Range | None


class Complete(Part):
    """Slowing everything except the set accounts for at most this much."""

    holds: bool | None
    complement_drop_upper95: Number | None
    complement_gain_upper95: Number | None


class CertificatePart(Part):
    """What runs that the search did not see have shown."""

    necessary: Necessary
    sufficient: Sufficient
    complete: Complete
    dose: Number | None
    notes: list[str]


class Cost(Part):
    """What the answer cost. ``engine_s``: time spent deciding, outside benchmark runs."""

    wall_s: Number
    budget_s: Number | None
    runs: int
    experiments: int
    engine_s: Number


class Hot(Part):
    """One of the functions with the most own time, and what became of it.

    ``judged_as`` is the node whose verdict it shares: itself, or the subtree it was tested in.
    """

    target: str
    file: str
    line: int
    calls_per_unit: Number
    own_cpu_ns_per_unit: Number
    own_wait_ns_per_unit: Number
    own_share: Number = Field(description="Own time / time per unit; lanes that overlap add up.")
    verdict: Standing
    judged_as: str
    judged_with: int = Field(description="Functions in that node.")
    gain_upper95: Number | None


LONGEST_TITLE, LONGEST_BODY = 255, 30_000
"""Characters of a ticket that every tracker takes."""


class Ticket(Part):
    """A ready-made issue for a tracker: one for each finding, or co-critical group of findings."""

    title: Annotated[str, Field(max_length=LONGEST_TITLE)]
    body_markdown: Annotated[str, Field(max_length=LONGEST_BODY)]
    labels: list[str]
    fingerprint: str = Field(description="Of the finding; of a group, of its first by name.")
    targets: list[str] = Field(default_factory=list, description="The findings that it is about.")


class Summary(Part):
    """The whole result of one investigation."""

    schema_version: Literal[1] = 1
    tool: Tool
    run_id: str
    run_directory: str
    started_at: datetime
    finished_at: datetime
    headline: str
    verdict: Verdict
    stop_reason: StopReason
    failure: str | None = Field(description="One sentence when stop_reason is failed.")
    benchmark: Benchmark
    baseline: BaselinePart | None
    root: EffectPart | None
    sensitive: list[Sensitive]
    insensitive: list[Insensitive]
    unresolved: list[UnresolvedPart]
    hottest: list[Hot]
    certificate: CertificatePart
    cost: Cost
    environment: dict[str, str | int | Number | bool | None]
    """With ``mode``: ``live``, where a run is a window of a running program, or ``runs``."""
    settings: dict[str, str | int | Number | bool | list[str] | None]
    warnings: list[str]
    tickets: list[Ticket]


def json_schema() -> dict[str, object]:
    """The JSON Schema of `Summary` as it is written, titled and versioned."""
    schema = Summary.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = f"speedbump-bisect summary, version {SCHEMA_VERSION}"
    return schema
