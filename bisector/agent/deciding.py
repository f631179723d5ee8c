"""Decisions of an agent: the tools' calls become lines of `bisector.deciding.wire`.

Invariant: one decision at a time, and only when the run waits for one; what is told afterwards is
what it led to. A call that is cancelled, or that returns because its time is up, leaves the
measurement going on, and `wait` and `status` tell of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from bisector.agent.reading import said, shown
from bisector.agent.running import Running
from bisector.agent.shapes import Probed
from bisector.agent.standing import MOST_NAMES, outcomes, state, waited
from bisector.errors import UsageError
from bisector.settings import EXTERNAL
from bisector.wording import visible

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from bisector.agent.runs import Runs

Sets = Sequence[Sequence[str]]


async def probe(running: Running, ctx: Context[Runs, Any], sets: Sets, seconds: float) -> Probed:
    """Have sets slowed and judged, and wait for the outcomes.

    Raises:
        UsageError: it cannot be done, or the sets cannot be used.
    """
    decision = {"type": "probe", "sets": _names(running, sets)}
    return await _decide(running, ctx, decision, seconds)


async def conclude(
    running: Running, ctx: Context[Runs, Any], claims: Sets, seconds: float
) -> Probed:
    """End the search, with claims that are measured where they were not.

    Raises:
        UsageError: it cannot be done, or the claims cannot be used.
    """
    decision = {"type": "done", "claims": _names(running, claims)}
    return await _decide(running, ctx, decision, seconds)


async def delegate(running: Running, ctx: Context[Runs, Any], seconds: float) -> Probed:
    """Leave the rest to the default search.

    Raises:
        UsageError: it cannot be done.
    """
    return await _decide(running, ctx, {"type": "delegate"}, seconds)


async def _decide(
    running: Running, ctx: Context[Runs, Any], decision: Mapping[str, Any], seconds: float
) -> Probed:
    async with _turn(running):
        if not running.waits:
            raise UsageError(
                f"{running.id} does not wait for a decision yet, it is in the phase "
                f"{running.progress.get('phase', 'start')}; wait for it first"
            )
        problem, before = running.problem, len(running.outcomes)
        await running.answer(decision)
        came = await waited(
            running, ctx, seconds, lambda: running.waits or running.is_over or _is_tested(running)
        )
        if running.error is not None:
            raise UsageError(said(running.error))
        new = running.outcomes[before if running.problem is problem else 0 :]
        return Probed(
            run=running.id,
            state=state(running),
            outcomes=outcomes(new),
            unconfirmed=[shown(claim, MOST_NAMES) for claim in running.unconfirmed],
            note=_note(running, came, running.problem is not problem, decision["type"]),
        )


@asynccontextmanager
async def _turn(running: Running) -> AsyncIterator[None]:
    """The only one to decide.

    Raises:
        UsageError: somebody else does, or there is nothing to decide.
    """
    if running.is_over:
        raise UsageError(f"{running.id} has ended; verdicts and report tell what it found")
    if running.settings.strategy != EXTERNAL:
        raise UsageError(
            f"{running.id} searches by itself (strategy {running.settings.strategy}); to decide "
            "yourself start a run with strategy external"
        )
    if running.turn.locked():
        raise UsageError("another decision for this run is being carried out; wait for it")
    async with running.turn:
        yield


def _is_tested(running: Running) -> bool:
    """Whether the search is over and fresh runs are being made."""
    return running.progress.get("phase") in ("sweep", "certificate")


def _note(running: Running, came: bool, is_new: bool, decided: str) -> str:
    if running.is_over:
        return f"it has ended: {said((running.ended or {}).get('sentence', ''))}"
    if not came:
        return "still measuring; wait tells when it waits for the next decision"
    if is_new and running.waits:
        return "fresh runs show that something else matters as well: a new search, with new items"
    if running.waits and decided == "done":
        return (
            "some claims were not confirmed (unconfirmed names them, the outcomes of status show "
            "why); look elsewhere, or conclude: concluding again leaves them out"
        )
    if running.waits:
        return "it waits for the next decision"
    return "the search is over; fresh runs put what it found to the test: wait until it has ended"


def _names(running: Running, sets: Sets) -> list[list[str]]:
    """Patterns and names as the run knows them, not as they were shown."""
    items = running.problem["items"] if running.problem else []
    meant = {visible(item["name"]): item["name"] for item in items}
    return [[meant.get(name, name) for name in each] for each in sets]
