"""What a run found, read from its files: nothing is run, nothing is written there.

Of a run that is finished it is what was written when it ended. Of one that is going on or was
killed the engine is told the journal again, and says what it knows so far.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from bisector.census import Census
from bisector.errors import RunDirectoryError
from bisector.evidence import Evidence, measured
from bisector.journal import Journal
from bisector.run_directory import CENSUS, JOURNAL, SUMMARY, is_in_use, run_at
from bisector.schema import SCHEMA_VERSION, Part
from bisector.session import Session
from bisector.settings import Settings
from bisector.summary import Summary

Document = TypeVar("Document", bound=Part)


def settings_of(path: Path) -> Settings:
    """The settings a run began with.

    Raises:
        RunDirectoryError: the directory holds no usable journal.
    """
    with Journal.open(run_at(path) / JOURNAL, read_only=True) as journal:
        return Settings(**journal.description()["settings"])


def began_at(path: Path) -> datetime:
    """When a run began.

    Raises:
        RunDirectoryError: the directory holds no usable journal.
    """
    with Journal.open(run_at(path) / JOURNAL, read_only=True) as journal:
        return datetime.fromisoformat(journal.description()["started_at"])


def recall(path: Path) -> Summary:
    """The summary of a run.

    Raises:
        RunDirectoryError: the directory holds no usable run.
    """
    path = run_at(path)
    if _is_told(path):
        return _read(path / SUMMARY, Summary)
    with Journal.open(path / JOURNAL, read_only=True) as journal:
        return _session(journal).told()


def evidence_of(path: Path) -> Evidence:
    """All that is known of a run.

    Raises:
        RunDirectoryError: the directory holds no usable run.
    """
    path = run_at(path)
    with Journal.open(path / JOURNAL, read_only=True) as journal:
        if not _is_told(path):
            session = _session(journal)
            return Evidence(
                session.told(), session.census(), measured(session.history), is_in_use(path)
            )
        return Evidence(
            _read(path / SUMMARY, Summary),
            _read(path / CENSUS, Census) if (path / CENSUS).exists() else None,
            measured(journal.observations()),
        )


def _is_told(path: Path) -> bool:
    """Whether the summary says all that the journal knows."""
    summary = path / SUMMARY
    return summary.exists() and summary.stat().st_mtime_ns >= (path / JOURNAL).stat().st_mtime_ns


def _session(journal: Journal) -> Session:
    settings = Settings(**journal.description()["settings"])
    return Session(settings, None, journal, (), time.monotonic())


def _read(path: Path, kind: type[Document]) -> Document:
    """One of the documents that are written when a run ends.

    Raises:
        RunDirectoryError: it is damaged, or of a newer version.
    """
    without = "reads the journal instead" if path.name == SUMMARY else "tells what it can without"
    damaged = RunDirectoryError(f"{path} is damaged; remove it, and report {without}")
    if not path.is_file():
        raise damaged
    try:
        raw: Any = json.loads(path.read_bytes())
        if isinstance(raw, dict) and raw.get("schema_version", 0) > SCHEMA_VERSION:
            raise RunDirectoryError(
                f"{path} was written by a newer version (schema {raw['schema_version']}, this one "
                f"reads up to {SCHEMA_VERSION}); upgrade speedbump-bisect"
            )
        return kind.model_validate(raw)
    except OSError as error:
        raise RunDirectoryError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, RecursionError):
        raise damaged from None
