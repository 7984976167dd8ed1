"""Rows of an outbox as columns of changes: the part of a relay without any I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import polars as pl

from bus.columns import HAS_BODY
from bus.reasons import Reason
from producers.columns import series_of
from producers.desk import ROW
from producers.mapper import Mapper
from producers.mapping import FieldMapping
from producers.objects import columns_of
from producers.outbox_journal import Place
from registry.contracts import RecordType

INSTANT = pl.Datetime("us", "UTC")
BODY = "body"


class OutboxRow(NamedTuple):
    """One change as `outbox_drain.sql` reads it; times are microseconds since 1970, None where they are infinite."""

    xid: str
    number: int
    record_type: str
    event_id: UUID
    national_id: str
    change_kind: str
    record_key: str | None
    previous_event_id: UUID | None
    effective_from: int | None
    effective_to: int | None
    recorded_at: int | None
    under_investigation: Sequence[str | None]
    body: Any

    @property
    def place(self) -> Place:
        """Where the change is in the outbox."""
        return Place(int(self.xid), self.number)


class RefusedChange(NamedTuple):
    """A change that the desk refuses: where it is, the field at fault, and why."""

    place: Place
    field: str
    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxChanges:
    """Changes for a publisher, the place of each in the outbox, and those that are refused already."""

    frame: pl.DataFrame
    places: Sequence[Place]
    refused: Sequence[RefusedChange]


class OutboxReader:
    """Reads an outbox's rows as changes to records of one type."""

    def __init__(self, record_type: RecordType) -> None:
        self._names = tuple(field["name"] for field in record_type.body["fields"])
        self._mapper = Mapper(record_type, FieldMapping())
        self._key_field = record_type.record_key_field

    def read(self, rows: Sequence[OutboxRow]) -> OutboxChanges:
        """The rows in columns; a body that does not read refuses its row alone."""
        refused: list[RefusedChange] = []
        good: list[OutboxRow] = []
        for row in rows:
            fault = self._body_fault(row.body)
            if fault is None:
                good.append(row)
            else:
                refused.append(_refused(row, fault))
        bodies = columns_of([dict.fromkeys(self._names) | (row.body or {}) for row in good])
        refused += [_refused(good[fault.place], fault.name) for fault in bodies.faults]
        good = [good[place] for place in bodies.places]
        if not good:
            return OutboxChanges(frame=pl.DataFrame(), places=(), refused=refused)
        envelope = self._envelope(good)
        mapped = self._mapper.map(envelope.drop(HAS_BODY).hstack(bodies.frame))
        refused += [_refused(good[row], field) for row, field, _, _ in mapped.refused.iter_rows()]
        kept = mapped.rows.to_list()
        return OutboxChanges(
            frame=mapped.changes.with_columns(envelope[HAS_BODY].gather(mapped.rows)),
            places=[good[row].place for row in kept],
            refused=refused,
        )

    def _body_fault(self, body: Any) -> str | None:
        """The field at fault in a body that is no object of the contract's fields."""
        if body is None:
            return None
        if not isinstance(body, dict):
            return BODY
        return next((name for name in body if name not in self._names), None)

    def _envelope(self, rows: Sequence[OutboxRow]) -> pl.DataFrame:
        columns: Mapping[str, tuple[pl.DataType, Sequence[Any]]] = {
            "event_id": (pl.Binary(), [row.event_id.bytes for row in rows]),
            "national_id": (pl.String(), [row.national_id for row in rows]),
            "change_kind": (pl.String(), [row.change_kind for row in rows]),
            "record_key": (pl.String(), [self._key(row) for row in rows]),
            "previous_event_id": (pl.Binary(), [row.previous_event_id and row.previous_event_id.bytes for row in rows]),
            "effective_from": (INSTANT, [row.effective_from for row in rows]),
            "effective_to": (INSTANT, [row.effective_to for row in rows]),
            "recorded_at": (INSTANT, [row.recorded_at for row in rows]),
            "under_investigation": (pl.List(pl.String), [row.under_investigation for row in rows]),
            HAS_BODY: (pl.Boolean(), [row.body is not None for row in rows]),
        }
        return pl.DataFrame([series_of(name, values, kind) for name, (kind, values) in columns.items()])

    def _key(self, row: OutboxRow) -> str:
        """The record key, which an application may leave out where the body says it."""
        if row.record_key is not None:
            return row.record_key
        said = None if self._key_field is None or row.body is None else row.body.get(self._key_field)
        return said if isinstance(said, str) else ""


def _refused(row: OutboxRow, field: str) -> RefusedChange:
    return RefusedChange(place=row.place, field=field, reason=str(Reason.INVALID_FIELD))


def at_desk(changes: OutboxChanges, refused: pl.DataFrame) -> list[RefusedChange]:
    """What the desk refused, by the place in the outbox."""
    return [
        RefusedChange(place=changes.places[row], field=field, reason=reason, rule=rule)
        for row, field, reason, rule in refused.select(ROW, "field", "reason", "rule").iter_rows()
    ]
