"""The journal of a relay: it lies in the agency's database, beside the outbox, and dies with the relay's connection.

A promise is written where the changes are, so any relay that takes over knows what the one before had promised. The
changes themselves leave the outbox only when the broker has their events.
"""

import json
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from itertools import accumulate, pairwise
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from bus.failpoints import failpoint
from bus.framing import FRAME_BYTES
from producers.errors import JournalError, WrongJournalError
from producers.journal import FIRST_SEQUENCE, NOTHING_KEPT, Kept, Promise, hold_same_topic

ID_BYTES = 16


class Place(NamedTuple):
    """A place in the outbox: a change's transaction and number."""

    xid: int
    number: int


START = Place(0, 0)


class Stretch(NamedTuple):
    """The part of an outbox in which a promise's changes are."""

    since: Place
    until: Place


class Outbox:
    """The relay's one connection to an outbox; whoever uses it holds its lock."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self.connection = connection
        self.lock = threading.RLock()
        self.schema = schema
        self._texts: dict[str, bytes] = {}

    def execute(self, query: str, parameters: Any = None) -> psycopg.Cursor[Any]:
        """Runs a query in which {schema} stands for the outbox's database schema."""
        text = self._texts.get(query)
        if text is None:
            composed = sql.SQL(query).format(schema=sql.Identifier(self.schema))
            text = self._texts[query] = composed.as_bytes(self.connection)
        return self.connection.execute(text, parameters, binary=True)

    def statement(self, name: str, parameters: Any) -> psycopg.Cursor[Any]:
        """Runs one of the room's SQL files."""
        return self.execute(_statement(name), parameters)

    @contextmanager
    def transaction(self, *, is_durable: bool = True) -> Iterator[None]:
        """One step of one thread, in one round trip where nothing is fetched. Raises JournalError.

        A step that need not be durable is done again, or learnt from the log, where the database forgets it.
        """
        with self.lock:
            try:
                with self.connection.pipeline(), self.connection.transaction():
                    if not is_durable:
                        self.connection.execute("SET LOCAL synchronous_commit TO off")
                    yield
            except psycopg.Error as exc:
                raise JournalError(
                    f"the outbox fails: {type(exc).__name__}",
                    remedy="check the agency's database; what is in the outbox is sent when it answers again",
                ) from exc


