"""The MCP server: tools, resources and a prompt around the runs of one folder.

Invariant: nothing here decides what is true or what may be run; that is the engine's and
`bisector.agent.allowed`'s. Every refusal is a `ToolError` with one sentence, since that is all that
reaches a model. A call that is cancelled leaves the run as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from typing import Annotated, Any, Literal, NoReturn, ParamSpec, TypeVar

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ToolError
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import Field

from bisector import __version__
from bisector.agent import reading
from bisector.agent.allowed import Allowed
from bisector.agent.deciding import conclude, delegate, probe
from bisector.agent.guidance import INSTRUCTIONS, TRIAGE
from bisector.agent.reading import NothingToRead
from bisector.agent.running import Running
from bisector.agent.runs import Runs
from bisector.agent.shapes import (
    BenchmarkPart,
    Branches,
    Menu,
    Probed,
    Source,
    Status,
    Text,
    Verdicts,
)
from bisector.agent.standing import standing, waited
from bisector.errors import SpeedbumpError, UsageError
from bisector.reporting.formats import rendered
from bisector.wording import visible
from strategies.decision import MOST_SETS
from strategies.registry import names

P = ParamSpec("P")
T = TypeVar("T")

Short = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(max_length=1000)]
Pattern = Annotated[str, Field(min_length=1, max_length=500)]
Patterns = Annotated[list[Pattern], Field(max_length=200)]
Sets = Annotated[list[Patterns], Field(min_length=1, max_length=MOST_SETS)]
RunId = Annotated[str, Field(max_length=80, description="the run's id, as start told it")]
Offset = Annotated[int, Field(ge=0, le=10**9)]
Seconds = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
RUNS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)


def telling(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """A tool whose expected failures reach the model as the sentence they are."""

    @wraps(call)
    async def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except (SpeedbumpError, NothingToRead) as error:
            raise ToolError(reading.said(str(error))) from None

    return told


class Strict(MCPServer[Runs]):
    """Refuses arguments that a tool does not have, which would be ignored: a budget that is
    misspelt began a run with another."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Runs, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """See `MCPServer.call_tool`."""
        for tool in await self.list_tools():
            known = tool.input_schema.get("properties", {})
            if tool.name == name and (unknown := sorted(arguments.keys() - known.keys())):
                there = f"there are {', '.join(known)}" if known else "there are none"
                raise ToolError(f"there is no argument {unknown[0][:64]!r}; {there}")
        return await super().call_tool(name, arguments, context)


def server(allowed: Allowed) -> MCPServer[Runs]:
    """The server for what the user allowed."""
    runs = Runs(allowed)

    @asynccontextmanager
    async def lifespan(_: MCPServer[Runs]) -> AsyncIterator[Runs]:
        try:
            yield runs
        finally:
            await runs.close()

    made = Strict(
        "speedbump-bisect",
        title="speedbump-bisect",
        instructions=INSTRUCTIONS,
        version=__version__,
        lifespan=lifespan,
        log_level="ERROR",
    )
    _add_running(made, runs)
    _add_deciding(made, runs)
    _add_reading(made, runs)
    _add_texts(made, runs)
    return made


def _add_running(made: MCPServer[Runs], runs: Runs) -> None:
    @made.tool(annotations=READS)
    @telling
    async def benchmarks() -> Menu:
        """List what may be investigated here (names for start), the strategies, and earlier
        runs."""
        allowed = runs.allowed
        return Menu(
            benchmarks=[
                BenchmarkPart(name=each.name, command=each.command)
                for each in allowed.benchmarks.values()
            ],
            strategies=names(),
            most_budget_s=allowed.most_budget_s,
            arguments_allowed=allowed.arguments,
            runs=await runs.listed(),
        )

    @made.tool(annotations=RUNS)
    @telling
    async def start(
        benchmark: Short,
        strategy: Short = "bisect",
        budget: Annotated[Short | None, Field(description="time to measure: 90s, 10m")] = None,
        threshold: Annotated[
            Short | None, Field(description="smallest share of the whole gain worth a line: 5%")
        ] = None,
        min_gain: Annotated[
            Short | None, Field(description="less than this in all is insensitive: 1% or less")
        ] = None,
        confidence: Annotated[
            Short | None, Field(description="of the whole set: 95% or more")
        ] = None,
        dose: Annotated[Short | None, Field(description="how much slower: auto or 25%")] = None,
        mode: Annotated[Short | None, Field(description="auto, live or runs")] = None,
        seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None,
        include: Annotated[Patterns | None, Field(description="look only at these")] = None,
        exclude: Annotated[Patterns | None, Field(description="leave these alone")] = None,
        native: Annotated[bool, Field(description="callables of C too (numpy:dot)")] = False,
        lines: Annotated[bool, Field(description="lines of functions too (module:f@42)")] = False,
        arguments: Annotated[
            list[Name] | None, Field(description="added to the benchmark's, if allowed")
        ] = None,
    ) -> Status:
        """Start an investigation of one of the benchmarks; returns at once with the run's id.

        Strategy "bisect" searches by itself: wait until it has ended. With "external" you decide
        what to probe: wait until it waits for a decision. Only one can run at a time."""
        given = {
            "strategy": strategy,
            "budget": budget,
            "threshold": threshold,
            "min_gain": min_gain,
            "confidence": confidence,
            "dose": dose,
            "mode": mode,
            "seed": seed,
            "include": include or None,
            "exclude": exclude or None,
            "native": native or None,
            "lines": lines or None,
        }
        return standing(await runs.start(benchmark, given, arguments or ()))

    @made.tool(annotations=RUNS)
    @telling
    async def resume(run: RunId) -> Status:
        """Go on with a run that was stopped or interrupted, with the options it began with."""
        return standing(await runs.resume(run))

    @made.tool(annotations=RUNS)
    @telling
    async def stop(run: RunId) -> Status:
        """Stop a run. What was measured is kept, and resume goes on from there."""
        running = started(runs, run)
        await running.stop()
        return standing(running)

    @made.tool(annotations=READS)
    @telling
    async def status(run: RunId) -> Status:
        """How a run started here stands: phase, what is known so far, budget left."""
        return standing(started(runs, run))

    @made.tool(annotations=READS)
    @telling
    async def wait(ctx: Context[Runs, object], run: RunId, seconds: Seconds = 30.0) -> Status:
        """Wait until a run has ended or waits for a decision, so many seconds at most; then as
        status. Progress is notified meanwhile."""
        running = started(runs, run)
        await waited(running, ctx, seconds, lambda: running.is_over or running.waits)
        return standing(running)


def _add_deciding(made: MCPServer[Runs], runs: Runs) -> None:
    @made.tool(name="probe", annotations=RUNS)
    @telling
    async def probe_(
        ctx: Context[Runs, object], run: RunId, sets: Sets, seconds: Seconds = 45.0
    ) -> Probed:
        """Slow these sets and judge each, in a run with strategy external that waits for a
        decision.

        A set is a list of patterns (package.module:*, package.module:Class.*) or of names of
        items, slowed together; several sets are measured side by side. An outcome is a
        suspicion, no result. If it takes longer than so many seconds the measurement goes on:
        use wait and status then."""
        return await probe(started(runs, run), ctx, sets, seconds)

    @made.tool(name="conclude", annotations=RUNS)
    @telling
    async def conclude_(
        ctx: Context[Runs, object],
        run: RunId,
        claims: Annotated[list[Patterns], Field(max_length=MOST_SETS)] | None = None,
        seconds: Seconds = 45.0,
    ) -> Probed:
        """End your search. Claims are sets that you believe matter, each as a whole; without
        any, the narrowest sets that were judged sensitive are taken.

        A claim that was not measured is measured first. What is not confirmed is handed back
        once, and left out then. Fresh runs put the rest to the test: wait until the run ended."""
        return await conclude(started(runs, run), ctx, claims or [], seconds)

    @made.tool(name="delegate", annotations=RUNS)
    @telling
    async def delegate_(ctx: Context[Runs, object], run: RunId, seconds: Seconds = 5.0) -> Probed:
        """Leave what is undecided to the default search, for good; then wait until it has
        ended."""
        return await delegate(started(runs, run), ctx, seconds)


def _add_reading(made: MCPServer[Runs], runs: Runs) -> None:
    @made.tool(annotations=READS)
    @telling
    async def tree(
        run: RunId,
        node: Name = "*:*",
        offset: Offset = 0,
        limit: Annotated[int, Field(ge=1, le=100)] = 30,
    ) -> Branches:
        """The children of a node of the module tree, with own time, calls, verdicts and bounds;
        begin with *:*. Own time is where time is spent, not where it matters."""
        facts = await runs.facts(run)
        return await asyncio.to_thread(reading.branches, facts, node, offset, limit)

    @made.tool(annotations=READS)
    @telling
    async def verdicts(
        run: RunId, offset: Offset = 0, limit: Annotated[int, Field(ge=1, le=200)] = 50
    ) -> Verdicts:
        """What is said of each set of functions: sensitive, insensitive or unresolved, with gain
        or bound. Only where certified is true may it be called a result."""
        return reading.verdicts(await runs.facts(run), offset, limit)

    @made.tool(annotations=READS)
    @telling
    async def source(
        run: RunId, target: Name, lines: Annotated[int, Field(ge=1, le=400)] = 80
    ) -> Source:
        """The source text of a function that the run has seen, as tree or verdicts name it."""
        facts = await runs.facts(run)
        return await asyncio.to_thread(reading.source, facts, target, lines)

    @made.tool(annotations=READS)
    @telling
    async def report(
        run: RunId, format: Literal["md", "text", "json"] = "md", offset: Offset = 0
    ) -> Text:
        """The report of a run, a part at a time: md, text, or json (the summary with all
        fields)."""
        return reading.page(run, await _rendered(runs, run, format), offset)


def _add_texts(made: MCPServer[Runs], runs: Runs) -> None:
    @made.resource("speedbump://runs/{run}/report", mime_type="text/markdown")
    async def run_report(run: str) -> str:
        """The report of a run, as Markdown."""
        return await _read(runs, run, "md")

    @made.resource("speedbump://runs/{run}/summary", mime_type="application/json")
    async def run_summary(run: str) -> str:
        """The summary of a run: everything that is claimed, as JSON."""
        return await _read(runs, run, "json")

    @made.prompt()
    def triage(benchmark: str) -> str:
        """How to find out what limits a benchmark, and what may be claimed."""
        return TRIAGE.format(benchmark=visible(benchmark[:64]))


async def _read(runs: Runs, run: str, form: str) -> str:
    try:
        return await _rendered(runs, run, form)
    except SpeedbumpError as error:
        raise ResourceError(str(error)) from None


async def _rendered(runs: Runs, run: str, form: str) -> str:
    summary = await runs.summary(run)

    def nothing_more() -> NoReturn:
        raise AssertionError("these formats need the summary only")

    return await asyncio.to_thread(rendered, form, summary, nothing_more)


def started(runs: Runs, run: str) -> Running:
    """A run that was started by this server, the latest.

    Raises:
        UsageError: there is none, or it is an earlier one.
    """
    running = runs.going_on(run)
    if running is None:
        runs.path(run)
        raise UsageError(
            f"{run} is not going on here; verdicts and report tell what it found, resume goes on"
        )
    return running
