"""Event ids made from what an event says, for sources that keep no ids: files and tables.

The same row from the same source has the same id however often it is read, so it is published once. What a contract
gains later, and what the desk only adds (the time of the reading, its doubts), is no part of the id.
"""

import hashlib
from typing import Any

import polars as pl
import pyarrow.compute as pc

from producers.avro_coding import counted
from producers.encoding import arrow_of, avro_parts, joined, scalar
from registry.composition import envelope_fields
from registry.contracts import RecordType

ID_BYTES = 16
_LEFT_OUT = frozenset({"event_id", "source", "sequence", "under_investigation"})


class ContentIds:
    """Makes the ids of one source's events: UUIDs of version 8 (RFC 9562, section 5.8), for a hash is no time."""

    def __init__(self, record_type: RecordType, *, source: str) -> None:
        envelope = {field["name"]: field["type"] for field in envelope_fields() if field["name"] not in _LEFT_OUT}
        body = {field["name"]: _as_text(field["type"]) for field in record_type.body["fields"]}
        self._types = {name: _not_null(kind) for name, kind in [*envelope.items(), *sorted(body.items())]}
        self._hash = hashlib.blake2b(
            counted(record_type.id.encode()) + counted(source.encode()), digest_size=ID_BYTES, person=b"yekbar event id"
        )

    def of(self, events: pl.DataFrame, *, has_recorded_at: bool) -> list[bytes]:
        """The ids of events in the layout of the record type; `has_recorded_at` when the source says the time."""
        parts: list[Any] = []
        for name, avro_type in self._types.items():
            if name == "recorded_at" and not has_recorded_at:
                continue
            column = arrow_of(events[name])
            tag = scalar(counted(name.encode()))
            parts.append(tag if column.null_count == 0 else pc.if_else(pc.is_valid(column), tag, scalar(None)))
            parts += avro_parts(avro_type, column)
        return [self._id_of(content) for content in joined(parts).to_pylist()]

    def _id_of(self, content: bytes) -> bytes:
        hashed = self._hash.copy()
        hashed.update(content)
        digest = bytearray(hashed.digest())
        digest[6] = digest[6] & 0x0F | 0x80
        digest[8] = digest[8] & 0x3F | 0x80
        return bytes(digest)


def _not_null(avro_type: Any) -> Any:
    """The type of the values that are there: an absent one has no bytes."""
    return avro_type[1] if isinstance(avro_type, list) else avro_type


def _as_text(avro_type: Any) -> Any:
    """The type, but of a symbol its text: its place in the list may change with the contract."""
    return "string" if isinstance(avro_type, dict) and avro_type["type"] == "enum" else avro_type
