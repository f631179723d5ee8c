"""Everything that was measured, in the order it was: one SQLite transaction an observation.

Invariant: what `append` returned from is on the disk. The journal is the only truth: the engine's
state is rebuilt by telling it the observations again, so a tool killed at any moment loses at most
the run that was in flight. The file says what it is (application id) and in which format (user
version); a newer format is refused, an older one stays readable.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bisector.errors import RunDirectoryError
from bisector.observations import RunObserved, RunRequest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

APPLICATION_ID = 0x5350_4244
"""``SPBD``: tells our journals from other SQLite files."""
FORMAT = 1
"""Format of the tables; counts up whenever an older tool could no longer read them."""

AT_ONCE = 32
"""Observations that are read together; one of a large program is a megabyte."""

_SCHEMA = f"""
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {FORMAT};
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE observations (
        number INTEGER PRIMARY KEY,
        request TEXT NOT NULL,
        observed TEXT NOT NULL
    );
"""


class Journal:
    """An open journal. `create` makes one, `open` takes up an existing one; both check first."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, meta: Mapping[str, Any]) -> Journal:
        """A new journal with its description, on the disk when this returns.

        Raises:
            RunDirectoryError: there is a journal already, or it cannot be written.
        """
        if path.exists() and path.stat().st_size > 0:
            raise RunDirectoryError(
                f"{path.parent} already holds a run; resume it with "
                f"speedbump-bisect resume {path.parent}, or choose another --output"
            )
        with _telling(path):
            journal = cls(path, _connect(path))
            with journal._transaction():
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    journal._connection.execute(statement)
                journal._put(meta)
        return journal

    @classmethod
    def open(cls, path: Path, read_only: bool = False) -> Journal:
        """An existing journal; a transaction cut short by a crash is undone on the way.

        Raises:
            RunDirectoryError: there is none, it is damaged, of a newer version, or something else.
        """
        if not path.exists():
            raise RunDirectoryError(f"{path.parent} holds no run (there is no {path.name})")
        if path.stat().st_size == 0:
            raise RunDirectoryError(f"{path.parent} holds no run: its journal is empty; start anew")
        with _telling(path):
            connection = _recovered(path, read_only)
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise RunDirectoryError(
                f"{path} is not a journal of speedbump-bisect; name another run"
            )
        if version > FORMAT:
            raise RunDirectoryError(
                f"{path} was written by a newer version (format {version}, this one reads up to "
                f"{FORMAT}); upgrade speedbump-bisect"
            )
        with _telling(path):
            check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise _damaged(path)
        return cls(path, connection)

    def append(
        self, request: RunRequest, observed: RunObserved, meta: Mapping[str, Any] | None = None
    ) -> None:
        """Add one observation, and what became known with it, in one transaction.

        Raises:
            RunDirectoryError: it could not be written; the journal is as it was before.
        """
        row = (_written(request), _written(observed))
        insert = "INSERT INTO observations (request, observed) VALUES (?, ?)"
        with _telling(self.path), self._transaction():
            self._connection.execute(insert, row)
            self._put(meta or {})

    def note(self, meta: Mapping[str, Any]) -> None:
        """Add to the description of the run, or change it, in one transaction.

        Raises:
            RunDirectoryError: it could not be written.
        """
        with _telling(self.path), self._transaction():
            self._put(meta)

    def observations(self) -> Iterator[tuple[RunRequest, RunObserved]]:
        """All of them, in order.

        Raises:
            RunDirectoryError: a row cannot be read.
        """
        # A few at a time: a reader that takes its time must not keep a writer waiting.
        query = "SELECT * FROM observations WHERE number > ? ORDER BY number LIMIT ?"
        last = -1
        with _telling(self.path):
            while rows := self._connection.execute(query, (last, AT_ONCE)).fetchall():
                last = rows[-1][0]
                for _, request, observed in rows:
                    yield (
                        _adapters()[RunRequest].validate_python(json.loads(request)),
                        _adapters()[RunObserved].validate_python(json.loads(observed)),
                    )

    def meta(self) -> dict[str, Any]:
        """The description of the run: settings, seed, versions, calibration, metric ...

        Raises:
            RunDirectoryError: it cannot be read.
        """
        with _telling(self.path):
            rows = self._connection.execute("SELECT name, value FROM meta").fetchall()
            return {name: json.loads(value) for name, value in rows}

    def description(self) -> dict[str, Any]:
        """The same, complete.

        Raises:
            RunDirectoryError: parts of it are missing.
        """
        meta = self.meta()
        needed = {"settings", "run_id", "started_at", "command", "python", "fingerprint"}
        if missing := needed - meta.keys():
            raise RunDirectoryError(
                f"{self.path} lacks {', '.join(sorted(missing))}; it cannot be taken up again"
            )
        return meta

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, tables included (which `sqlite3` by itself would commit one by one)."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _put(self, meta: Mapping[str, Any]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            [(name, json.dumps(value)) for name, value in meta.items()],
        )


def _connect(path: Path, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    quoted = str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{quoted}?mode={mode}", uri=True, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _recovered(path: Path, read_only: bool) -> sqlite3.Connection:
    """Connect; what a crash left half written is undone, which a reader alone may not do."""
    try:
        connection = _connect(path, read_only)
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        if not read_only:
            raise
        connection = _connect(path)
    return connection


def _written(value: RunRequest | RunObserved) -> str:
    """One value as JSON; floats come back exactly as they were, infinite ones too."""
    return json.dumps(_adapters()[type(value)].dump_python(value, mode="json"))


@cache
def _adapters() -> dict[type, TypeAdapter[Any]]:
    from pydantic import TypeAdapter

    return {kind: TypeAdapter(kind) for kind in (RunRequest, RunObserved)}


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Turn what SQLite says into a sentence with a next step."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "full" in text:
            raise RunDirectoryError(
                f"the disk under {path.parent} is full; free some space, then resume"
            ) from None
        if "readonly" in text or "unable to open" in text:
            raise RunDirectoryError(f"{path} cannot be written; choose another --output") from None
        if "locked" in text:
            raise RunDirectoryError(f"{path} is in use by another program; close it") from None
        raise _damaged(path) from None
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise RunDirectoryError(
                f"{path} is not a journal of speedbump-bisect; name another run"
            ) from None
        raise _damaged(path) from None
    except ValueError:
        raise _damaged(path) from None


def _damaged(path: Path) -> RunDirectoryError:
    return RunDirectoryError(
        f"{path} is damaged or truncated and cannot be taken up again; start a new run"
    )
