import errno
import os

import pytest

from bisector.errors import RunDirectoryError
from bisector.run_directory import RunDirectory, unusable


def test_it_is_made_with_an_empty_slot_and_left_without_one(tmp_path):
    with RunDirectory(tmp_path / "a" / "b") as directory:
        assert os.listdir(directory.slot) == ["records"]
    assert os.listdir(tmp_path / "a" / "b") == ["lock"]


def test_one_tool_at_a_time(tmp_path):
    first = RunDirectory(tmp_path)
    with pytest.raises(RunDirectoryError, match="is in use by another run"):
        RunDirectory(tmp_path)
    first.close()
    RunDirectory(tmp_path).close()


def test_the_slot_of_a_killed_session_goes_and_the_new_one_has_a_name_as_long(tmp_path):
    stale = tmp_path / "slot-00000000"
    (stale / "records").mkdir(parents=True)
    with RunDirectory(tmp_path) as directory:
        assert not stale.exists()
        assert directory.slot != stale
        assert len(directory.slot.name) == len(stale.name)


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    with RunDirectory(tmp_path) as directory:
        directory.write(directory.summary, "one")
        directory.write(directory.summary, "two")
        assert directory.summary.read_text() == "two"
        assert sorted(os.listdir(tmp_path)) == ["lock", directory.slot.name, "summary.json"]


def test_a_file_in_its_place_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunDirectoryError, match="is not a directory; choose another --output"):
        RunDirectory(tmp_path / "file")


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EROFS, "is read-only; choose another --output"),
        (errno.EACCES, "is read-only; choose another --output"),
        (errno.ENOSPC, "is full; free some space, then resume"),
        (errno.EDQUOT, "is full; free some space, then resume"),
    ],
)
def test_what_the_system_refuses_is_said_with_a_next_step(tmp_path, number, sentence, monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.open", refuse)
    with pytest.raises(RunDirectoryError) as caught:
        RunDirectory(tmp_path)
    assert sentence in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_full_disk_is_said_before_anything_runs_on_it(tmp_path, monkeypatch):
    disk = os.statvfs(tmp_path)
    with RunDirectory(tmp_path) as directory:
        monkeypatch.setattr("os.statvfs", lambda path: FullDisk(disk.f_frsize))
        with pytest.raises(RunDirectoryError, match="is full: less than 32 MB are free"):
            directory.require_room()
    with pytest.raises(RunDirectoryError, match="is full"):
        RunDirectory(tmp_path)
    monkeypatch.undo()
    RunDirectory(tmp_path).close()


class FullDisk:
    f_bavail = 0

    def __init__(self, block):
        self.f_frsize = block


def test_what_came_to_nothing_leaves_nothing(tmp_path):
    directory = RunDirectory(tmp_path / "new")
    directory.journal.touch()
    directory.discard()
    assert os.listdir(tmp_path) == []
    RunDirectory(tmp_path).discard()
    assert tmp_path.exists(), "it was there before"


def test_an_unforeseen_refusal_quotes_the_system(tmp_path):
    error = unusable(tmp_path, OSError(errno.ELOOP, os.strerror(errno.ELOOP)))
    assert "Too many levels of symbolic links" in str(error)
