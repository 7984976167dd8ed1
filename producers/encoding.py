"""The columnar encoder: many events in columns become framed Avro values, with no Python object per field.

The mirror of `bus.columns.Decoder`, and it takes that decoder's columns. Each field becomes one or more columns of
bytes (Avro 1.12 specification, binary encoding), looked up in small tables; one join then makes each event's value.
A null column entry is no bytes at all, so the fields of an absent body vanish by themselves. A handful of events is
faster one by one, with fastavro: the bytes are the same.
"""

import io
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from bus.columns import HAS_BODY
from bus.framing import frame
from producers.avro_coding import counted, varint
from producers.columns import KINDS

HANDFUL = 120  # events; from about here on columns are faster
GROUP_BITS = 14  # two bytes of Avro's variable-length coding
GROUP_SIZE = 1 << GROUP_BITS
BINARY = pa.large_binary()
_BITS, _LOW, _SIZE, _ABSENT, _ZERO, _ONE_UNSIGNED = (
    pa.scalar(number, pa.uint64()) for number in (GROUP_BITS, GROUP_SIZE - 1, GROUP_SIZE, 2 * GROUP_SIZE, 0, 1)
)
_ONE, _NONE_SET, _ALL_SET = (pa.scalar(number, pa.int64()) for number in (1, 0, -1))
_STAMPED = ("event_id", "source", "sequence")  # what is known only as an event is sent

Part = Any  # a pyarrow array or scalar of bytes; the package ships no types


class Encoder:
    """Encodes the events of one source under one schema."""

    def __init__(self, schema_id: int, event_schema: Mapping[str, Any], *, source: str) -> None:
        self._frame = scalar(frame(schema_id))
        self._source = scalar(counted(source.encode()))
        fields = {field["name"]: field["type"] for field in event_schema["fields"]}
        body = fields.pop("body")[1]
        assert tuple(fields)[: len(_STAMPED)] == _STAMPED, "the envelope begins with what identifies an event"
        self._envelope = {name: fields[name] for name in fields if name not in _STAMPED}
        self._body = {field["name"]: field["type"] for field in body["fields"]}
        following = [field for field in event_schema["fields"] if field["name"] not in _STAMPED]
        self._following = fastavro.parse_schema({"type": "record", "name": "Following", "fields": following})

    def contents(self, events: pl.DataFrame) -> pa.LargeBinaryArray:
        """All that follows the sequence in each event's value."""
        if events.height <= HANDFUL:
            return pa.array([self._content(row) for row in events.iter_rows(named=True)], BINARY)
        has_body = arrow_of(events[HAS_BODY])
        parts: list[Part] = []
        for name, avro_type in self._envelope.items():
            parts += avro_parts(avro_type, arrow_of(events[name]))
        parts.append(pc.if_else(has_body, scalar(b"\x02"), scalar(b"\x00")))
        presence = None if events[HAS_BODY].all() else has_body
        for name, avro_type in self._body.items():
            column = arrow_of(events[name])
            _hold_no_null_where_none_may_be(name, avro_type, column, has_body)
            parts += avro_parts(avro_type, column, presence=presence)
        return joined(parts)

    def _content(self, row: Mapping[str, Any]) -> bytes:
        record = {name: row[name] for name in self._envelope}
        record["change_kind"] = KINDS[row["change_kind"]]
        record["body"] = {name: row[name] for name in self._body} if row[HAS_BODY] else None
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self._following, record)
        return stream.getvalue()

    def values(self, event_ids: Iterable[bytes], first_sequence: int, contents: pa.LargeBinaryArray) -> list[bytes]:
        """The framed values of the events, in sequence from `first_sequence`."""
        ids = pa.array(event_ids, BINARY)
        sequences = pa.array(range(first_sequence, first_sequence + len(contents)), pa.int64())
        framed = joined([self._frame, ids, self._source, *_long(sequences), contents])
        values: list[bytes] = framed.to_pylist()
        return values


def avro_parts(avro_type: Any, column: Part, *, presence: Part | None = None) -> list[Part]:
    """The columns of bytes that one field becomes; null where `presence` is false."""
    match avro_type:
        case ["null", inner]:
            marker = pc.if_else(pc.is_valid(column), scalar(b"\x02"), scalar(b"\x00"))
            if presence is not None:
                marker = pc.if_else(presence, marker, scalar(None))
            return [marker, *avro_parts(inner, column)]
        case {"type": "enum", "symbols": symbols}:
            return _long(column if pa.types.is_integer(column.type) else _indices(column, symbols))
        case {"type": "array"}:
            return [_texts(column)]
        case {"type": "fixed"}:
            return [column]
        case {"type": str(name)} | str(name):
            return _PRIMITIVES[name](column)
    raise AssertionError(f"the catalogue let a type through that cannot be encoded: {avro_type}")