class OutboxJournal:
    """The journal of one source of an outbox."""

    def __init__(self, outbox: Outbox, *, record_type: str) -> None:
        self._outbox = outbox
        self._record_type = record_type
        self._source = ""
        self._topic_id: str | None = None
        self._next_sequence = FIRST_SEQUENCE
        self._stretches: dict[int, tuple[Stretch, bytes]] = {}
        self._covered = Stretch(START, START)

    @property
    def promised_until(self) -> Place:
        """Up to where the source's changes are promised."""
        return max((stretch.until for stretch, _ in self._stretches.values()), default=START)

    def cover(self, stretch: Stretch) -> None:
        """Says where the changes of the next promise are."""
        self._covered = stretch

    def open(self, *, source: str, topic: str) -> None:
        """See Journal. That the source is not busy, the relay's lock on the outbox says."""
        self._source = source
        with self._outbox.transaction():
            self._outbox.execute(
                "INSERT INTO {schema}.sources (source, topic, next_sequence) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                (source, topic, FIRST_SEQUENCE),
            )
            row = self._outbox.execute(
                "SELECT topic, topic_id, next_sequence FROM {schema}.sources WHERE source = %s", (source,)
            ).fetchone()
        assert row is not None
        bound, self._topic_id, self._next_sequence = row
        if bound != topic:
            raise WrongJournalError(
                f"the source '{source}' of the outbox writes to '{bound}', not to '{topic}'",
                remedy="relay under another name",
            )

    def bind(self, topic_id: str) -> None:
        """See Journal."""
        hold_same_topic(self._topic_id, topic_id, f"the outbox's source '{self._source}'")
        with self._outbox.transaction():
            self._outbox.execute(
                "UPDATE {schema}.sources SET topic_id = %s WHERE source = %s", (topic_id, self._source)
            )

    def next_sequence(self) -> int:
        """See Journal."""
        return self._next_sequence

    def positions(self) -> dict[int, int]:
        """See Journal."""
        with self._outbox.transaction():
            (positions,) = self._one("SELECT positions FROM {schema}.sources WHERE source = %s")
        return {int(partition): position for partition, position in positions.items()}

    def promises(self) -> list[Promise]:
        """See Journal."""
        with self._outbox.transaction():
            rows = self._outbox.execute(
                "SELECT first_sequence, since_xid::text::bigint, since_number, until_xid::text::bigint, until_number,"
                " keys, lengths, contents FROM {schema}.promises WHERE source = %s ORDER BY first_sequence",
                (self._source,),
            ).fetchall()
        promises = []
        for first, since_xid, since_number, until_xid, until_number, keys, lengths, contents in rows:
            values = _cut(contents, lengths)
            promise = Promise(first_sequence=first, keys=_cut(keys, [ID_BYTES] * len(values)), values=values)
            stretch = Stretch(Place(since_xid, since_number), Place(until_xid, until_number))
            self._stretches[first] = (stretch, _event_ids(promise))
            promises.append(promise)
        return promises

    def known(self, event_ids: Sequence[bytes]) -> Collection[bytes]:
        """See Journal. A change has its id from the outbox, and leaves it when it is published."""
        assert not event_ids, "the changes of an outbox have ids"
        return ()

    def promise(self, promise: Promise, kept: Kept = NOTHING_KEPT) -> None:
        """See Journal."""
        after = promise.first_sequence + len(promise.values)
        said = {
            **self._place_of(promise.first_sequence, self._covered),
            "keys": b"".join(promise.keys),
            "lengths": list(map(len, promise.values)),
            "contents": b"".join(promise.values),
            "next_sequence": after,
        }
        with self._outbox.transaction():
            self._forget(kept)
            self._outbox.statement("outbox_promise.sql", said)
            failpoint("relay.promising")
        self._next_sequence = after
        self._stretches[promise.first_sequence] = (self._covered, _event_ids(promise))
        self._drop(kept)

    def settle(self, kept: Kept) -> None:
        """See Journal."""
        with self._outbox.transaction(is_durable=False):
            self._forget(kept)
            failpoint("relay.settling")
        self._drop(kept)

    def learn(self, next_sequence: int, event_ids: Sequence[bytes]) -> None:
        """See Journal. What the log has is in the outbox no more."""
        after = max(next_sequence, self._next_sequence)
        with self._outbox.transaction():
            self._outbox.execute(
                "DELETE FROM {schema}.changes WHERE record_type = %s AND event_id = ANY (%s)",
                (self._record_type, [UUID(bytes=event_id) for event_id in event_ids]),
            )
            self._outbox.execute(
                "UPDATE {schema}.sources SET next_sequence = %s WHERE source = %s", (after, self._source)
            )
        self._next_sequence = after

    def close(self) -> None:
        """See Journal."""

    def _forget(self, kept: Kept) -> None:
        """Takes the changes whose events the broker has out of the outbox, with their promises."""
        for first in kept.first_sequences:
            stretch, event_ids = self._stretches[first]
            said = {**self._place_of(first, stretch), "record_type": self._record_type, "event_ids": event_ids}
            self._outbox.statement("outbox_forget.sql", said)
        if kept.positions:
            self._outbox.execute(
                "UPDATE {schema}.sources SET positions = positions || %s::text::jsonb WHERE source = %s",
                (json.dumps(kept.positions), self._source),
            )

    def _place_of(self, first_sequence: int, stretch: Stretch) -> dict[str, Any]:
        """A promise, by its source's sequence and where its changes are."""
        since, until = stretch
        return {
            "source": self._source,
            "first_sequence": first_sequence,
            "since_xid": str(since.xid),
            "since_number": since.number,
            "until_xid": str(until.xid),
            "until_number": until.number,
        }

    def _drop(self, kept: Kept) -> None:
        for first in kept.first_sequences:
            del self._stretches[first]

    def _one(self, query: str) -> Any:
        row = self._outbox.execute(query, (self._source,)).fetchone()
        assert row is not None
        return row


def outbox_ddl(schema: str) -> str:
    """The statements that make an outbox, for the agency's own database."""
    text = files("producers").joinpath("sql", "outbox.sql").read_text(encoding="utf-8")
    return sql.SQL(text).format(schema=sql.Identifier(schema), channel=sql.Literal(channel(schema))).as_string()


def channel(schema: str) -> str:
    """Where the outbox notifies of new changes."""
    return f"{schema}_changes"


@cache
def _statement(name: str) -> str:
    return files("producers").joinpath("sql", name).read_text(encoding="utf-8")


def _event_ids(promise: Promise) -> bytes:
    """The ids of a promise's events, one after the other."""
    return b"".join(value[FRAME_BYTES : FRAME_BYTES + ID_BYTES] for value in promise.values)


def _cut(joined: bytes, lengths: Sequence[int]) -> list[bytes]:
    return [joined[start:end] for start, end in pairwise(accumulate(lengths, initial=0))]
