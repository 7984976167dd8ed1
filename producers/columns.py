"""Changes in columns: the layout that the desk checks and the encoder takes, the same as consumers decode."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from bus.columns import HAS_BODY, Decoder
from bus.envelope import ChangeKind
from producers.change import Change
from registry.composition import event_schema
from registry.contracts import RecordType

KINDS = tuple(ChangeKind)
KIND_INDEX: Mapping[ChangeKind, int] = {kind: index for index, kind in enumerate(KINDS)}
STAMPED = ("source", "sequence")  # what an event gets only as it is sent


class Draft(NamedTuple):
    """A change that passed the desk, with its person's subject and its event's id."""

    change: Change
    subject: bytes
    event_id: bytes


class Layout:
    """The columns of one record type's events, without source and sequence."""

    def __init__(self, record_type: RecordType) -> None:
        columns = Decoder(0, event_schema(record_type)).columns
        self.body_names = tuple(field["name"] for field in record_type.body["fields"])
        self.types = {name: kind for name, kind in columns.items() if name not in STAMPED}

    def of(self, drafts: Sequence[Draft]) -> pl.DataFrame:
        """The drafts in columns, in their order."""
        changes = [draft.change for draft in drafts]
        bodies = [change.body for change in changes]
        values: dict[str, list[Any]] = {
            "event_id": [draft.event_id for draft in drafts],
            "subject": [draft.subject for draft in drafts],
            "change_kind": [KIND_INDEX[change.change_kind] for change in changes],
            "previous_event_id": [_bytes_or_none(change) for change in changes],
            "record_key": [change.record_key for change in changes],
            "effective_from": [change.effective_from for change in changes],
            "effective_to": [change.effective_to for change in changes],
            "recorded_at": [change.recorded_at for change in changes],
            "under_investigation": [change.under_investigation for change in changes],
            HAS_BODY: [body is not None for body in bodies],
        }
        for name in self.body_names:
            values[name] = [None if body is None else body.get(name) for body in bodies]
        return pl.DataFrame([series_of(name, values[name], kind) for name, kind in self.types.items()])


def _bytes_or_none(change: Change) -> bytes | None:
    return None if change.previous_event_id is None else change.previous_event_id.bytes


def series_of(name: str, values: Sequence[Any], kind: pl.DataType) -> pl.Series:
    """A column of values that the desk has checked; Arrow makes times and lists far faster from Python's own."""
    arrow = _ARROW.get(kind)
    if arrow is not None:
        return pl.Series(name, pa.array(values, arrow))
    return pl.Series(name, values, dtype=kind)


_ARROW: Mapping[Any, Any] = {
    pl.Datetime("us", "UTC"): pa.timestamp("us", "UTC"),
    pl.Date(): pa.date32(),
    pl.List(pl.String): pa.large_list(pa.large_string()),
    pl.Float64(): pa.float64(),
}
