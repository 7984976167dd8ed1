"""Applies events of one record type to its `facts`.

Without the database, `encode`:

1. sort the rows by subject, so that neighbours in the b-tree are written together, and encode them for COPY
2. set aside the suspects: events whose sequence their source had passed before, which may have been applied already

Inside the caller's transaction, `apply`:

3. `_refuse_dangling`  an event that corrects or annuls must name an event of its own record that came before it
4. `_write`            one COPY straight into the table; suspects, or all when an id is there already, through a stage
5. `_settle`           which events are void is told anew for each record that has a new correction or annulment
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from psycopg import Connection, DataError, errors, sql

from bus.reasons import Reason
from consumers.copying import copy, copy_bytes
from consumers.views import columns, statement
from registry.contracts import RecordType

LogPlace = tuple[int, int]  # partition and position: where an event lies in its topic
_FACT_TYPES = {"change_kind": pl.Int16, "partition": pl.Int32, "position": pl.Int64}
_EVENT = ["subject", "event_id"]
_PLACE = ["partition", "position"]
_TARGET = ["subject", "previous_event_id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Events ready to be applied; `rows` has all of them in log order, `certain` those that are no suspects."""

    database_schema: str
    names: tuple[str, ...]
    rows: pl.DataFrame
    references: pl.DataFrame
    certain: bytes | None
    suspects: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a batch; duplicates and refused events are named by their place in the log."""

    applied: int
    duplicates: frozenset[LogPlace]
    refused: Mapping[LogPlace, Reason]


def encode(record_type: RecordType, events: pl.DataFrame, *, schema: str | None = None) -> Encoded:
    """The events as `apply` takes them. `events` is in log order and has the columns of `facts` but `voided_by`.

    A boolean column `is_suspect`, where there is one, marks events that may have been applied before.
    """
    names = tuple(column.name for column in columns(record_type) if column.name != "voided_by")
    rows = events.select(names).with_columns(pl.col(name).cast(kind) for name, kind in _FACT_TYPES.items())
    certain, suspects = rows, rows.clear()
    if "is_suspect" in events.columns and events["is_suspect"].any():
        certain, suspects = rows.filter(~events["is_suspect"]), rows.filter(events["is_suspect"])
        if certain.join(suspects, on=_EVENT, how="semi").height:  # the stage alone keeps the first of two in order
            certain, suspects = rows.clear(), rows
    return Encoded(
        database_schema=schema or record_type.id,
        names=names,
        rows=rows,
        references=rows.filter(pl.col("previous_event_id").is_not_null()),
        certain=copy_bytes(certain.sort("subject", maintain_order=True)) if certain.height else None,
        suspects=suspects,
    )


def apply(connection: Connection[Any], record_type: RecordType, events: Encoded) -> Applied:
    """Makes the events part of the view; rows that the database cannot hold are found by halving, and refused."""
    try:
        with connection.transaction():
            return _apply(connection, record_type, events)
    except DataError:
        if events.rows.height == 1:
            place: LogPlace = events.rows.select(_PLACE).row(0)
            return Applied(applied=0, duplicates=frozenset(), refused={place: Reason.UNSTORABLE})
    middle = events.rows.height // 2
    halves = [
        apply(connection, record_type, encode(record_type, part, schema=events.database_schema))
        for part in (events.rows[:middle], events.rows[middle:])
    ]
    return Applied(
        applied=sum(half.applied for half in halves),
        duplicates=frozenset().union(*(half.duplicates for half in halves)),
        refused={place: reason for half in halves for place, reason in half.refused.items()},
    )


def _apply(connection: Connection[Any], record_type: RecordType, events: Encoded) -> Applied:
    dangling = _refuse_dangling(connection, events)
    if dangling:
        kinds = {name: _FACT_TYPES[name] for name in _PLACE}
        refused = pl.DataFrame(dangling, schema=kinds, orient="row")
        left = events.rows.join(refused, on=_PLACE, how="anti", maintain_order="left")
        events = encode(record_type, _marked(left, events.suspects), schema=events.database_schema)
    written, duplicates, reused = _write(connection, events)
    if events.references.height:
        _settle(connection, events, are_new=written == events.rows.height and not events.suspects.height)
    return Applied(
        applied=written,
        duplicates=frozenset(duplicates),
        refused={
            **dict.fromkeys(dangling, Reason.UNKNOWN_PREVIOUS_EVENT),
            **dict.fromkeys(reused, Reason.EVENT_ID_REUSED),
        },
    )


def _marked(rows: pl.DataFrame, suspects: pl.DataFrame) -> pl.DataFrame:
    marks = suspects.select(*_PLACE, is_suspect=pl.lit(value=True))
    joined = rows.join(marks, on=_PLACE, how="left", maintain_order="left")
    return joined.with_columns(pl.col("is_suspect").fill_null(value=False))


def _refuse_dangling(connection: Connection[Any], events: Encoded) -> list[LogPlace]:
    """The events whose previous event is not of their record, or not before them; in log order, so refusals cascade."""
    rows, references = events.rows, events.references
    if not references.height:
        return []
    asked = pl.concat(
        [references.select("subject", event_id=pl.col(name)) for name in ("previous_event_id", "event_id")]
    ).unique()
    found = connection.execute(
        statement("known_events.sql").format(schema=sql.Identifier(events.database_schema)),
        {"subjects": _uuids(asked["subject"]), "event_ids": _uuids(asked["event_id"])},
    )
    known = {(subject.bytes, event_id.bytes): record_key for subject, record_key, event_id in found}
    beside = rows.join(asked, on=_EVENT, how="semi")
    dangling = []
    both = pl.concat([beside, references]).unique(_PLACE).sort(_PLACE)
    needed = ["subject", "record_key", "event_id", "previous_event_id", *_PLACE]
    for subject, record_key, event_id, previous, partition, position in both.select(needed).iter_rows():
        if (subject, event_id) in known:
            continue  # sent again, or its id reused: the stage tells which
        if previous is not None and known.get((subject, previous)) != record_key:
            dangling.append((partition, position))
        else:
            known[subject, event_id] = record_key
    return dangling


def _write(connection: Connection[Any], events: Encoded) -> tuple[int, list[LogPlace], list[LogPlace]]:
    """How many rows were written, which were there already, and which reuse the id of another event."""
    if events.certain is not None:
        try:
            with connection.transaction():
                copy(connection, sql.Identifier(events.database_schema, "facts"), events.names, events.certain)
        except errors.UniqueViolation:
            return _write_through_stage(connection, events, events.rows)
    if not events.suspects.height:
        return events.rows.height, [], []
    written, duplicates, reused = _write_through_stage(connection, events, events.suspects)
    return events.rows.height - events.suspects.height + written, duplicates, reused


def _write_through_stage(
    connection: Connection[Any], events: Encoded, rows: pl.DataFrame
) -> tuple[int, list[LogPlace], list[LogPlace]]:
    content = [name for name in events.names if name not in ("known_at", "partition", "position")]
    parts = {
        "schema": sql.Identifier(events.database_schema),
        "names": sql.SQL(", ").join(map(sql.Identifier, events.names)),
        "staged": sql.SQL(", ").join(sql.Identifier("staged", name) for name in content),
        "original": sql.SQL(", ").join(sql.Identifier("original", name) for name in content),
    }
    connection.execute(statement("stage.sql").format(**parts))
    copy(connection, sql.Identifier("stage"), events.names, copy_bytes(rows))
    written = connection.execute(statement("stage_insert.sql").format(**parts)).rowcount
    repeated = connection.execute(statement("stage_repeats.sql").format(**parts)).fetchall()
    connection.execute("DROP TABLE stage")
    return (
        written,
        [(partition, position) for partition, position, is_same in repeated if is_same],
        [(partition, position) for partition, position, is_same in repeated if not is_same],
    )


def _settle(connection: Connection[Any], events: Encoded, *, are_new: bool) -> None:
    """Tells anew which events are void; `are_new` when no reference can have been applied before."""
    place = sql.Identifier(events.database_schema)
    references = events.references
    chained = references
    if are_new:
        undone = references.select("subject", event_id="previous_event_id")
        plain = references.join(undone, on=_EVENT, how="anti").sort("position").unique(_TARGET, keep="last")
        found = connection.execute(
            statement("void_plain.sql").format(schema=place),
            {
                "subjects": _uuids(plain["subject"]),
                "targets": _uuids(plain["previous_event_id"]),
                "undoing": _uuids(plain["event_id"]),
            },
        ).fetchall()
        settled = pl.DataFrame(
            [(subject.bytes, target.bytes) for subject, target in found],
            schema=dict.fromkeys(_TARGET, pl.Binary),
            orient="row",
        )
        chained = references.join(settled, on=_TARGET, how="anti")
    if chained.height:
        records = chained.select("subject", "record_key").unique()
        connection.execute(
            statement("settle.sql").format(schema=place),
            {"subjects": _uuids(records["subject"]), "keys": records["record_key"].to_list()},
        )


def _uuids(ids: pl.Series) -> list[UUID]:
    return [UUID(bytes=one) for one in ids]
