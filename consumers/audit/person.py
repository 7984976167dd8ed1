"""One person's records of one type, from the log alone or as the view has them: each event with what became of it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import Connection, sql
from psycopg.rows import dict_row

from bus.topics import records_topic
from consumers.audit.folding import CONTENT_COLUMNS, EVENT_COLUMNS, STANDS, Fate, LoggedEvent, fates
from consumers.audit.log import Log, Tell
from consumers.fold import Fact, Period, timeline
from consumers.materializer.check import Arrived, Checker
from consumers.views import body_columns
from registry.contracts import RecordType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IDS = ("subject", "event_id", "previous_event_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEvent:
    """One message about a person with its fate; `fact` and `body` are None where it could not be read as an event."""

    partition: int
    position: int
    known_at: datetime
    fact: Fact | None
    body: Mapping[str, Any] | None
    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPeriod:
    """What holds of one record over a stretch of effective time, and the event that says so."""

    record_key: str
    period: Period
    told: ToldEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that is known of one person's records of one type, in the order in which it became known."""

    events: tuple[ToldEvent, ...]
    periods: tuple[RecordPeriod, ...]


def told_by_log(
    log: Log, checker: Checker, subject: UUID, *, known_at: datetime | None = None, tell: Tell | None = None
) -> Told:
    """What the log says, folded. Every partition is read: an event in the wrong one is an event all the same."""
    topic = records_topic(checker.record_type.id)
    found: list[ToldEvent] = []
    for arrived in log.read(topic, log.bounds(topic), tell=tell):
        rows = [row for row, key in enumerate(arrived.keys) if key == subject.bytes]
        if rows:
            found += _read(checker, _part(arrived, rows))
    return _told(_folded(subject, _known(found, known_at)))


def told_by_view(
    connection: Connection[Any], record_type: RecordType, subject: UUID, *, known_at: datetime | None = None
) -> Told:
    """What the view says: its own word on which events are void, unless it is asked about an earlier knowledge."""
    query = sql.SQL("SELECT * FROM {} WHERE subject = %s ORDER BY partition, position")
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query.format(sql.Identifier(record_type.id, "facts")), (subject,)).fetchall()
    found = [_event(record_type, row, Fate(voided_by=row["voided_by"])) for row in rows]
    return _told(found if known_at is None else _folded(subject, _known(found, known_at)))


def _known(found: Iterable[ToldEvent], known_at: datetime | None) -> list[ToldEvent]:
    return [one for one in found if known_at is None or one.known_at <= known_at]


def _part(arrived: Arrived, rows: Sequence[int]) -> Arrived:
    return Arrived(
        keys=[arrived.keys[row] for row in rows],
        values=[arrived.values[row] for row in rows],
        partitions=[arrived.partitions[row] for row in rows],
        positions=[arrived.positions[row] for row in rows],
        known_at_ms=[arrived.known_at_ms[row] for row in rows],
    )


def _read(checker: Checker, arrived: Arrived) -> Iterator[ToldEvent]:
    """Each message as an event with the reason against it, or as a message that is none."""
    checked = checker.check(arrived)
    events = {row["row"]: row for row in checked.events.iter_rows(named=True)}
    reasons = {one.row: str(one.reason) for one in checked.refused}
    for row in range(len(arrived.values)):
        fate = Fate(reason=reasons.get(row))
        if row in events:
            said = events[row]
            ids = {name: said[name] and UUID(bytes=said[name]) for name in _IDS}
            yield _event(checker.record_type, {**said, **ids}, fate)
        else:
            yield ToldEvent(
                partition=arrived.partitions[row],
                position=arrived.positions[row],
                known_at=_EPOCH + timedelta(milliseconds=arrived.known_at_ms[row]),
                fact=None,
                body=None,
                fate=fate,
            )


def _event(record_type: RecordType, row: Mapping[str, Any], fate: Fate) -> ToldEvent:
    body = {column.name: row[column.name] for column in body_columns(record_type)}
    return ToldEvent(
        partition=row["partition"],
        position=row["position"],
        known_at=row["known_at"],
        fact=LoggedEvent.of([row[name] for name in (*EVENT_COLUMNS, *CONTENT_COLUMNS, *body)]).fact,
        body=body,
        fate=fate,
    )


def _folded(subject: UUID, found: Iterable[ToldEvent]) -> list[ToldEvent]:
    """The same events with the fold's verdict; what was refused before stays refused."""
    ordered = sorted(found, key=lambda one: (one.partition, one.position))
    taken = [LoggedEvent(subject, one.partition, one.fact) for one in ordered if one.fact and not one.fate.reason]
    verdicts = {id(event.fact): fate for event, fate in fates(taken)}
    return [replace(one, fate=verdicts.get(id(one.fact), one.fate)) for one in ordered]


def _told(events: Sequence[ToldEvent]) -> Told:
    """Void events undo nothing and say nothing: the timeline is that of the others."""
    standing = {id(one.fact): one for one in events if one.fact is not None and one.fate == STANDS}
    records = defaultdict(list)
    for one in standing.values():
        if one.fact is not None:
            records[one.fact.record_key].append(one.fact)
    periods = [
        RecordPeriod(record_key=record_key, period=period, told=standing[id(period.fact)])
        for record_key, facts in sorted(records.items())
        for period in timeline(facts)
    ]
    return Told(events=tuple(events), periods=tuple(periods))
