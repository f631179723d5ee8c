"""The server's tools, through the official client: what an agent can do, and what it cannot.

The investigations are real processes whose runs are computed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from planted import CRITICAL, NAMES

pytest.importorskip("mcp.server.mcpserver")

from mcp import Client

from bisector.agent import running
from bisector.agent.allowed import Allowed, read_allowed
from bisector.agent.server import server

pytestmark = pytest.mark.process

HERE = Path(__file__).parent


class Refused(Exception):
    """A tool call that came back as an error; the message is what a model reads."""


class Caller:
    def __init__(self, client):
        self.client = client
        self.progress = []

    async def __call__(self, tool, **arguments):
        async def notice(progress, total, message):
            self.progress.append((progress, total, message))

        result = await self.client.call_tool(tool, arguments, progress_callback=notice)
        if result.is_error:
            raise Refused(result.content[0].text)
        return result.structured_content

    async def refused(self, tool, **arguments):
        with pytest.raises(Refused) as caught:
            await self(tool, **arguments)
        said = str(caught.value)
        assert "Traceback" not in said
        return said

    async def until_it_waits(self, run):
        status = await self("wait", run=run, seconds=60)
        assert status["state"] == "waiting for a decision", status
        return status

    async def until_it_ends(self, run):
        status = await self("wait", run=run, seconds=60)
        assert status["state"] == "ended", status
        return status


@pytest.fixture
def allowed(tmp_path, monkeypatch):
    (tmp_path / "bench.py").write_text("print('hello')\n")
    monkeypatch.setattr(running, "CHILD", (sys.executable, str(HERE / "synthetic_child.py")))
    options = {"cwd": str(tmp_path), "mode": "runs"}
    benchmarks = read_allowed([f"{tmp_path}/bench.py"], None)
    return Allowed(benchmarks, 600.0, tmp_path / "runs", options)


def talk(allowed, conversation):
    async def main():
        async with Client(server(allowed)) as client:
            await conversation(Caller(client))

    asyncio.run(main())


def test_an_agent_finds_what_is_planted_and_reads_it(allowed):
    async def conversation(call):
        menu = await call("benchmarks")
        assert [each["name"] for each in menu["benchmarks"]] == ["bench"]
        assert "external" in menu["strategies"]
        run = (await call("start", benchmark="bench", strategy="external", seed=1))["run"]
        status = await call.until_it_waits(run)
        assert status["items_count"] == len(NAMES)
        modules = [[f"app.m{number}:*"] for number in range(4)]
        probed = await call("probe", run=run, sets=modules)
        sensitive = [o for o in probed["outcomes"] if o["judgement"] == "sensitive"]
        assert len(sensitive) == 2
        probed = await call("probe", run=run, sets=[[i] for o in sensitive for i in o["items"]])
        claims = [o["items"] for o in probed["outcomes"] if o["judgement"] == "sensitive"]
        assert {name for claim in claims for name in claim} == CRITICAL
        concluded = await call("conclude", run=run, claims=claims)
        assert concluded["unconfirmed"] == []
        status = await call.until_it_ends(run)
        assert status["exit_code"] == 0
        assert call.progress

        verdicts = await call("verdicts", run=run, limit=2)
        assert verdicts["certified"]
        assert {v["target"] for v in verdicts["verdicts"]} == CRITICAL
        assert {v["reason"] for v in verdicts["verdicts"]} == {""}
        summary = json.loads((allowed.folder / run / "summary.json").read_text())
        gain = summary["root"]["estimated_gain"]
        assert status["gain"]["estimate"] == gain["estimate"]
        assert status["runs"] == summary["cost"]["runs"]
        report = await call("report", run=run)
        assert run in report["text"]
        summary = await call.client.read_resource(f"speedbump://runs/{run}/summary")
        assert '"verdict": "sensitive"' in summary.contents[0].text
        markdown = await call.client.read_resource(f"speedbump://runs/{run}/report")
        assert markdown.contents[0].text == report["text"]
        menu = await call("benchmarks")
        assert [(each["run"], each["state"]) for each in menu["runs"]] == [(run, "ended")]

    talk(allowed, conversation)


def test_tree_pages_and_says_what_is_known_so_far(allowed):
    async def conversation(call):
        run = (await call("start", benchmark="bench", strategy="external"))["run"]
        said = await call.refused("tree", run=run)
        assert "nothing is known" in said or "begin with" in said
        await call.until_it_waits(run)
        await call("probe", run=run, sets=[[NAMES[0]]])
        root = await call("tree", run=run)
        assert [child["node"] for child in root["children"]] == ["app.*:*"]
        page = await call("tree", run=run, node="app.*:*", limit=3)
        assert (len(page["children"]), page["total"], page["next_offset"]) == (3, 4, 3)
        rest = await call("tree", run=run, node="app.*:*", offset=3)
        assert (len(rest["children"]), rest["next_offset"]) == (1, None)
        assert page["children"][0]["own_share"] == pytest.approx(0.4, rel=0.1)
        assert "no node 'no.such:*'" in await call.refused("tree", run=run, node="no.such:*")
        assert not (await call("verdicts", run=run))["certified"]

    talk(allowed, conversation)


def test_a_claim_of_results_it_did_not_get_comes_back(allowed):
    async def conversation(call):
        run = (await call("start", benchmark="bench", strategy="external"))["run"]
        await call.until_it_waits(run)
        hidden = sorted(set(NAMES) - CRITICAL)[0]
        handed_back = await call("conclude", run=run, claims=[[hidden]])
        assert handed_back["unconfirmed"] == [[hidden]]
        assert handed_back["state"] == "waiting for a decision"
        await call("conclude", run=run, claims=[[hidden]])
        status = await call.until_it_ends(run)
        assert status["exit_code"] == 3
        verdicts = await call("verdicts", run=run)
        assert not verdicts["certified"]
        assert all(v["verdict"] != "sensitive" for v in verdicts["verdicts"])
        assert any("do not confirm" in note for note in verdicts["notes"])

    talk(allowed, conversation)


def test_outcomes_that_were_not_waited_for_are_in_the_status(allowed, monkeypatch):
    monkeypatch.setenv("TEST_RUN_LASTS_S", "0.02")

    async def conversation(call):
        run = (await call("start", benchmark="bench", strategy="external"))["run"]
        await call.until_it_waits(run)
        hidden = sorted(set(NAMES) - CRITICAL)[0]
        probed = await call("probe", run=run, sets=[[hidden]], seconds=0.01)
        assert (probed["state"], probed["outcomes"]) == ("measuring", [])
        status = await call.until_it_waits(run)
        known = [(o["items"], o["judgement"]) for o in status["outcomes"]]
        assert known == [([hidden], "insensitive")]
        handed_back = await call("conclude", run=run, claims=[[hidden]])
        assert "not confirmed" in handed_back["note"]
        assert "concluding again leaves" in handed_back["note"]

    talk(allowed, conversation)


def test_calls_that_cannot_be_served_are_refused_with_a_sentence(allowed):
    async def conversation(call):
        refused = call.refused
        assert "there is no benchmark 'rm'" in await refused("start", benchmark="rm")
        assert "more than the user allows" in await refused("start", benchmark="bench", budget="2h")
        said = await refused("start", benchmark="bench", budget="soon")
        assert ": budget: 'soon' is not a time" in said
        assert "there is no argument 'decider'" in await refused(
            "start", benchmark="bench", decider="x"
        )
        assert "there is no argument 'bugdet'; there are benchmark, strategy, budget" in (
            await refused("start", benchmark="bench", bugdet="1m")
        )
        assert "no strategy 'luck'" in await refused("start", benchmark="bench", strategy="luck")
        assert "arguments are not allowed" in await refused(
            "start", benchmark="bench", arguments=["--rm"]
        )
        assert "too many stars" in await refused(
            "start", benchmark="bench", include=["*a*a*a*a*a*:*"]
        )
        assert "has no ':'" in await refused("start", benchmark="bench", exclude=["x"])
        for run in ("20260101-000000-0000", "../runs", "/etc", "..", ""):
            for tool in ("status", "wait", "stop", "resume", "tree", "verdicts", "report"):
                assert "there is no run" in await refused(tool, run=run), (run, tool)
        assert "at most 80 characters" in await refused("status", run="x" * 100)
        run = (await call("start", benchmark="bench", strategy="external"))["run"]
        assert "is being measured" in await refused("start", benchmark="bench")
        assert "does not wait for a decision yet" in await refused("probe", run=run, sets=[["*:*"]])
        await call.until_it_waits(run)
        assert "matches no item" in await refused("probe", run=run, sets=[["no.such:f"]])
        assert "is empty" in await refused("probe", run=run, sets=[[]])
        assert "at least 1 item" in await refused("probe", run=run, sets=[])
        assert "at most 32 items" in await refused("probe", run=run, sets=[["*:*"]] * 33)
        assert "at most 500 characters" in await refused("probe", run=run, sets=[["x" * 501]])
        assert "at most 200 items" in await refused("probe", run=run, sets=[["*:*"] * 201])
        assert "two claims share" in await refused(
            "conclude", run=run, claims=[[NAMES[0], NAMES[1]], [NAMES[1]]]
        )
        assert "is still going on" in await refused("report", run=run)
        assert "no function 'no.such:f'" in await refused("source", run=run, target="no.such:f")
        await call("probe", run=run, sets=[[NAMES[0]]])
        await call("stop", run=run)
        assert "has ended" in await refused("delegate", run=run)
        searching = (await call("start", benchmark="bench"))["run"]
        assert "searches by itself" in await refused("delegate", run=searching)
        assert "is not going on here" in await refused("status", run=run)

    talk(allowed, conversation)


def test_who_cannot_be_understood_again_and_again_may_try_again(allowed):
    async def conversation(call):
        run = (await call("start", benchmark="bench", strategy="external"))["run"]
        await call.until_it_waits(run)
        said = [await call.refused("probe", run=run, sets=[["no.such:f"]]) for _ in range(12)]
        assert all("matches no item" in each for each in said)
        largest = [["a:" + "x" * 498] * 200] * 32
        assert "matches no item" in await call.refused("probe", run=run, sets=largest)
        probed = await call("probe", run=run, sets=[[NAMES[3]]])
        assert [o["judgement"] for o in probed["outcomes"]] == ["sensitive"]

    talk(allowed, conversation)


def test_what_somebody_else_measures_in_the_same_folder_is_not_disturbed(allowed):
    async def conversation(call):
        run = (await call("start", benchmark="bench", strategy="external"))["run"]
        await call.until_it_waits(run)
        async with Client(server(allowed)) as other:
            assert "by somebody else" in await Caller(other).refused("start", benchmark="bench")

    talk(allowed, conversation)


def test_what_was_stopped_is_resumed_and_gives_an_answer(allowed):
    async def conversation(call):
        run = (await call("start", benchmark="bench", strategy="external"))["run"]
        await call.until_it_waits(run)
        await call("probe", run=run, sets=[["app.m0:*"]])
        before = await call("status", run=run)
        status = await call("stop", run=run)
        assert (status["state"], status["exit_code"]) == ("ended", 130)
        assert "; suspected so far" in status["headline"] or "Undecided" in status["headline"]
        assert status["headline"].endswith("resume goes on from here.")
        assert (await call("benchmarks"))["runs"][0]["state"] == "interrupted"
        await call("resume", run=run)
        status = await call.until_it_waits(run)
        assert [o["items"] for o in status["suspects"]] == []
        assert before["runs"] > 0
        for known in ("runs", "elapsed_s", "left_s"):
            assert status[known] == pytest.approx(before[known], abs=2.0), known
        said = await call.refused("probe", run=run, sets=[["app.m0:*"]])
        assert "judged already" in said, "what was measured is known"
        await call("delegate", run=run)
        assert (await call.until_it_ends(run))["exit_code"] == 0

    talk(allowed, conversation)


def test_a_cancelled_call_leaves_the_run_as_it_is(allowed, monkeypatch):
    monkeypatch.setenv("TEST_RUN_LASTS_S", "0.1")

    async def conversation(call):
        run = (await call("start", benchmark="bench", strategy="external"))["run"]
        await call.until_it_waits(run)
        probe = asyncio.create_task(call("probe", run=run, sets=[["app.m3:*"], ["app.m1:*"]]))
        while (await call("status", run=run))["state"] != "measuring":
            await asyncio.sleep(0.01)
        assert "another decision" in await call.refused("probe", run=run, sets=[["app.m2:*"]])
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        status = await call.until_it_waits(run)
        assert len(status["suspects"]) == 2, "the probe was measured all the same"
        probed = await call("probe", run=run, sets=[["app.m2:*"]], seconds=0.01)
        assert (probed["state"], probed["outcomes"]) == ("measuring", [])
        assert "still measuring" in probed["note"]
        await call.until_it_waits(run)

    talk(allowed, conversation)


def test_what_is_stopped_at_once_was_stopped(allowed):
    async def conversation(call):
        run = (await call("start", benchmark="bench"))["run"]
        status = await call("stop", run=run)
        assert (status["exit_code"], status["headline"]) == (130, "stopped")

    talk(allowed, conversation)


def test_calls_side_by_side_are_answered(allowed):
    async def conversation(call):
        started = await asyncio.gather(
            *(call("start", benchmark="bench", strategy="external") for _ in range(4)),
            return_exceptions=True,
        )
        (one,) = [each for each in started if not isinstance(each, Exception)]
        assert all("is being measured" in str(e) for e in started if isinstance(e, Exception))
        await call.until_it_waits(one["run"])
        answers = await asyncio.gather(
            *(call("status", run=one["run"]) for _ in range(20)),
            *(call("tree", run=one["run"]) for _ in range(10)),
            *(call("verdicts", run=one["run"]) for _ in range(10)),
        )
        assert len(answers) == 40

    talk(allowed, conversation)


def test_the_process_of_a_run_that_dies_is_said(allowed, tmp_path, monkeypatch):
    dies = tmp_path / "dies.py"
    dies.write_text("import sys\nsys.stdin.readline()\nsys.exit(9)\n")
    monkeypatch.setattr(running, "CHILD", (sys.executable, str(dies)))

    async def conversation(call):
        run = (await call("start", benchmark="bench"))["run"]
        status = await call.until_it_ends(run)
        assert "exit code 9" in status["headline"]
        assert "resume" not in status["headline"], "there is nothing to go on from"
        assert "there is no run" in await call.refused("verdicts", run=run)

    talk(allowed, conversation)


def test_every_tool_says_what_it_is_for_and_what_it_answers(allowed):
    async def conversation(call):
        tools = (await call.client.list_tools()).tools
        assert len(tools) == 13
        for tool in tools:
            assert len(tool.description) > 40, tool.name
            assert tool.output_schema["type"] == "object", tool.name
        prompt = await call.client.get_prompt("triage", {"benchmark": "bench"})
        assert "What you may not say" in prompt.messages[0].content.text

    talk(allowed, conversation)
