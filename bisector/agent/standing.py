"""How a run stands, and waiting for it to change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from bisector.agent.reading import said, shown
from bisector.agent.running import Running
from bisector.agent.shapes import Outcome, Status
from bisector.schema import Estimate
from bisector.wording import visible
from strategies.decision import MOST_SETS

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from bisector.agent.runs import Runs

MOST_NAMES = 40
"""Names of a set, and items that may be probed, that are told at once."""

MOST_SUSPECTS = 20

NOTICE_S = 1.0
"""Between two notices of progress."""

State = Literal["measuring", "waiting for a decision", "ended"]


def standing(running: Running) -> Status:
    """The status of a run that was started here."""
    progress, ended = running.progress, running.ended or {}
    elapsed_s = float(progress.get("elapsed_s", 0.0))
    gain = running.known.get("gain")
    items = ordered_items(running)
    suspects = [o for o in running.outcomes if o["judgement"] == "sensitive"]
    return Status(
        run=running.id,
        benchmark=running.benchmark,
        state=state(running),
        phase=progress.get("phase", "start"),
        detail=visible(progress.get("detail", "")),
        now=visible(progress.get("now", "")) if not running.is_over else "",
        runs=progress.get("runs", 0),
        elapsed_s=elapsed_s,
        budget_s=running.settings.budget_s,
        left_s=max(running.settings.budget_s - elapsed_s, 0.0),
        gain=Estimate(**gain) if gain else None,
        suspects=outcomes(suspects[-MOST_SUSPECTS:] or _judged(running)),
        outcomes=outcomes(running.outcomes[-MOST_SETS:]),
        items=shown(items, MOST_NAMES),
        items_count=len(items),
        unconfirmed=[shown(claim, MOST_NAMES) for claim in running.unconfirmed],
        warnings=[said(warning) for warning in running.warnings][-10:],
        exit_code=ended.get("exit_code"),
        headline=said(ended.get("sentence", "")),
    )


def state(running: Running) -> State:
    """In a word or two."""
    if running.is_over:
        return "ended"
    return "waiting for a decision" if running.waits else "measuring"


def ordered_items(running: Running) -> list[str]:
    """What may be probed, by what it can gain at most."""
    items = running.problem["items"] if running.problem else []
    return [item["name"] for item in sorted(items, key=lambda item: -item["most_gain"])]


def outcomes(told: Iterable[dict[str, Any]]) -> list[Outcome]:
    """What was told of some sets."""
    return [
        Outcome(
            items=shown(each["items"], MOST_NAMES),
            count=len(each["items"]),
            judgement=each["judgement"],
            gain=each["gain"],
            ci=(each["ci"][0], each["ci"][1]),
            reason=visible(each["reason"]),
        )
        for each in told
    ]


def _judged(running: Running) -> list[dict[str, Any]]:
    """What the search judged to be sensitive by itself, as outcomes; the whole is none."""
    rows = []
    for each in running.judged:
        gain = each["gain"]
        if each["verdict"] == "sensitive" and each["target"] != "*:*":
            rows.append(
                {
                    "items": [each["target"]],
                    "judgement": "sensitive",
                    "gain": gain and gain["estimate"],
                    "ci": gain["ci95"] if gain else (None, None),
                    "reason": "",
                }
            )
    return rows[-MOST_SUSPECTS:]


async def waited(
    running: Running, ctx: Context[Runs, Any], seconds: float, is_enough: Callable[[], bool]
) -> bool:
    """Wait for something, so long at most, with notices of progress; whether it came."""
    deadline = time.monotonic() + seconds
    noticed_s = 0.0
    while not is_enough():
        now_s = time.monotonic()
        if now_s >= deadline:
            return False
        if now_s - noticed_s >= NOTICE_S:
            noticed_s = now_s
            told = standing(running)
            message = f"{told.phase}: {told.now or told.detail}"[:200]
            await ctx.report_progress(told.elapsed_s, told.budget_s, message)
        await running.change(min(NOTICE_S, deadline - now_s))
    return True
