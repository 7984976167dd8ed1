"""Applies events of one record type to its `facts`, inside the caller's transaction.

1. `refuse_dangling`   an event that corrects or annuls must name an event of its own record that came before it
2. `write`             one COPY straight into the table; when an id is there already, through a stage, exactly
3. `settle`            which events are void is told anew for each record that has a new correction or annulment
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from psycopg import Connection, errors, sql

from bus.reasons import Reason
from consumers.copying import copy_bytes, copy_into
from consumers.views import columns, statement
from registry.contracts import RecordType


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of a batch; refused events are named by partition and position."""

    applied: int
    duplicates: int
    refused: Mapping[tuple[int, int], Reason]


_FACT_TYPES = {"change_kind": pl.Int16, "partition": pl.Int32, "position": pl.Int64}


def apply(
    connection: Connection[Any], record_type: RecordType, events: pl.DataFrame, *, schema: str | None = None
) -> Applied:
    """Makes the events part of the view. `events` is in log order and has the columns of `facts` but `voided_by`."""
    place = schema or record_type.id
    names = [column.name for column in columns(record_type) if column.name != "voided_by"]
    rows = events.select(names).with_columns(pl.col(name).cast(kind) for name, kind in _FACT_TYPES.items())
    references = rows.filter(pl.col("previous_event_id").is_not_null())
    dangling = _refuse_dangling(connection, place, rows, references)
    if dangling:
        places = pl.DataFrame(
            dangling, schema={name: _FACT_TYPES[name] for name in ("partition", "position")}, orient="row"
        )
        rows = rows.join(places, on=["partition", "position"], how="anti", maintain_order="left")
    written, duplicates, reused = _write(connection, place, names, rows)
    if references.height:
        _settle(connection, place, references)
    refused = dict.fromkeys(dangling, Reason.UNKNOWN_PREVIOUS_EVENT)
    refused.update((key, Reason.EVENT_ID_REUSED) for key in reused)
    return Applied(applied=written, duplicates=duplicates, refused=refused)


def _refuse_dangling(
    connection: Connection[Any], place: str, rows: pl.DataFrame, references: pl.DataFrame
) -> list[tuple[int, int]]:
    """The events whose previous event is not of their record, or not before them; in log order, so refusals cascade."""
    if not references.height:
        return []
    subjects = references["subject"].unique().to_list()
    named = set(references["previous_event_id"].to_list()) | set(references["event_id"].to_list())
    found = connection.execute(
        sql.SQL(
            "SELECT subject, record_key, event_id FROM {}.facts WHERE subject = ANY (%s) AND event_id = ANY (%s)"
        ).format(sql.Identifier(place)),
        ([UUID(bytes=subject) for subject in subjects], [UUID(bytes=event_id) for event_id in named]),
    )
    known = {(subject.bytes, event_id.bytes): record_key for subject, record_key, event_id in found}
    beside = rows.filter(pl.col("subject").is_in(subjects) & pl.col("event_id").is_in(list(named)))
    dangling = []
    both = pl.concat([beside, references]).unique(["partition", "position"]).sort("partition", "position")
    needed = ["subject", "record_key", "event_id", "previous_event_id", "partition", "position"]
    for subject, record_key, event_id, previous, partition, position in both.select(needed).iter_rows():
        if (subject, event_id) in known:
            continue  # sent again, or its id reused: the stage tells which
        if previous is not None and known.get((subject, previous)) != record_key:
            dangling.append((partition, position))
        else:
            known[subject, event_id] = record_key
    return dangling


def _write(
    connection: Connection[Any], place: str, names: Sequence[str], rows: pl.DataFrame
) -> tuple[int, int, list[tuple[int, int]]]:
    """How many rows were written, how many were there already, and which reuse the id of another event."""
    encoded = copy_bytes(rows.sort("subject", maintain_order=True))  # neighbours in the b-tree are written together
    target = sql.Identifier(place, "facts")
    try:
        with connection.transaction():
            copy_into(connection, target, names, encoded)
    except errors.UniqueViolation:
        return _write_through_stage(connection, place, names, encoded)
    return rows.height, 0, []


def _write_through_stage(
    connection: Connection[Any], place: str, names: Sequence[str], encoded: bytes
) -> tuple[int, int, list[tuple[int, int]]]:
    content = [name for name in names if name not in ("known_at", "partition", "position")]
    parts = {
        "schema": sql.Identifier(place),
        "names": sql.SQL(", ").join(map(sql.Identifier, names)),
        "staged": sql.SQL(", ").join(sql.Identifier("staged", name) for name in content),
        "original": sql.SQL(", ").join(sql.Identifier("original", name) for name in content),
    }
    connection.execute(statement("stage.sql").format(**parts))
    copy_into(connection, sql.Identifier("stage"), names, encoded)
    written = connection.execute(statement("stage_insert.sql").format(**parts)).rowcount
    repeated = connection.execute(statement("stage_repeats.sql").format(**parts)).fetchall()
    reused = [(partition, position) for partition, position, is_same in repeated if not is_same]
    return written, len(repeated) - len(reused), reused


def _settle(connection: Connection[Any], place: str, references: pl.DataFrame) -> None:
    records = references.select("subject", "record_key").unique()
    connection.execute(
        statement("settle.sql").format(schema=sql.Identifier(place)),
        {"subjects": [UUID(bytes=subject) for subject in records["subject"]], "keys": records["record_key"].to_list()},
    )
