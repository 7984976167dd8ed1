"""The state of a sync: what was told of each row, in the file of its source's journal.

One file and one step: what is promised to the log and what is known of the rows change together, or not at all. So a
process that dies anywhere goes on where it was, and no event is told twice or forgotten.
"""

import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from bus.framing import FRAME_BYTES
from producers.errors import WrongJournalError
from producers.journal import Promise
from producers.journal_file import SqliteJournal

ID_BYTES = 16
KEYS_TOGETHER_MAX = 10_000  # below SQLite's limit of variables
_COLUMNS = "key, digest, version, subject, record_key, history"


class RowState(NamedTuple):
    """What was told of one row; `digest` is None when the row is gone."""

    key: bytes
    digest: bytes | None
    version: int
    subject: bytes
    record_key: str
    history: bytes


class SyncState(SqliteJournal):
    """The journal of a source that is a table, and the state of its rows."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock = threading.RLock()
        self._covered: Mapping[bytes, RowState] = {}

    def open(self, *, source: str, topic: str) -> None:
        """See Journal."""
        super().open(source=source, topic=topic)
        with self._transaction() as connection:
            for statement in _statements("sync_state.sql"):
                connection.execute(statement)

    def hold(self, check: str) -> None:
        """Returns when the state was made with the same keys. Raises WrongJournalError."""
        if self.marks().get("check", check) != check:
            raise WrongJournalError(
                f"the state '{self.path}' was made with another domain key, or as another source",
                remedy="set YEKBAR_DOMAIN_KEY as it was; with another key every person is another one",
            )
        self.mark(check=check)

    def cover(self, rows: Mapping[bytes, RowState]) -> None:
        """Says what will be known of rows once an event is promised, by the event's id."""
        self._covered = rows

    def settle_rows(self) -> None:
        """Puts what was told last in its place."""
        with self._transaction() as connection:
            if connection.execute("SELECT EXISTS (SELECT 1 FROM news)").fetchone() == (1,):
                connection.execute(_text("sync_settle.sql"))
                connection.execute("DELETE FROM news")

    def rows(self, keys: Sequence[bytes]) -> list[RowState]:
        """What is known of the rows with these keys, in the order of the keys."""
        found = self._of(_COLUMNS, keys)
        by_key = {row[0]: RowState._make(row) for row in found}
        return [by_key[key] for key in keys if key in by_key]

    def digests(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """What the rows with these keys say; None when a row is gone."""
        return dict(self._of("key, digest", keys))

    def all_digests(self) -> dict[bytes, bytes | None]:
        """What every row says, some hundred bytes of memory each."""
        with self._lock, self._translated():
            return dict(self._opened.execute("SELECT key, digest FROM rows"))

    def _of(self, columns: str, keys: Sequence[bytes]) -> list[Any]:
        """Columns of rows. What was told since the last settling is not found."""
        found: list[Any] = []
        for start in range(0, len(keys), KEYS_TOGETHER_MAX):
            some = sorted(keys[start : start + KEYS_TOGETHER_MAX])
            marks = ", ".join("?" * len(some))
            found += self._read(f"SELECT {columns} FROM rows WHERE key IN ({marks})", some)
        return found

    def keep(self, rows: Collection[RowState]) -> None:
        """Keeps what is known of rows whose events the log has already."""
        with self._transaction() as connection:
            _insert(connection, rows)

    def marks(self) -> Mapping[str, Any]:
        """How far the rounds have come."""
        return {name: json.loads(value) for name, value in self._read("SELECT name, value FROM marks", ())}

    def mark(self, **values: Any) -> None:
        """Remembers how far the rounds have come."""
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO marks VALUES (?, ?)",
                [(name, json.dumps(value, ensure_ascii=False)) for name, value in values.items()],
            )

    def has_learnt(self) -> bool:
        """Whether the log holds events of the source that this state did not promise: an earlier state was lost."""
        return self._read("SELECT EXISTS (SELECT 1 FROM published)", ()) == [(1,)]

    def _keep_beside(self, connection: sqlite3.Connection, promise: Promise) -> None:
        ids = (value[FRAME_BYTES : FRAME_BYTES + ID_BYTES] for value in promise.values)
        covered = self._covered
        _insert(connection, [covered[event_id] for event_id in ids if event_id in covered])

    def _read(self, query: str, parameters: Sequence[Any]) -> list[Any]:
        with self._lock, self._translated():
            return self._opened.execute(query, parameters).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """See SqliteJournal: the publisher's own thread and the rounds share one connection."""
        with self._lock, super()._transaction() as connection:
            yield connection


def _insert(connection: sqlite3.Connection, rows: Collection[RowState]) -> None:
    connection.executemany(f"INSERT INTO news ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", rows)


def _text(name: str) -> str:
    return files("producers").joinpath("sql", name).read_text(encoding="utf-8")


def _statements(name: str) -> list[str]:
    return [one for one in _text(name).split(";") if one.strip()]
