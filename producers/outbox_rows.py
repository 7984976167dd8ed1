"""Rows of an outbox as columns of changes: the part of a relay without any I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl
from pydantic_core import from_json

from bus.columns import HAS_BODY
from bus.reasons import Reason
from producers.bodies import BodyReader
from producers.columns import series_of
from producers.desk import GIVEN, ROW
from producers.outbox_journal import Place
from registry.contracts import RecordType

_NOT_JSON = object()  # nested deeper than any contract is


class OutboxRow(NamedTuple):
    """One change as `outbox_drain.sql` reads it.

    Ids are their bytes; times are microseconds since 1970, None where they are infinite; the body is JSON text.
    """

    xid: int
    number: int
    record_type: str
    event_id: bytes
    national_id: str
    change_kind: str
    record_key: str | None
    previous_event_id: bytes | None
    effective_from: int | None
    effective_to: int | None
    recorded_at: int | None
    under_investigation: Sequence[str | None]
    body: str | None

    @property
    def place(self) -> Place:
        """Where the change is in the outbox."""
        return Place(self.xid, self.number)


class RefusedChange(NamedTuple):
    """A change that the desk refuses: where it is, the field at fault, and why."""

    place: Place
    field: str
    reason: str
    rule: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxChanges:
    """Changes for a publisher, the row of the outbox that each was, and those that are refused already."""

    frame: pl.DataFrame
    rows: Sequence[OutboxRow]
    refused: Sequence[RefusedChange]


class OutboxReader:
    """Reads an outbox's rows as changes to records of one type."""

    def __init__(self, record_type: RecordType) -> None:
        self._bodies = BodyReader(record_type)
        self._key_field = record_type.record_key_field

    def read(self, rows: Sequence[OutboxRow]) -> OutboxChanges:
        """The rows in columns; a body that does not read refuses its row alone."""
        bodies = self._bodies.read(_bodies_of(rows))
        frame = self._envelope(rows).hstack(bodies.frame)
        if self._key_field is not None:
            frame = frame.with_columns(pl.coalesce("record_key", self._key_field, pl.lit("")).alias("record_key"))
        else:
            frame = frame.with_columns(pl.col("record_key").fill_null(""))
        if not bodies.faults:
            return OutboxChanges(frame=frame, rows=rows, refused=())
        good = [row for row in range(len(rows)) if row not in bodies.faults]
        refused = [
            RefusedChange(place=rows[row].place, field=field, reason=str(Reason.INVALID_FIELD))
            for row, field in bodies.faults.items()
        ]
        return OutboxChanges(frame=frame[good], rows=[rows[row] for row in good], refused=refused)

    def _envelope(self, rows: Sequence[OutboxRow]) -> pl.DataFrame:
        said: Mapping[str, Sequence[Any]] = dict(zip(OutboxRow._fields, zip(*rows, strict=True), strict=True))
        return pl.DataFrame([series_of(name, said[name], kind) for name, kind in GIVEN.items() if name != HAS_BODY])


def _bodies_of(rows: Sequence[OutboxRow]) -> list[Any]:
    texts = [row.body or "null" for row in rows]
    try:
        bodies: list[Any] = from_json(f"[{','.join(texts)}]")
    except ValueError:
        return [_body_of(text) for text in texts]
    return bodies


def _body_of(text: str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return _NOT_JSON


def at_desk(changes: OutboxChanges, refused: pl.DataFrame) -> Iterator[RefusedChange]:
    """What the desk refused, by the place in the outbox."""
    for row, field, reason, rule in refused.select(ROW, "field", "reason", "rule").iter_rows():
        yield RefusedChange(place=changes.rows[row].place, field=field, reason=reason, rule=rule)
