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
KEYS_READ_TOGETHER = 50_000
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
        """What is known of the rows with these keys. What was told since the last settling is not found."""
        found = self._read(
            f"SELECT {_COLUMNS} FROM rows WHERE key IN ({', '.join('?' * len(keys))})" if keys else "", keys
        )
        return list(map(RowState._make, found))

    def present_keys(self) -> Iterator[list[bytes]]:
        """The keys of all rows that are not gone, some at a time."""
        after = b""
        while some := self._read(
            "SELECT key, digest IS NULL FROM rows WHERE key > ? ORDER BY key LIMIT ?", (after, KEYS_READ_TOGETHER)
        ):
            yield [key for key, is_gone in some if not is_gone]
            after = some[-1][0]

    def count(self) -> int:
        """How many rows there are that are not gone."""
        ((count,),) = self._read("SELECT count(*) FROM rows WHERE digest IS NOT NULL", ())
        return int(count)

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
        if not query:
            return []
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
