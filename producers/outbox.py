"""The relay: brings what an agency's application wrote to its outbox onto the bus, as soon as it is committed.

1. `_lead`     one relay at a time has the outbox's lock; another waits for it
2. `_take_up`  the sources that there are already are recovered first
3. `_drain`    changes whose transaction, and every one before it, has ended are taken in order
4. `_relay`    they are mapped, checked and published; those that are refused move to `refused`
5. `_rest`     until a commit notifies, or an older transaction may have ended

A change leaves the outbox when the broker has its event: see `producers.outbox_journal`.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog
from psycopg import sql

from bus.failpoints import failpoint
from bus.reasons import Reason
from producers.errors import JournalError, NoOutboxError
from producers.journal import Journal
from producers.outbox_journal import START, Outbox, OutboxJournal, Stretch, channel
from producers.outbox_rows import OutboxReader, OutboxRow, RefusedChange, at_desk
from producers.publisher import Publisher
from registry.contracts import RecordType

CHANGES_TOGETHER_MAX = 5_000
LEAD_POLL_S = 1.0  # how often a relay that stands by asks whether the other is gone
HELD_BACK_POLL_S = 0.01  # while an older transaction runs, which tells nobody when it ends
HELD_BACK_POLL_MAX_S = 0.25
HELD_BACK_TOLD_S = 30.0
REST_S = 1.0  # the longest wait for a notification, for one may be lost with a connection
RECONNECT_S = 1.0
# The lock of a relay whose machine is gone goes with its connection: the server notices within seconds.
SETTINGS = "-c tcp_keepalives_idle=2 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=2"

log = structlog.get_logger()

OpenPublisher = Callable[[RecordType, str, Journal], Publisher]
OnComplete = Callable[[Mapping[str, int], datetime], None]


class OutboxRelay:
    """Relays one outbox until it is told to stop."""

    def __init__(
        self,
        database_url: str,
        *,
        schema: str,
        name: str,
        record_types: Mapping[str, RecordType],
        open_publisher: OpenPublisher,
    ) -> None:
        self._database_url = database_url
        self._schema = schema
        self._name = name
        self._record_types = record_types
        self._open_publisher = open_publisher
        self.relayed = self.refused = 0

    def run(self, must_stop: threading.Event, *, on_complete: OnComplete = lambda *_: None) -> None:
        """Relays until told to stop; an agency's database that is away is waited for.

        `on_complete` hears each record type's last sequence when the log has all that was committed before a time.
        Raises NoOutboxError, and whatever stops a publisher.
        """
        while not must_stop.is_set():
            try:
                with self._connection() as leading, self._connection() as reading:
                    if self._lead(leading, must_stop):
                        failpoint("relay.leading")
                        turn = _Turn(self, Outbox(leading, self._schema), reading, on_complete)
                        self._serve(turn, reading, must_stop)
            except (psycopg.OperationalError, JournalError) as exc:
                log.warning("outbox_awaited", schema=self._schema, error=type(exc).__name__)
                must_stop.wait(RECONNECT_S)

    def _connection(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._database_url, autocommit=True, options=SETTINGS)

    def _lead(self, connection: psycopg.Connection[Any], must_stop: threading.Event) -> bool:
        """Waits until this relay is the one; false when it was told to stop before."""
        is_told = False
        while not must_stop.is_set():
            key = f"yekbar relay {self._schema}"
            (leads,) = _one(connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)))
            if leads:
                log.info("relay_leads", schema=self._schema)
                return True
            if not is_told:
                log.info("relay_stands_by", schema=self._schema)
                is_told = True
            must_stop.wait(LEAD_POLL_S)
        return False

    def _serve(self, turn: "_Turn", reading: psycopg.Connection[Any], must_stop: threading.Event) -> None:
        (table,) = _one(
            reading.execute("SELECT to_regclass(%s)", (f"{sql.Identifier(self._schema).as_string()}.changes",))
        )
        if table is None:
            raise NoOutboxError(
                f"the database has no outbox in the schema '{self._schema}'",
                remedy="make one with 'yekbar relay --ddl | psql', or name another with --schema",
            )
        reading.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel(self._schema))))
        with turn.publishers:
            turn.take_up()
            while not must_stop.is_set():
                turn.step()

    def open(self, record_type: RecordType, outbox: Outbox) -> tuple[Publisher, OutboxJournal]:
        """A publisher for one record type of the outbox, and its journal."""
        journal = OutboxJournal(outbox, record_type=record_type.id)
        return self._open_publisher(record_type, self.source_of(record_type.id), journal), journal

    def source_of(self, record_type: str) -> str:
        """The source that an outbox's changes to records of a type come from."""
        return f"{record_type}/{self._name}"

    def record_type(self, name: str) -> RecordType | None:
        """The record type of a name; None when there is none."""
        return self._record_types.get(name)


class _Source:
    """One record type of an outbox: its publisher, its journal, its reader."""

    def __init__(self, record_type: RecordType, publisher: Publisher, journal: OutboxJournal) -> None:
        self.publisher = publisher
        self.journal = journal
        self.reader = OutboxReader(record_type)
        self.promised_until = journal.promised_until


