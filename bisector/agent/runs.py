"""The runs of the server's folder: one that is going on at most, and those that were.

Invariant: two investigations never run at once, because each would disturb what the other measures;
and a run is found by the name of its folder only, never by a path.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bisector.agent.allowed import Allowed
from bisector.agent.reading import Facts, said
from bisector.agent.running import Running
from bisector.agent.shapes import RunPart
from bisector.census import Judgement, Member
from bisector.context import new_run_id
from bisector.errors import SpeedbumpError, UsageError
from bisector.evidence import Evidence
from bisector.recall import began_at, evidence_of, recall, settings_of
from bisector.run_directory import JOURNAL, is_in_use
from bisector.schema import Summary

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")

LISTED = 30
"""Runs that are listed, the latest."""


class Runs:
    """See the module docstring."""

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        self.current: Running | None = None
        """The latest that was started here, going on or not."""
        self._starting = asyncio.Lock()

    async def start(
        self, benchmark: str, given: Mapping[str, Any], arguments: Sequence[str]
    ) -> Running:
        """Begin an investigation.

        Raises:
            UsageError: it is not allowed, or another one is going on.
        """
        name = new_run_id()
        path = self.allowed.folder / name
        settings = self.allowed.settings(benchmark, given, arguments, path)
        async with self._starting:
            self._require_quiet()
            running = Running(name, path, benchmark, settings)
            await running.start({"begin": settings.model_dump(mode="json"), "run": name})
            self.current = running
        return running

    async def resume(self, run: str) -> Running:
        """Take an investigation up again.

        Raises:
            UsageError: there is none, it is not allowed, or another one is going on.
        """
        path = self.path(run)
        async with self._starting:
            self._require_quiet()
            settings = await asyncio.to_thread(settings_of, path)
            benchmark = self.allowed.benchmark_of(settings)
            if benchmark is None:
                raise UsageError(
                    f"{run} ran something else than what is allowed here, or with a larger budget; "
                    "the user can resume it"
                )
            began = await asyncio.to_thread(began_at, path)
            running = Running(run, path, benchmark, settings, began)
            await running.start({"resume": str(path)})
            self.current = running
        return running

    async def close(self) -> None:
        """End what is going on; it can be resumed."""
        if self.current is not None:
            await self.current.stop()

    def going_on(self, run: str) -> Running | None:
        """The run, if it was started here and is the latest."""
        current = self.current
        return current if current is not None and current.id == run else None

    def path(self, run: str) -> Path:
        """Where a run is kept.

        Raises:
            UsageError: there is no such run.
        """
        path = self.allowed.folder / run
        if not ID.fullmatch(run) or path.is_symlink() or not (path / JOURNAL).is_file():
            raise UsageError(f"there is no run {run[:80]!r} here; benchmarks lists those there are")
        return path

    async def evidence(self, run: str) -> Evidence:
        """All that is known of a run that is not going on.

        Raises:
            UsageError: there is no such run, or its files cannot be read.
        """
        return await asyncio.to_thread(evidence_of, self.path(run))

    async def summary(self, run: str) -> Summary:
        """The summary of a run.

        Raises:
            UsageError: there is no such run, its files cannot be read, or it is going on: to make
                one of its journal would disturb what it measures.
        """
        running = self.going_on(run)
        if running is not None and not running.is_over:
            raise UsageError(f"{run} is still going on; status and verdicts tell what is known")
        return await asyncio.to_thread(recall, self.path(run))

    async def facts(self, run: str) -> Facts:
        """What is known of a run, going on or not.

        Raises:
            UsageError: there is no such run, or its files cannot be read.
        """
        running = self.going_on(run)
        if running is not None and not running.is_over:
            known = running.known
            return Facts(
                run,
                [Member(**each) for each in running.members],
                [Judgement(**each) for each in known.get("judgements", ())],
                known.get("time_per_unit_s"),
                running.began,
                headline="still going on: nothing is certified",
                cwd=running.settings.cwd,
                notes=list(running.warnings),
            )
        evidence = await self.evidence(run)
        summary, census = evidence.summary, evidence.census
        return Facts(
            run,
            census.members if census else [],
            census.judgements if census else [],
            summary.baseline.time_per_unit_s if summary.baseline else None,
            summary.started_at,
            summary,
            summary.headline,
            settings_of(self.path(run)).cwd,
            [*summary.certificate.notes, *summary.warnings],
        )

    async def listed(self) -> list[RunPart]:
        """The latest runs."""
        return await asyncio.to_thread(self._listed)

    def _listed(self) -> list[RunPart]:
        rows = []
        for path in self._latest():
            running = self.going_on(path.name)
            if running is not None and not running.is_over:
                rows.append(RunPart(run=path.name, state="running"))
                continue
            try:  # to know more of those without a summary would cost a replay
                told = recall(path) if (path / "summary.json").exists() else None
            except SpeedbumpError:
                continue
            ended = told is not None and told.stop_reason != "interrupted"
            rows.append(
                RunPart(
                    run=path.name,
                    state="ended" if ended else "interrupted",
                    headline=said(told.headline) if told else "",
                )
            )
        return rows

    def _require_quiet(self) -> None:
        if self.current is not None and not self.current.is_over:
            raise UsageError(
                f"{self.current.id} is being measured, and two at once would disturb each other; "
                "wait for it, or stop it"
            )
        for path in self._latest():
            if is_in_use(path):
                raise UsageError(
                    f"{path.name} is being measured by somebody else, and two at once would "
                    "disturb each other; wait for it"
                )

    def _latest(self) -> list[Path]:
        found = sorted(self.allowed.folder.glob(f"*/{JOURNAL}"), reverse=True)
        return [journal.parent for journal in found[:LISTED] if ID.fullmatch(journal.parent.name)]
