"""What happened, as frozen nouns: emitted by engine and session, shown by displays and logs."""

from __future__ import annotations

from dataclasses import dataclass

from bisector.answer import Interval
from bisector.observations import RunObserved, RunRequest


@dataclass(frozen=True, slots=True)
class PhaseBegan:
    """A stage of the investigation: calibration, discovery, root, search, sweep, certificate."""

    phase: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RunBegan:
    """The executor was given a request."""

    request: RunRequest


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A request was carried out and is in the journal."""

    request: RunRequest
    observed: RunObserved


@dataclass(frozen=True, slots=True)
class EstimateUpdated:
    """The current estimate of the gain of the node under test."""

    target: str
    functions: int
    gain: Interval
    runs: int


@dataclass(frozen=True, slots=True)
class NodeJudged:
    """A node got a verdict in the search: sensitive, insensitive, unresolved (exploratory, not the
    claim)."""

    target: str
    functions: int
    verdict: str
    gain: Interval | None


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the user should know; also in the summary's ``warnings``."""

    message: str


Event = PhaseBegan | RunBegan | RunEnded | EstimateUpdated | NodeJudged | Warned
