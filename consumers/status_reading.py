"""Reads how things stand: from the views' tables, and the ends of the log from Kafka."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec
from psycopg import Connection, sql
from psycopg.rows import class_row

from bus.topics import records_topic
from consumers.agreements.changes import fold
from consumers.agreements.store import read_changes
from consumers.errors import NotFoundError
from consumers.evidence.decision import Agreements
from consumers.status import (
    QuarantineStatus,
    SourceStatus,
    Status,
    ViewStatus,
    agency_statuses,
    procedure_statuses,
)
from consumers.views import statement
from registry.contracts import Catalogue, RecordType

ROWS_COUNTED_MAX = 1_000_000
KAFKA_TIMEOUT_S = 5

Ends = Mapping[str, int]  # topic → the sum of its partitions' ends


def read_status(connection: Connection[Any], ends: Ends | None, catalogue: Catalogue, now: datetime) -> Status:
    """How things stand now. Raises NotFoundError when the catalogue was never put into force here."""
    try:
        positions = _positions(connection)
        views = tuple(
            _view(connection, record_type, positions.get(record_type.id, ()), ends)
            for record_type in catalogue.record_types.values()
        )
        sources = read_sources(connection)
        with connection.cursor(row_factory=class_row(QuarantineStatus)) as cursor:
            quarantine = tuple(cursor.execute(statement("status_quarantine.sql")))
        open_findings: Counter[str] = Counter()
        for agency, _, _, count in connection.execute(statement("status_findings.sql")):
            open_findings[agency] += count
    except psycopg.errors.UndefinedTable as exc:
        raise NotFoundError(
            "the database has no views of this catalogue", remedy="make them with 'yekbar catalogue apply'"
        ) from exc
    procedures = procedure_statuses(catalogue, views, _agreements(connection, catalogue), now)
    return Status(
        at=now,
        views=views,
        sources=sources,
        quarantine=quarantine,
        procedures=procedures,
        agencies=agency_statuses(catalogue, views, procedures, open_findings),
    )


def _agreements(connection: Connection[Any], catalogue: Catalogue) -> Agreements:
    """The agreements as they count now: those of the catalogue, and what was changed since."""
    row = connection.execute("SELECT to_regclass('yekbar.agreement_changes') IS NOT NULL").fetchone()
    changes = read_changes(connection) if row is not None and row[0] else ()
    rights = fold(catalogue, changes)
    return Agreements(rights.agreements.values(), rights.standings)


def read_sources(connection: Connection[Any]) -> tuple[SourceStatus, ...]:
    """What each view has received of each source."""
    with connection.cursor(row_factory=class_row(SourceStatus)) as cursor:
        return tuple(cursor.execute(statement("status_sources.sql")))


def read_ends(client: AdminClient, catalogue: Catalogue) -> Ends | None:
    """Where the log of each record type ends; None when Kafka is away."""
    try:
        known = client.list_topics(timeout=KAFKA_TIMEOUT_S).topics
        names = [records_topic(name) for name in catalogue.record_types if records_topic(name) in known]
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the library leaves it untyped
        asked = {TopicPartition(name, number): latest for name in names for number in known[name].partitions}
        answers = client.list_offsets(asked, request_timeout=KAFKA_TIMEOUT_S) if asked else {}
        ends = dict.fromkeys(names, 0)
        for place, answer in answers.items():
            ends[place.topic] += answer.result(KAFKA_TIMEOUT_S).offset
    except (KafkaException, TimeoutError):
        return None
    return ends


_Position = tuple[int, datetime | None]


def _positions(connection: Connection[Any]) -> Mapping[str, list[_Position]]:
    found: dict[str, list[_Position]] = {}
    for view, _, next_position, caught_up_at in connection.execute(statement("status_positions.sql")):
        found.setdefault(view, []).append((next_position, caught_up_at))
    return found


def _view(
    connection: Connection[Any], record_type: RecordType, positions: list[_Position] | tuple[()], ends: Ends | None
) -> ViewStatus:
    counted, estimated = connection.execute(
        statement("status_rows.sql").format(
            schema=sql.Identifier(record_type.id),
            name=sql.Literal(sql.Identifier(record_type.id, "facts").as_string(connection)),
            limit=ROWS_COUNTED_MAX,
        )
    ).fetchone() or (0, 0)
    times = [caught_up_at for _, caught_up_at in positions]
    known = [at for at in times if at is not None]
    return ViewStatus(
        view=record_type.id,
        agency=record_type.agency,
        rows=max(counted, estimated) if counted == ROWS_COUNTED_MAX else counted,
        rows_are_estimated=counted == ROWS_COUNTED_MAX,
        position=sum(next_position for next_position, _ in positions),
        end_of_log=None if ends is None else ends.get(records_topic(record_type.id), 0),
        as_of=min(known) if known and len(known) == len(times) else None,
    )
