"""The journal in one SQLite file, in write-ahead mode, each step on the disk before it returns."""

import os
import sqlite3
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from itertools import accumulate, pairwise
from pathlib import Path

from producers.errors import JournalError, SourceBusyError, WrongJournalError
from producers.journal import FIRST_SEQUENCE, NOTHING_KEPT, Kept, Promise, hold_same_topic, is_content_id

KEY_BYTES = 16
_ASKED_AT_ONCE_MAX = 10_000  # ids in one question to SQLite, below its limit of variables


class SqliteJournal:
    """A journal in one SQLite file, for its owner's eyes only: values hold persons' data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._next_sequence = FIRST_SEQUENCE

    def open(self, *, source: str, topic: str) -> None:
        """See Journal."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as exc:
            raise JournalError(
                f"the journal '{self.path}' cannot be opened: {exc.strerror}", remedy="check the folder and its rights"
            ) from exc
        with self._translated():
            connection = sqlite3.connect(self.path, isolation_level=None, timeout=0, check_same_thread=False)
            try:
                self._prepare(connection, source, topic)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def _prepare(self, connection: sqlite3.Connection, source: str, topic: str) -> None:
        # Exclusive: the lock lasts until the process closes the file or dies, and a second opener is told at once.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise SourceBusyError(
                    f"another process publishes as source '{source}' now",
                    remedy="wait for it to end, or publish as another source",
                ) from None
            raise
        for one in files("producers").joinpath("sql", "journal.sql").read_text(encoding="utf-8").split(";"):
            connection.execute(one)
        connection.execute(
            "INSERT INTO source VALUES (1, ?, ?, NULL, ?) ON CONFLICT DO NOTHING", (source, topic, FIRST_SEQUENCE)
        )
        connection.execute("COMMIT")
        name, bound, self._next_sequence = connection.execute(
            "SELECT name, topic, next_sequence FROM source"
        ).fetchone()
        if (name, bound) != (source, topic):
            raise WrongJournalError(
                f"the journal '{self.path}' is that of source '{name}' on '{bound}', not of '{source}' on '{topic}'",
                remedy="give each source a journal of its own",
            )

    def bind(self, topic_id: str) -> None:
        """See Journal."""
        with self._transaction() as connection:
            (bound,) = connection.execute("SELECT topic_id FROM source").fetchone()
            hold_same_topic(bound, topic_id, f"the journal '{self.path}'")
            connection.execute("UPDATE source SET topic_id = ?", (topic_id,))

    def next_sequence(self) -> int:
        """See Journal."""
        return self._next_sequence

    def positions(self) -> dict[int, int]:
        """See Journal."""
        with self._translated():
            return dict(self._opened.execute("SELECT partition, next_position FROM positions"))

    def promises(self) -> list[Promise]:
        """See Journal."""
        with self._translated():
            rows = self._opened.execute(
                "SELECT first_sequence, keys, lengths, contents FROM promises ORDER BY first_sequence"
            ).fetchall()
        return [
            Promise(first_sequence=first, keys=_cut(keys, _key_lengths(keys)), values=_cut(contents, _lengths(lengths)))
            for first, keys, lengths, contents in rows
        ]

    def known(self, event_ids: Sequence[bytes]) -> Collection[bytes]:
        """See Journal."""
        found: set[bytes] = set()
        with self._translated():
            for start in range(0, len(event_ids), _ASKED_AT_ONCE_MAX):
                asked = event_ids[start : start + _ASKED_AT_ONCE_MAX]
                marks = ", ".join("?" * len(asked))
                rows = self._opened.execute(f"SELECT event_id FROM published WHERE event_id IN ({marks})", asked)
                found.update(event_id for (event_id,) in rows)
        return found

    def promise(self, promise: Promise, kept: Kept = NOTHING_KEPT) -> None:
        """See Journal."""
        assert promise.first_sequence == self._next_sequence, "sequences are dense"
        after = promise.first_sequence + len(promise.values)
        with self._transaction() as connection:
            self._forget(connection, kept)
            connection.execute(
                "INSERT INTO promises VALUES (?, ?, ?, ?)",
                (
                    promise.first_sequence,
                    b"".join(promise.keys),
                    array("I", map(len, promise.values)).tobytes(),
                    b"".join(promise.values),
                ),
            )
            self._remember(connection, promise.remembered)
            self._keep_beside(connection, promise)
            connection.execute("UPDATE source SET next_sequence = ?", (after,))
        self._next_sequence = after

    def _keep_beside(self, connection: sqlite3.Connection, promise: Promise) -> None:
        """What an on-ramp keeps with a promise, in the same step; a plain journal keeps nothing."""

    def settle(self, kept: Kept) -> None:
        """See Journal."""
        with self._transaction() as connection:
            self._forget(connection, kept)

    def learn(self, next_sequence: int, event_ids: Sequence[bytes]) -> None:
        """See Journal."""
        after = max(next_sequence, self._next_sequence)
        with self._transaction() as connection:
            self._remember(connection, filter(is_content_id, event_ids))
            connection.execute("UPDATE source SET next_sequence = ?", (after,))
        self._next_sequence = after

    def close(self) -> None:
        """See Journal."""
        if self._connection is not None:
            with self._translated():
                self._connection.close()
            self._connection = None

    @staticmethod
    def _remember(connection: sqlite3.Connection, event_ids: Iterable[bytes]) -> None:
        in_order = sorted(event_ids)  # neighbours in the b-tree are written together
        connection.executemany(
            "INSERT INTO published VALUES (?) ON CONFLICT DO NOTHING", ((event_id,) for event_id in in_order)
        )

    @staticmethod
    def _forget(connection: sqlite3.Connection, kept: Kept) -> None:
        connection.executemany(
            "DELETE FROM promises WHERE first_sequence = ?", ((first,) for first in kept.first_sequences)
        )
        connection.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", kept.positions.items())

    @property
    def _opened(self) -> sqlite3.Connection:
        assert self._connection is not None, "the journal is open"
        return self._connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable step: all of it or nothing."""
        with self._translated():
            self._opened.execute("BEGIN IMMEDIATE")
            try:
                yield self._opened
                self._opened.execute("COMMIT")
            except BaseException:
                if self._opened.in_transaction:
                    self._opened.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise JournalError(
                f"the journal '{self.path}' fails: {exc}",
                remedy="make room on its disk, or mend the file's rights; what it holds is sent when it opens again",
            ) from exc


def _key_lengths(keys: bytes) -> list[int]:
    return [KEY_BYTES] * (len(keys) // KEY_BYTES)


def _lengths(stored: bytes) -> list[int]:
    lengths = array("I")
    lengths.frombytes(stored)
    return lengths.tolist()


def _cut(joined: bytes, lengths: Sequence[int]) -> list[bytes]:
    return [joined[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]
