"""What the tools answer, as pydantic models: the schemas that a client gets are made of them.

Invariant: every name went through `visible`, every list is as long as its tool says at most, and
gains are shares of the time per unit.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from bisector.schema import Estimate, Number


class BenchmarkPart(BaseModel):
    """A benchmark that may be investigated."""

    name: str
    command: str


class RunPart(BaseModel):
    """A run of this server's folder."""

    run: str = Field(description="its id, for the other tools")
    state: Literal["running", "ended", "interrupted"]
    headline: str = ""


class Menu(BaseModel):
    """What may be investigated here, and what was."""

    benchmarks: list[BenchmarkPart]
    strategies: list[str]
    most_budget_s: Number
    arguments_allowed: bool
    runs: list[RunPart] = Field(description="the latest first")


class Outcome(BaseModel):
    """What slowing a set showed. Exploratory: only the certificate of the finished run is a
    claim."""

    items: list[str] = Field(description="what was slowed together, the first of them")
    count: int
    judgement: Literal["sensitive", "insensitive", "unresolved"]
    gain: Number | None
    ci: tuple[Number | None, Number | None]
    reason: str


class Status(BaseModel):
    """How a run stands."""

    run: str
    benchmark: str
    state: Literal["measuring", "waiting for a decision", "ended"]
    phase: str
    detail: str
    now: str = Field(description="what is being slowed")
    runs: int = Field(description="runs, or windows of a running program, so far")
    elapsed_s: Number = Field(description="active time; waiting for decisions does not count")
    budget_s: Number
    left_s: Number
    gain: Estimate | None = Field(description="what all Python could gain at most, so far")
    suspects: list[Outcome] = Field(description="sets that were judged sensitive, not certified")
    outcomes: list[Outcome] = Field(description="the latest probes, whatever they showed")
    items: list[str] = Field(description="what may be probed, by own time, the first of them")
    items_count: int
    unconfirmed: list[list[str]] = Field(description="claims that the measurements do not confirm")
    warnings: list[str]
    exit_code: int | None = None
    headline: str = Field(description="the answer, once it has ended")


class Probed(BaseModel):
    """What came of a probe, or of another decision."""

    run: str
    state: Literal["measuring", "waiting for a decision", "ended"]
    outcomes: list[Outcome]
    unconfirmed: list[list[str]]
    note: str


class Branch(BaseModel):
    """A node of the module tree. Times are sums over all functions below it."""

    node: str = Field(description="a pattern: it can be probed, or opened with this tool")
    functions: int
    own_ms_per_unit: Number = Field(description="time spent in this code itself")
    waiting_ms_per_unit: Number = Field(description="the part of it that is waiting")
    own_share: Number | None = Field(description="of the time per unit: it cannot gain more")
    calls_per_unit: Number
    verdicts: dict[str, int] = Field(description="how many of its functions have which verdict")
    gain: Estimate | None = Field(description="of the set it was judged in, if it is all of it")
    gain_upper95: Number | None


class Branches(BaseModel):
    """The children of a node, those with most own time first."""

    run: str
    node: str
    children: list[Branch]
    total: int
    next_offset: int | None


class Verdict(BaseModel):
    """What is said of a set of functions."""

    target: str
    functions: int
    verdict: Literal["sensitive", "insensitive", "unresolved"]
    gain: Estimate | None
    gain_upper95: Number | None
    reason: str


class Verdicts(BaseModel):
    """What is known of everything."""

    run: str
    certified: bool = Field(description="false: nothing in here may be claimed as certain")
    headline: str
    verdicts: list[Verdict]
    total: int
    next_offset: int | None
    notes: list[str]


class Source(BaseModel):
    """The text of a function that a run has seen."""

    target: str
    file: str
    first_line: int
    text: str
    truncated: bool


class Text(BaseModel):
    """A part of a text."""

    run: str
    text: str
    next_offset: int | None
