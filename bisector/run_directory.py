"""The directory of one investigation: journal, summary, plans, and the slot the runs read from.

Invariant: one tool at a time. A lock on ``lock`` is held as long as the directory is open and goes
with the process, however it ends. What an earlier session that was killed has left running is ended
first. The slot gets a new name of constant length each time the directory is opened, so that none
of it can write there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from bisector.errors import RunDirectoryError
from bisector.leftovers import end_processes_of
from bisector.ownership import stranger

DEFAULT_PARENT = ".speedbump"
JOURNAL, SUMMARY, CENSUS = "journal.db", "summary.json", "census.json"

LEAST_FREE_BYTES = 32_000_000
"""Room for the records of a run. They are written through a memory map, where a full disk does not
end in an error but in the death of the benchmark (SIGBUS): better not to begin."""


class RunDirectory:
    """An opened and locked run directory. Close it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open or make the directory and lock it.

        Raises:
            RunDirectoryError: it cannot be made or written to, or another run uses it.
        """
        # Absolute, because the warden and the benchmark run elsewhere.
        self.path = path = path.absolute()
        if whose := stranger(path) or stranger(path / JOURNAL):
            raise RunDirectoryError(f"{path} {whose}; copy it to make it yours, or name another")
        self._made = not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unusable(path, error) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise RunDirectoryError(
                f"{path} is in use by another run; wait for it, or choose another --output"
            ) from None
        try:
            self.require_room()
            self.ended: list[str] = []
            """Command lines of processes of an earlier session that still ran."""
            for stale in path.glob("slot-*"):
                self.ended += end_processes_of(stale)
                shutil.rmtree(stale, ignore_errors=True)
            self.slot = path / f"slot-{secrets.token_hex(4)}"
            self.slot.mkdir()
            (self.slot / "records").mkdir()
        except OSError as error:
            os.close(self._lock)
            raise unusable(path, error) from None
        except RunDirectoryError:
            os.close(self._lock)
            raise

    @property
    def journal(self) -> Path:
        """Where the journal is."""
        return self.path / JOURNAL

    @property
    def summary(self) -> Path:
        """Where the summary is written, as JSON."""
        return self.path / SUMMARY

    @property
    def census(self) -> Path:
        """Where it is written what became of each function, as JSON."""
        return self.path / CENSUS

    def require_room(self) -> None:
        """Look whether a run's records still fit on the disk.

        Raises:
            RunDirectoryError: they may not.
        """
        require_room(self.path, "choose another --output")

    def discard(self) -> None:
        """Take away what was made for a run that came to nothing, and close."""
        for path in (self.journal, self.summary, self.census):
            path.unlink(missing_ok=True)
        self.close()
        if self._made:
            with contextlib.suppress(OSError):
                (self.path / "lock").unlink()
                self.path.rmdir()

    def write(self, path: Path, text: str) -> None:
        """Write a file of the directory so that it is there whole or not at all.

        Raises:
            RunDirectoryError: it cannot be written.
        """
        draft = path.with_name(path.name + ".part")
        try:
            draft.write_text(text, encoding="utf-8")
            os.replace(draft, path)
        except OSError as error:
            raise unusable(self.path, error) from None

    def close(self) -> None:
        """Remove the slot and let go of the lock. Idempotent."""
        if self._lock >= 0:
            shutil.rmtree(self.slot, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def run_at(path: Path) -> Path:
    """The absolute path of a run directory; nothing is made there by looking.

    Raises:
        RunDirectoryError: there is no run.
    """
    if not path.is_dir():
        raise RunDirectoryError(f"{path} is not a run directory; name the one to take up again")
    if not (path / JOURNAL).is_file():
        raise RunDirectoryError(f"{path} holds no run (there is no {JOURNAL})")
    return path.absolute()


def is_in_use(path: Path) -> bool:
    """Whether a run is being made in this directory, as far as may be seen."""
    try:
        lock = os.open(path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def require_room(path: Path, remedy: str) -> None:
    """Look whether a run's records still fit on the disk.

    Raises:
        RunDirectoryError: they may not; ``remedy`` is what else to do than to free some space.
    """
    disk = os.statvfs(path)
    if disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES:
        raise RunDirectoryError(
            f"the disk under {path} is full: less than {LEAST_FREE_BYTES // 10**6} MB are free; "
            f"free some space, or {remedy}"
        )


def clear(slot: Path) -> None:
    """Remove what a run wrote into its slot, so that the next one starts in an empty one."""
    shutil.rmtree(slot / "records", ignore_errors=True)
    (slot / "records").mkdir(exist_ok=True)
    for name in ("stdout", "stderr", "prepare"):
        (slot / name).unlink(missing_ok=True)


def unusable(path: Path, error: OSError) -> RunDirectoryError:
    """What to say of a directory that the operating system refuses."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunDirectoryError(f"the disk under {path} is full; free some space, then resume")
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return RunDirectoryError(f"{path} is read-only; choose another --output")
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return RunDirectoryError(f"{path} is not a directory; choose another --output")
    return RunDirectoryError(f"{path} cannot be used: {error.strerror}; choose another --output")
