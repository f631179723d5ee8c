from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from injector import ledger as ledger_module
from injector.ledger import SPARE, WIDTH, Ledger
from injector.records import read_records


def names_file(folder: Path) -> Path:
    return next(folder.glob("*.names"))


def test_what_is_written_is_read_while_the_process_still_runs(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), {"backend": "none", "name": "me"})
    slot = ledger.add("target", target="app:run", line=3, file="/app.py")
    ledger.counters[slot * WIDTH] = 12
    ledger.counters[slot * WIDTH + 2] = 2**40
    (record,) = read_records(tmp_path)
    assert record.header["pid"] == os.getpid()
    assert record.header["name"] == "me"
    (target,) = record.of("target")
    assert target.fields == {"target": "app:run", "line": 3, "file": "/app.py"}
    assert target["calls"] == 12
    assert target["delayed_ns"] == 2**40
    assert record.attached_ns == record.of("process")[0]["attached_ns"]


def test_a_torn_last_line_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), {})
    ledger.add("target", target="a:b")
    with names_file(tmp_path).open("ab") as file:
        file.write(b'{"slot":2,"kind":"tar')
    (record,) = read_records(tmp_path)
    assert [e.fields["target"] for e in record.of("target")] == ["a:b"]


def test_a_torn_header_is_no_process(tmp_path: Path) -> None:
    Ledger(str(tmp_path), {})
    names_file(tmp_path).write_bytes(b'{"version":1,"pi')
    assert read_records(tmp_path) == []


def test_a_truncated_counts_file_reads_as_zeros(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), {})
    ledger.add("target", target="a:b")
    os.truncate(next(tmp_path.glob("*.counts")), 70)
    (record,) = read_records(tmp_path)
    assert record.of("target")[0].counters == (0,) * WIDTH


def test_an_error_of_our_own_says_what_and_where(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), {})
    try:
        _ = {}["missing"]
    except KeyError as error:
        ledger.error(error)
    (record,) = read_records(tmp_path)
    (sentence,) = record.errors
    assert sentence.startswith("KeyError: 'missing' (test_ledger.py:")


def test_a_child_has_the_names_and_none_of_the_counts_or_errors(tmp_path: Path) -> None:
    parent = Ledger(str(tmp_path), {"name": "parent"})
    slot = parent.add("target", target="a:b")
    parent.counters[slot * WIDTH] = 5
    parent.error(ValueError("of the parent"))
    child = parent.child(name="child")
    child.counters[slot * WIDTH] = 1
    assert child.add("target", target="a:c") == slot + 1
    first, second = read_records(tmp_path)
    assert (first.header["name"], second.header["name"]) == ("parent", "child")
    assert second.header["forked"]
    assert [e["calls"] for e in first.of("target")] == [5]
    assert [e["calls"] for e in second.of("target")] == [1, 0]
    assert len(first.errors) == 1
    assert not second.errors


def test_a_child_does_not_inherit_what_its_parent_saw_after_the_fork(tmp_path: Path) -> None:
    parent = Ledger(str(tmp_path), {})
    parent.add("target", target="a:before")
    with names_file(tmp_path).open("ab") as file:  # by the parent, which runs on
        file.write(b'{"slot":2,"kind":"target","target":"a:after"}\n')
    parent.child().add("target", target="a:mine")
    child = read_records(tmp_path)[1]
    assert [(e.slot, e.fields["target"]) for e in child.of("target")] == [
        (1, "a:before"),
        (2, "a:mine"),
    ]


def test_a_role_found_later_becomes_the_name(tmp_path: Path) -> None:
    Ledger(str(tmp_path), {"name": "-c"}).note("role", name="SpawnProcess-1")
    assert read_records(tmp_path)[0].header["name"] == "SpawnProcess-1"


def test_a_full_ledger_says_so_once_and_counts_into_the_spare_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "SPARE", 3)
    ledger = Ledger(str(tmp_path), {})
    assert [ledger.add("target", target=str(i)) for i in range(5)] == [1, 2, 3, 3, 3]
    (record,) = read_records(tmp_path)
    assert len(record.of("target")) == 2
    assert len(record.errors) == 1
    size = next(tmp_path.glob("*.counts")).stat().st_size
    assert size > SPARE * WIDTH * 8


def test_a_full_disk_is_said_and_nothing_is_written_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(str(tmp_path), {})
    first = [ledger.add("target", target=str(i)) for i in range(100)]

    def full(*arguments: int) -> None:
        raise OSError(errno.ENOSPC, "no space is left")

    monkeypatch.setattr(os, "posix_fallocate", full)
    more = [ledger.add("target", target=f"m{i}") for i in range(100)]
    assert first == list(range(1, 101))
    assert more[-50:] == [SPARE] * 50
    (record,) = read_records(tmp_path)
    assert len(record.of("target")) == 100 + sum(s != SPARE for s in more)
    (said,) = record.errors
    assert "the disk is full" in said
    with pytest.raises(OSError, match="no space"):
        ledger.child()


def test_names_of_any_characters_survive(tmp_path: Path) -> None:
    name = 'm:é"\n\\<locals>.\udc80'
    Ledger(str(tmp_path), {}).add("target", target=name)
    assert read_records(tmp_path)[0].of("target")[0].fields["target"] == name


def test_a_counter_that_does_not_exist_is_a_key_error(tmp_path: Path) -> None:
    Ledger(str(tmp_path), {}).add("edge", caller=1, callee=2)
    with pytest.raises(KeyError, match="edge lines have no counter 'wait_ns'"):
        read_records(tmp_path)[0].of("edge")[0]["wait_ns"]
