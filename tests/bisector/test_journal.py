import math
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisector.discovery import CodeProfile, Discovery, Function, SiteProfile
from bisector.errors import RunDirectoryError
from bisector.journal import _SCHEMA, FORMAT, Journal
from bisector.observations import Delivered, RunObserved, RunRequest

REQUEST = RunRequest(
    1, "search", 2, frozenset({"a:f", "b:C.g"}), 0.25, limit_s=1 / 3, label="a.*:*"
)
OBSERVED = RunObserved(
    1,
    "ok",
    elapsed_s=1.5,
    wall_s=1 / 3,
    value=120.0,
    time_per_unit_s=1 / 120,
    processes=2,
    delivered={"a:f": Delivered(10, 9, 1234.5)},
    calls_total=10,
)
DISCOVERY = Discovery(
    functions=(
        Function(
            "a:f",
            "a.py",
            3,
            1 / 7,
            0.1,
            0.0,
            0.2,
            codes=(CodeProfile(3, (SiteProfile("call", 12, 1.0, 0.1, 0.0, 0.2),)),),
            processes=("main",),
        ),
    ),
    imports=(("", "a"),),
    calls_between=(("a:f", "a:g", 2.5),),
    modules=("a",),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path):
    with Journal.create(path, {"seed": 1}) as journal:
        yield journal


def test_what_is_appended_is_read_back_equal_and_in_order(journal, path):
    second = RunObserved(2, "ok", 2.0, 0.5, discovery=DISCOVERY)
    journal.append(REQUEST, OBSERVED)
    journal.append(RunRequest(2, "discover", 2), second, {"metric": {"kind": "time"}})
    journal.close()
    with Journal.open(path) as again:
        assert list(again.observations()) == [
            (REQUEST, OBSERVED),
            (RunRequest(2, "discover", 2), second),
        ]
        assert again.meta() == {"seed": 1, "metric": {"kind": "time"}}


@given(st.floats(allow_nan=False), st.text(), st.frozensets(st.text(), max_size=5))
def test_every_float_and_every_name_comes_back_exactly(value, text, names):
    with Journal(None, sqlite3.connect(":memory:", isolation_level=None)) as journal:
        journal._connection.executescript(_SCHEMA)
        request = RunRequest(1, "sweep", 1, names, dose=value, label=text)
        observed = RunObserved(1, "slow", value, value, reason=text)
        journal.append(request, observed)
        assert list(journal.observations()) == [(request, observed)]


def test_not_a_number_survives(journal):
    journal.append(REQUEST, RunObserved(1, "ok", 0.0, math.nan))
    ((_, observed),) = journal.observations()
    assert math.isnan(observed.wall_s)


def test_an_observation_and_what_became_known_with_it_are_one_transaction(journal):
    with pytest.raises(TypeError):
        journal.append(REQUEST, OBSERVED, {"metric": object()})
    assert list(journal.observations()) == []


def test_a_directory_that_holds_a_run_is_not_overwritten(journal, path):
    with pytest.raises(RunDirectoryError, match="already holds a run; resume it with"):
        Journal.create(path, {})


def test_an_empty_file_left_by_a_killed_start_is_taken_over(path):
    path.touch()
    with pytest.raises(RunDirectoryError, match="holds no run: its journal is empty"):
        Journal.open(path)
    Journal.create(path, {"seed": 2}).close()
    with Journal.open(path) as journal:
        assert journal.meta() == {"seed": 2}


def test_no_journal(path):
    with pytest.raises(RunDirectoryError, match="holds no run"):
        Journal.open(path)


@pytest.mark.parametrize(
    "content", [b"hello" * 1000, b"\0" * 5000, b"SQLite format 3\0" + b"x" * 90]
)
def test_what_is_not_a_journal_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"is not a journal|is damaged"):
        Journal.open(path)


def test_another_programs_database_is_refused(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE x (y)")
    with pytest.raises(RunDirectoryError, match="is not a journal of speedbump-bisect"):
        Journal.open(path)


def test_a_journal_of_a_newer_version_says_so(journal, path):
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")
    with pytest.raises(RunDirectoryError, match=r"newer version \(format 2.*upgrade"):
        Journal.open(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_journal_says_so(journal, path, share):
    for seq in range(50):
        journal.append(REQUEST, RunObserved(seq, "ok", 0.0, 1.0, discovery=DISCOVERY))
    journal.close()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(RunDirectoryError, match=r"is damaged|is not a journal"):
        list(Journal.open(path).observations())


def test_a_row_that_makes_no_sense_says_so(journal, path):
    journal._connection.execute("INSERT INTO observations (request, observed) VALUES ('{}', '[')")
    with pytest.raises(RunDirectoryError, match="is damaged"):
        list(journal.observations())


def test_a_full_disk_says_so_and_loses_nothing(journal):
    journal.append(REQUEST, OBSERVED)
    journal._connection.execute("PRAGMA max_page_count = 1")
    heavy = replace(OBSERVED, reason="x" * 100_000)
    with pytest.raises(RunDirectoryError, match="is full; free some space, then resume"):
        journal.append(REQUEST, heavy)
    assert list(journal.observations()) == [(REQUEST, OBSERVED)]


CRASH = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM observations")
insert = "INSERT INTO observations (request, observed) VALUES (?, ?)"
for _ in range(300):
    connection.execute(insert, ("x" * 4000,) * 2)
os._exit(9)
"""


def test_a_reader_undoes_what_a_crash_left_half_written(journal, path):
    journal.append(REQUEST, OBSERVED)
    journal.close()
    subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False)
    assert path.with_name("journal.db-journal").exists()
    with Journal.open(path, read_only=True) as reader:
        assert list(reader.observations()) == [(REQUEST, OBSERVED)]


def test_readers_do_not_need_to_write(journal, path):
    journal.append(REQUEST, OBSERVED)
    with Journal.open(path, read_only=True) as reader:
        assert len(list(reader.observations())) == 1
        with pytest.raises(RunDirectoryError, match="cannot be written"):
            reader.append(REQUEST, OBSERVED)
