"""From JSON to columns of changes. What does not read is refused by its field; no text of a caller is told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import polars as pl

from bus.columns import HAS_BODY
from bus.envelope import EventIdMaker
from bus.reasons import Reason
from producers.bodies import BODY, BodyReader, ObjectReader
from producers.desk import GIVEN, NATIONAL_ID
from producers.once import mark_of
from registry.contracts import RecordType

CHANGE = "change"  # what is no object at all
UNKNOWN = "an unknown one"  # a field's name that is the caller's text
ENVELOPE = {name: kind for name, kind in GIVEN.items() if name != HAS_BODY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an item is no change: the field, and the reason."""

    field: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The items that read, as rows: which item each was, and its mark where it has an id of its own; and the others."""

    frame: pl.DataFrame
    items: Sequence[int]
    marks: Sequence[bytes | None]
    faults: Mapping[int, Fault]


class ChangeReader:
    """Reads changes to records of one type."""

    def __init__(self, record_type: RecordType) -> None:
        self._envelope = ObjectReader(ENVELOPE, others=[BODY])
        self._bodies = BodyReader(record_type)
        self._fields = frozenset(field["name"] for field in record_type.body["fields"]) | {BODY}
        self._key_field = record_type.record_key_field
        self._new_id = EventIdMaker()

    def read(self, said: Sequence[Any]) -> Changes:
        """The items as changes, those that do not read aside."""
        envelope = self._envelope.read([CHANGE if one is None else one for one in said])
        bodies = self._bodies.read([one.get(BODY) if isinstance(one, dict) else None for one in said])
        faults = {item: self._fault(field, self._fields) for item, field in bodies.faults.items()}
        for item, field in envelope.faults.items():
            is_object = isinstance(said[item], dict)
            faults[item] = self._fault(field, ENVELOPE) if is_object else self._fault(CHANGE, {CHANGE})
        items = [item for item in range(len(said)) if item not in faults]
        frame = envelope.frame.hstack(bodies.frame)
        frame = self._completed(frame[items] if faults else frame)
        marks = [self._mark(event_id, said[item]) for item, event_id in zip(items, frame["event_id"], strict=True)]
        return Changes(frame=self._with_ids(frame), items=items, marks=marks, faults=faults)

    def _completed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """What an item may leave out: its record key, where the body says it, and when it was recorded."""
        keys = ["record_key", *([self._key_field] if self._key_field else [])]
        return frame.with_columns(
            pl.coalesce(*keys, pl.lit("")).alias("record_key"),
            pl.col("recorded_at").fill_null(pl.lit(datetime.now(UTC)).cast(GIVEN["recorded_at"])),
        )

    def _with_ids(self, frame: pl.DataFrame) -> pl.DataFrame:
        ids = [one or self._new_id().bytes for one in frame["event_id"]]
        return frame.with_columns(pl.Series("event_id", ids, dtype=pl.Binary))

    def _mark(self, event_id: bytes | None, said: Any) -> bytes | None:
        if event_id is None:
            return None
        return mark_of(event_id, json.dumps(said, sort_keys=True, separators=(",", ":")).encode())

    def _fault(self, field: str, known: Any) -> Fault:
        reason = Reason.INVALID_NATIONAL_ID if field == NATIONAL_ID else Reason.INVALID_FIELD
        return Fault(field=field if field in known else UNKNOWN, reason=reason)
