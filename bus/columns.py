"""The columnar decoder: many framed values of one schema become one frame, with no Python object per event.

The values, joined, are one block of an Avro object container file (Avro 1.12 specification), which Polars reads
natively. Joined values have no boundaries of their own: so the reader is given a schema whose first field is the
five-byte frame and whose last is a random guard written after each value. Both are checked in columns, and a malformed
value can never shift into its neighbour unseen. Enums are read as their index: the same bytes.
"""

import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fastavro
import polars as pl

from bus.framing import FRAME_BYTES, frame

GUARD_BYTES = 8
_SYNC = bytes(16)
_FRAME = "frame_"
_GUARD = "guard_"
_BODY = "body"
HAS_BODY = "has_body"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """`frame` has one row for each value that could be decoded, `rows` says which; the others are `malformed`.

    Columns are those of the envelope, then `has_body`, then those of the body. `change_kind` is an index, body enums
    are their symbols.
    """

    frame: pl.DataFrame
    rows: list[int]
    malformed: list[int]


class Decoder:
    """Decodes the values that were written with one schema."""

    def __init__(self, schema_id: int, writer_schema: Mapping[str, Any]) -> None:
        self._prefix = frame(schema_id)
        self._writer = fastavro.parse_schema(dict(writer_schema))
        self._enums: dict[tuple[bool, str], list[str]] = {}
        self._reading = self._reading_schema(writer_schema)
        self._none = self._read(b"", 0)

    @property
    def columns(self) -> pl.Schema:
        """The names and types of the columns that are decoded."""
        return self._flat(self._none).schema

    def decode(self, values: Sequence[bytes]) -> Decoded:
        """All of the values in columns; those that are no such event are left out and named by their index."""
        whole = self._decode_block(values)
        if whole is not None:
            return Decoded(frame=self._flat(whole), rows=list(range(len(values))), malformed=[])
        # Something is malformed: one by one first, for the block reader tells the terminal of each failure of its own.
        canonical = {row: self._encoded_again(value) for row, value in enumerate(values)}
        sound = {row: value for row, value in canonical.items() if value is not None}
        frames: list[pl.DataFrame] = []
        rows: list[int] = []
        spans = [list(sound)] if sound else []
        while spans:
            span = spans.pop()
            part = self._decode_block([sound[row] for row in span])
            if part is not None:
                frames.append(part)
                rows.extend(span)
            elif len(span) > 1:
                spans += [span[len(span) // 2 :], span[: len(span) // 2]]  # the first half is next: rows stay in order
        malformed = sorted(set(canonical) - set(rows))
        return Decoded(frame=self._flat(pl.concat([self._none, *frames])), rows=rows, malformed=malformed)

    def _decode_block(self, values: Sequence[bytes]) -> pl.DataFrame | None:
        guard = os.urandom(GUARD_BYTES)
        try:
            block = self._read(guard.join(values) + guard, len(values))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, MemoryError):
            return None
        return block if block.height == len(values) and self._is_sound(block, guard) else None

    def _read(self, joined: bytes, count: int) -> pl.DataFrame:
        header = {"avro.schema": self._reading, "avro.codec": b"null"}
        metadata = b"".join(_bytes(name.encode()) + _bytes(text) for name, text in header.items())
        opening = b"Obj\x01" + _long(len(header)) + metadata + b"\0" + _SYNC
        return pl.read_avro(io.BytesIO(opening + _long(count) + _long(len(joined)) + joined + _SYNC))

    def _encoded_again(self, value: bytes) -> bytes | None:
        """The value as fastavro reads and writes it, when it is valid Avro in a form that the block reader refuses."""
        if value[:FRAME_BYTES] != self._prefix:
            return None
        stream = io.BytesIO(value)
        stream.seek(FRAME_BYTES)
        written = io.BytesIO()
        written.write(self._prefix)
        try:
            record = fastavro.schemaless_reader(stream, self._writer, None)
            fastavro.schemaless_writer(written, self._writer, record)
        except Exception:  # fastavro raises whatever the malformed bytes lead it to
            return None
        return None if stream.read(1) else written.getvalue()

    def _reading_schema(self, writer_schema: Mapping[str, Any]) -> bytes:
        fields = [
            {"name": _FRAME, "type": _fixed(_FRAME, FRAME_BYTES)},
            *(self._read_as(field, is_body=False) for field in writer_schema["fields"]),
            {"name": _GUARD, "type": _fixed(_GUARD, GUARD_BYTES)},
        ]
        return json.dumps({"type": "record", "name": "Reading", "fields": fields}).encode()

    def _read_as(self, field: Mapping[str, Any], *, is_body: bool) -> dict[str, Any]:
        avro_type = field["type"]
        match avro_type:
            case {"type": "enum", "symbols": symbols}:
                self._enums[is_body, field["name"]] = list(symbols)
                avro_type = "int"
            case ["null", {"type": "record"} as record]:
                avro_type = [
                    "null",
                    {**record, "fields": [self._read_as(inner, is_body=True) for inner in record["fields"]]},
                ]
        return {"name": field["name"], "type": avro_type}

    def _column(self, is_body: bool, name: str) -> pl.Expr:
        return pl.col(_BODY).struct.field(name) if is_body else pl.col(name)

    def _is_sound(self, block: pl.DataFrame, guard: bytes) -> bool:
        """Whether each value began and ended where it should, and each enum's index has a symbol."""
        checks = [pl.col(_FRAME) == pl.lit(self._prefix), pl.col(_GUARD) == pl.lit(guard)]
        for place, symbols in self._enums.items():
            checks.append(self._column(*place).is_between(0, len(symbols) - 1))
        return all(block.select(check.all().alias(str(number)) for number, check in enumerate(checks)).row(0))

    def _flat(self, block: pl.DataFrame) -> pl.DataFrame:
        """The block with the body's fields as columns and the body's enums as their symbols."""
        flat = block.drop(_FRAME, _GUARD).with_columns(pl.col(_BODY).is_not_null().alias(HAS_BODY))
        flat = flat.select(pl.exclude(_BODY), _BODY).unnest(_BODY)
        return flat.with_columns(
            pl.lit(pl.Series(symbols)).gather(pl.col(name)).alias(name)
            for (is_body, name), symbols in self._enums.items()
            if is_body
        )


def _fixed(name: str, size: int) -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


def _long(number: int) -> bytes:
    """A long in Avro's variable-length zig-zag coding."""
    rest = number << 1 ^ number >> 63
    coded = bytearray()
    while rest > 0x7F:
        coded.append(rest & 0x7F | 0x80)
        rest >>= 7
    coded.append(rest)
    return bytes(coded)


def _bytes(content: bytes) -> bytes:
    return _long(len(content)) + content
