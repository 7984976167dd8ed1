"""The Confluent wire format: a zero byte, the schema id as four bytes big-endian, then the Avro payload."""

import struct

FRAME_BYTES = 5
MAGIC = 0
_FRAME = struct.Struct(">BI")


def frame(schema_id: int) -> bytes:
    """The five bytes before a payload of this schema."""
    return _FRAME.pack(MAGIC, schema_id)


def schema_id_of(value: bytes) -> int | None:
    """The schema id that a message value claims; None when it is not framed."""
    if len(value) < FRAME_BYTES or value[0] != MAGIC:
        return None
    return int(_FRAME.unpack_from(value)[1])
