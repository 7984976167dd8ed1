"""A scratch database schema: what one replay of one record type's log makes, in the same tables and views as the live.

The result is the fold of the log, though most events never become a Python object. The fold of a person whose events
undo nothing and whose ids all differ takes each event as it is, refuses none and voids none (`consumers.fold`): their
rows are the fold. All other persons are folded one event at a time, by that module.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import polars as pl
from psycopg import Connection, DataError, sql

from bus.reasons import Reason
from consumers.audit.errors import ScratchError
from consumers.audit.folding import CONTENT_COLUMNS, EVENT_COLUMNS, STANDS, Fate, LoggedEvent, fates
from consumers.copying import copy, copy_bytes
from consumers.views import body_columns, columns, create_views, statement
from registry.contracts import RecordType

PREFIX = "replay_"
IDENTIFIER_BYTES_MAX = 63  # PostgreSQL cuts longer names off, and two replays could become one
FETCH_ROWS = 5_000
_PLACE = {"partition": pl.Int32, "position": pl.Int64}


def scratch_name(name: str, record_type: RecordType) -> str:
    """The database schema of a replay that is kept under a name. Raises ScratchError when PostgreSQL would cut it."""
    place = f"{PREFIX}{name}:{record_type.id}"
    too_long = len(place.encode()) - IDENTIFIER_BYTES_MAX
    if not name or too_long > 0:
        raise ScratchError(
            f"a replay of '{record_type.id}' cannot be kept as '{name}'",
            remedy=f"choose a name that is {too_long} bytes shorter" if name else "choose a name",
        )
    return place


class Scratch:
    """A replay that grows by `load` and is right after `settle`. The caller's transactions decide what others see."""

    def __init__(self, connection: Connection[Any], record_type: RecordType, name: str) -> None:
        self.place = scratch_name(name, record_type)
        self._connection = connection
        self._record_type = record_type
        self._names = [column.name for column in columns(record_type) if column.name != "voided_by"]

    def create(self) -> None:
        """Makes the database schema, empty; what an earlier replay of the name left is dropped."""
        with self._connection.transaction():
            self.drop()
            create_views(self._connection, self._record_type, schema=self.place)
            self._execute(statement("audit_scratch.sql"))

    def drop(self) -> None:
        """Drops the database schema."""
        self._execute(sql.SQL("DROP SCHEMA IF EXISTS {schema} CASCADE"))

    def take(self, events: pl.DataFrame, passed_by: Mapping[tuple[int, int], str]) -> None:
        """Adds what a batch of the log held: its events, and the messages that are none."""
        self.load(events)
        self.pass_by(passed_by)

    def load(self, events: pl.DataFrame) -> None:
        """Adds admissible events, in the order of the log. Events that the database cannot hold are passed by."""
        if not events.height:
            return
        rows = events.select(self._names).with_columns(pl.col("change_kind").cast(pl.Int16))
        try:
            with self._connection.transaction():
                copy(self._connection, sql.Identifier(self.place, "facts"), self._names, copy_bytes(rows))
        except DataError:
            if rows.height == 1:
                self.pass_by({rows.select(_PLACE).row(0): Reason.UNSTORABLE})
                return
            middle = rows.height // 2
            self.load(rows[:middle])
            self.load(rows[middle:])

    def pass_by(self, reasons: Mapping[tuple[int, int], str]) -> None:
        """Notes messages of the log that are no facts: why, by partition and position."""
        if reasons:
            kinds = {**_PLACE, "reason": pl.String}
            rows = pl.DataFrame(
                [(*place, str(reason)) for place, reason in reasons.items()], schema=kinds, orient="row"
            )
            copy(self._connection, sql.Identifier(self.place, "passed_by"), rows.columns, copy_bytes(rows))

    def settle(self, read_to: Mapping[int, int]) -> None:
        """Folds the persons whose events touch each other, then closes the table by its key, which proves the ids."""
        with self._connection.transaction():
            self._execute(statement("audit_fates_table.sql"))
            verdicts = fates(self._intertwined())
            while part := list(islice(verdicts, FETCH_ROWS)):
                self._note_fates(part)
            self._execute(statement("audit_fates.sql"))
            self._execute(statement("audit_close.sql"))
            with self._connection.cursor() as cursor:
                cursor.executemany(
                    sql.SQL("INSERT INTO {} VALUES (%s, %s)").format(sql.Identifier(self.place, "read_to")),
                    sorted(read_to.items()),
                )

    def counts(self) -> tuple[int, dict[str, int]]:
        """How many facts there are, and how many messages were passed by for each reason."""
        facts = self._connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(self.place, "facts"))
        ).fetchone()
        passed_by = self._connection.execute(
            sql.SQL("SELECT reason, count(*) FROM {} GROUP BY reason ORDER BY 2 DESC, 1").format(
                sql.Identifier(self.place, "passed_by")
            )
        )
        assert facts is not None
        return facts[0], dict(passed_by.fetchall())

    def _intertwined(self) -> Iterator[LoggedEvent]:
        body = (column.name for column in body_columns(self._record_type))
        names = sql.SQL(", ").join(map(sql.Identifier, (*EVENT_COLUMNS, *CONTENT_COLUMNS, *body)))
        query = statement("audit_intertwined.sql").format(schema=sql.Identifier(self.place), names=names)
        with self._connection.cursor(name="intertwined") as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(FETCH_ROWS):
                yield from map(LoggedEvent.of, rows)

    def _note_fates(self, verdicts: Sequence[tuple[LoggedEvent, Fate]]) -> None:
        rows = [
            (event.partition, event.fact.position, fate.voided_by and fate.voided_by.bytes, fate.reason)
            for event, fate in verdicts
            if fate is not STANDS
        ]
        if rows:
            kinds = {**_PLACE, "voided_by": pl.Binary, "reason": pl.String}
            encoded = copy_bytes(pl.DataFrame(rows, schema=kinds, orient="row"))
            copy(self._connection, sql.Identifier("fates"), list(kinds), encoded)

    def _execute(self, query: sql.SQL) -> None:
        self._connection.execute(query.format(schema=sql.Identifier(self.place)))
