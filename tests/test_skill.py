"""The agent skill is made as such are, says only what exists, and its example does what it says."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bisector.cli import main
from bisector.schema import Summary, json_schema

SKILL = Path(__file__).parents[1] / "examples" / "skills" / "speedbump-bisect"
TEXT = (SKILL / "SKILL.md").read_text("utf-8")
_, HEAD, BODY = TEXT.split("---\n", 2)
FIELDS = {
    match[1]: " ".join(match[2].removeprefix(">-").split())
    for match in re.finditer(r"^(\w+):(.*(?:\n  .*)*)", HEAD, re.MULTILINE)
}
EXAMPLE = BODY.split("## A worked example\n")[1].split("\n## ")[0]
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", EXAMPLE, re.S) for line in block.splitlines()
]


def test_the_front_matter_is_what_agents_expect():
    assert set(FIELDS) <= {"name", "description", "license", "compatibility", "metadata"}
    assert FIELDS["name"] == SKILL.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", FIELDS["name"])
    assert 0 < len(FIELDS["description"]) <= 1024
    assert len(FIELDS["compatibility"]) <= 500
    assert len(BODY.splitlines()) < 500


def test_files_it_points_to_are_there():
    links = re.findall(r"\]\(([^)]+)\)", BODY)
    assert links
    assert all((SKILL / link).is_file() for link in links)


def test_options_it_names_exist(capsys):
    helps = ""
    for command in ((), ("resume",), ("report",), ("inject",)):
        main([*command, "--help"])
        helps += capsys.readouterr().out
    told = TEXT + (SKILL / "reference.md").read_text("utf-8")
    own = {"--fixed", "--steps"}  # of the example
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", told)) - own:
        assert re.search(rf"{option}\b", helps), option


def test_fields_it_names_exist():
    known = json.dumps(json_schema())
    table = (SKILL / "reference.md").read_text("utf-8").split("| command |")[0]
    named = re.findall(r"`([a-z_.0-9\[\]]+)`", table) + re.findall(r"`([a-z_]+_[a-z_0-9]+)`", BODY)
    for path in named:
        for name in re.findall(r"[a-z_0-9]{3,}", path):
            assert f'"{name}"' in known or name in ("null", "found", "json"), path


@pytest.mark.process
@pytest.mark.investigation
def test_the_worked_example_does_what_it_says(tmp_path):
    """With a smaller budget, so that it may stay undecided; it is never wrong."""
    shutil.copytree(SKILL, tmp_path, dirs_exist_ok=True)
    ended = {}
    for command in COMMANDS:
        words = shlex.split(command.replace("--budget 60s", "--budget 5s"))
        ended[command] = subprocess.run(
            words,
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    alone, found, told, *injected, fixed = ended.values()
    for run in (alone, *injected, fixed):
        assert run.returncode == 0, run.stderr
        assert re.match(r"throughput: [0-9.]+ steps/s\n", run.stdout)
    for run in injected:
        assert re.search(r"__main__:(without_doubles|prepare_batch)", run.stderr)
    assert found.returncode in (0, 3), found.stderr
    assert told.returncode == found.returncode
    assert (tmp_path / "found.md").read_text("utf-8").startswith("### ")
    summary = Summary.model_validate_json((tmp_path / "found.json").read_bytes())
    if summary.stop_reason == "certified":
        assert [f.target for f in summary.sensitive] == ["__main__:without_doubles"]
        assert [ticket.targets for ticket in summary.tickets] == [["__main__:without_doubles"]]