class _Turn:
    """The time in which a relay leads."""

    def __init__(
        self, relay: OutboxRelay, outbox: Outbox, reading: psycopg.Connection[Any], on_complete: OnComplete
    ) -> None:
        self._relay = relay
        self._outbox = outbox
        self._reading = Outbox(reading, outbox.schema)
        self._on_complete = on_complete
        self.publishers = ExitStack()
        self._sources: dict[str, _Source] = {}
        self._cursor = START
        self._held_back_since: float | None = None
        self._held_back_poll_s = HELD_BACK_POLL_S

    def take_up(self) -> None:
        """Opens the sources that there are, so that what they have promised is in the log."""
        with self._outbox.transaction():
            rows = self._outbox.execute("SELECT source FROM {schema}.sources").fetchall()
        for (source,) in rows:
            name = source.rpartition("/")[0]
            if self._relay.source_of(name) == source:
                self._source(name)

    def step(self) -> None:
        """Drains once, and rests when there was nothing to drain."""
        asked_at = datetime.now(UTC)
        rows = self._drain()
        if rows:
            failpoint("relay.drained")
            self._held_back_since, self._held_back_poll_s = None, HELD_BACK_POLL_S
            for name in dict.fromkeys(row.record_type for row in rows):
                self._relay_rows(name, [row for row in rows if row.record_type == name])
            self._cursor = rows[-1].place
        elif self._is_held_back():
            self._await_older_transactions()
        else:
            self._rest(asked_at)

    def _drain(self) -> list[OutboxRow]:
        place = {"xid": str(self._cursor.xid), "number": self._cursor.number}
        found = self._reading.statement("outbox_drain.sql", {**place, "limit": CHANGES_TOGETHER_MAX})
        return list(map(OutboxRow._make, found.fetchall()))

    def _relay_rows(self, name: str, rows: Sequence[OutboxRow]) -> None:
        source = self._source(name)
        if source is None:
            self._refuse([RefusedChange(row.place, "record_type", str(Reason.INVALID_FIELD), "") for row in rows])
            return
        if rows[0].place <= source.promised_until:
            rows = [row for row in rows if row.place > source.promised_until]
        if not rows:
            return
        changes = source.reader.read(rows)
        refused = list(changes.refused)
        if changes.frame.height:
            source.journal.cover(Stretch(rows[0].place, rows[-1].place))
            outcome = source.publisher.publish_columns(changes.frame)
            failpoint("relay.published")
            refused += at_desk(changes, outcome.refused)
            self._relay.relayed += outcome.published
        self._refuse(refused)

    def _refuse(self, refused: Sequence[RefusedChange]) -> None:
        if not refused:
            return
        log.warning("changes_refused", changes=len(refused), reasons=sorted({one.reason for one in refused}))
        self._relay.refused += len(refused)
        columns = {
            "xids": [str(one.place.xid) for one in refused],
            "numbers": [one.place.number for one in refused],
            "reasons": [one.reason for one in refused],
            "fields": [one.field for one in refused],
            "rules": [one.rule for one in refused],
        }
        with self._outbox.transaction():
            self._outbox.statement("outbox_refuse.sql", columns)
            failpoint("relay.refusing")

    def _source(self, name: str) -> _Source | None:
        """The source of a record type, opened when it is first needed; None when the catalogue has no such type."""
        record_type = self._relay.record_type(name)
        if name not in self._sources and record_type is not None:
            publisher, journal = self._relay.open(record_type, self._outbox)
            self._sources[name] = _Source(record_type, self.publishers.enter_context(publisher), journal)
        return self._sources.get(name)

    def _is_held_back(self) -> bool:
        """Whether there are changes that an older transaction keeps from being taken."""
        place = (str(self._cursor.xid), self._cursor.number)
        query = "SELECT EXISTS (SELECT FROM {schema}.changes WHERE (xid, number) > (%s::text::xid8, %s))"
        return bool(_one(self._reading.execute(query, place))[0])

    def _await_older_transactions(self) -> None:
        now = time.monotonic()
        self._held_back_since = self._held_back_since or now
        if now - self._held_back_since > HELD_BACK_TOLD_S:
            log.warning("outbox_held_back", held_back_s=round(now - self._held_back_since))
            self._held_back_since = now
        time.sleep(self._held_back_poll_s)
        self._held_back_poll_s = min(self._held_back_poll_s * 2, HELD_BACK_POLL_MAX_S)

    def _rest(self, asked_at: datetime) -> None:
        if all(source.publisher.is_idle for source in self._sources.values()):
            lasts = {name: source.publisher.last_sequence for name, source in self._sources.items()}
            self._on_complete(lasts, asked_at)
            self._cursor = START  # the outbox is empty: a row that says a wrong transaction is found all the same
            for source in self._sources.values():
                source.promised_until = START
        for _ in self._reading.connection.notifies(timeout=REST_S, stop_after=1):
            pass


def _one(cursor: psycopg.Cursor[Any]) -> Any:
    row = cursor.fetchone()
    assert row is not None
    return row