def _indices(column: Part, symbols: list[str]) -> Part:
    return pc.index_in(column, pa.array(symbols, column.type), skip_nulls=True)


def _long(column: Part) -> list[Part]:
    """Integers, zig-zag then in groups of seven bits."""
    whole = column.cast(pa.int64())
    sign = pc.if_else(pc.less(whole, _NONE_SET), _ALL_SET, _NONE_SET)
    return _unsigned(pc.bit_wise_xor(pc.shift_left(whole, _ONE), sign).view(pa.uint64()))


def _unsigned(rest: Part) -> list[Part]:
    parts: list[Part] = []
    is_open = None
    while True:
        largest = pc.max(rest).as_py() or 0
        low = pc.bit_wise_and(rest, _LOW)
        rest = pc.shift_right(rest, _BITS)
        goes_on = pc.greater(rest, _ZERO)
        place = pc.if_else(goes_on, pc.add(low, _SIZE), low)
        if is_open is not None:
            place = pc.if_else(is_open, place, _ABSENT)
        parts.append(_groups().take(place))
        if largest < GROUP_SIZE:
            return parts
        is_open = goes_on


@cache
def _groups() -> Part:
    """Fourteen bits as the last bytes of a number, then as bytes that more follow, then as none at all."""
    last = [varint(bits) for bits in range(GROUP_SIZE)]
    followed = [bytes([bits & 0x7F | 0x80, bits >> 7 | 0x80]) for bits in range(GROUP_SIZE)]
    return pa.array([*last, *followed, b""], BINARY)


def _text(column: Part) -> list[Part]:
    content = column.cast(BINARY)
    lengths = pc.binary_length(content).cast(pa.uint64())
    return [*_unsigned(pc.shift_left(lengths, _ONE_UNSIGNED)), content]


def _texts(column: Part) -> Part:
    """Arrays of strings, each as one block."""
    counts = pc.list_value_length(column)
    if (pc.max(counts).as_py() or 0) == 0:
        return pc.if_else(pc.is_valid(column), scalar(b"\x00"), scalar(None))
    items = joined(_text(pc.list_flatten(column)))
    ends = pc.cumulative_sum(pc.fill_null(counts, 0)).cast(pa.int64())
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    blocks = pc.binary_join(pa.LargeListArray.from_arrays(offsets, items), scalar(b""))
    block = joined([*_long(counts), blocks, scalar(b"\x00")])
    filled = pc.if_else(pc.greater(counts, 0), block, scalar(b"\x00"))
    return pc.if_else(pc.is_valid(column), filled, scalar(None))


def _double(column: Part) -> list[Part]:
    filled = pc.fill_null(column.cast(pa.float64()), 0.0)
    raw = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(8), len(filled), [None, filled.buffers()[1]], -1, filled.offset
    )
    return [pc.if_else(pc.is_valid(column), raw.cast(BINARY), scalar(None))]


def _boolean(column: Part) -> list[Part]:
    return [pc.if_else(column, scalar(b"\x01"), scalar(b"\x00"))]


_PRIMITIVES = {"string": _text, "int": _long, "long": _long, "double": _double, "boolean": _boolean}


def joined(parts: list[Part]) -> Part:
    """The columns of bytes side by side as one; a null is no bytes."""
    return pc.binary_join_element_wise(*parts, scalar(b""), null_handling="replace", null_replacement="")


def arrow_of(column: pl.Series) -> Part:
    """The column as Arrow, with times and dates as the integers that Avro stores."""
    if column.dtype.is_temporal():
        column = column.to_physical()
    array = column.to_arrow(compat_level=pl.CompatLevel.oldest())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _hold_no_null_where_none_may_be(name: str, avro_type: Any, column: Part, has_body: Part) -> None:
    """A null that came this far would shift every field after it: so it is looked for even where none can be."""
    if isinstance(avro_type, list) or column.null_count == 0:
        return
    if pc.any(pc.and_(has_body, pc.is_null(column))).as_py():
        raise AssertionError(f"the desk let a null through in field '{name}'")


def scalar(content: bytes | None) -> Part:
    """The same bytes for every row."""
    return pa.scalar(content, BINARY)
