"""The desk for a handful of rows: one by one, which is faster than columns, and with the same outcome."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import polars as pl

from bus.columns import HAS_BODY
from bus.envelope import ChangeKind
from bus.errors import RefusedError
from producers.change import Change
from producers.columns import Draft
from producers.desk import GIVEN, REFUSED_COLUMNS, ROW, Checked, Desk
from producers.subjects import Subjects
from producers.validation import Validator

HANDFUL = 120  # rows; from about here on columns are faster
_ID_BYTES = 16
_DAY_MICROSECONDS = 86_400_000_000
DAY_FIRST, DAY_LAST = ((one - date(1970, 1, 1)).days for one in (date.min, date.max))


class Handful:
    """Checks small frames that have every column in its type; others are the desk's."""

    def __init__(self, desk: Desk, validator: Validator, subjects: Subjects) -> None:
        self._desk = desk
        self._validator = validator
        self._subjects = subjects
        self._body = desk.layout.body_names
        self._schema = {**GIVEN, **{name: desk.layout.types[name] for name in self._body}}

    def takes(self, frame: pl.DataFrame) -> bool:
        """Whether the frame is small, and has all columns in their types and ids that are ids."""
        if not 0 < frame.height <= HANDFUL or dict(frame.schema) != self._schema or frame[HAS_BODY].null_count():
            return False
        are_ids = (
            one is None or len(one) == _ID_BYTES for name in ("event_id", "previous_event_id") for one in frame[name]
        )
        return all(are_ids) and all(_is_told(column) for column in frame if column.dtype.is_temporal())

    def check(self, frame: pl.DataFrame, *, now: datetime) -> Checked:
        """See Desk.check."""
        drafts: list[Draft] = []
        places: list[int] = []
        bad: list[tuple[int, str, str, str]] = []
        for place, row in enumerate(frame.iter_rows(named=True)):
            try:
                drafts.append(self._draft(row, now))
                places.append(place)
            except RefusedError as exc:
                bad.append((place, exc.field, str(exc.reason), ""))
        events = self._desk.layout.of(drafts)
        judged = self._desk.judge(events.insert_column(0, pl.Series(ROW, places, pl.UInt32)))
        refused = pl.concat([pl.DataFrame(bad, schema=REFUSED_COLUMNS, orient="row"), judged.refused]).sort(ROW)
        return replace(judged, refused=refused)

    def _draft(self, row: Mapping[str, Any], now: datetime) -> Draft:
        change = _change(row, self._body)
        subject = self._subjects.of(row["national_id"])
        self._validator.check(change, now=now)
        return Draft(change, subject, row["event_id"])


def _is_told(column: pl.Series) -> bool:
    """Whether Python has a word for every time in a column; those of a database reach further."""
    days = column.to_physical().drop_nulls()
    if isinstance(column.dtype, pl.Datetime):
        days = days // _DAY_MICROSECONDS
    return bool(days.is_between(DAY_FIRST, DAY_LAST).all())


def _change(row: Mapping[str, Any], body_names: Sequence[str]) -> Change:
    kind = row["change_kind"]
    with suppress(ValueError):  # the validator names the field
        kind = ChangeKind(kind)
    previous = row["previous_event_id"]
    return Change(
        national_id=row["national_id"],
        change_kind=kind,
        effective_from=row["effective_from"],
        effective_to=row["effective_to"],
        recorded_at=row["recorded_at"],
        record_key=row["record_key"],
        previous_event_id=None if previous is None else UUID(bytes=previous),
        body={name: row[name] for name in body_names} if row[HAS_BODY] else None,
        under_investigation=tuple(row["under_investigation"] or ()),
    )
