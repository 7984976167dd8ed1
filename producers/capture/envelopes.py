"""Debezium's messages as rows: JSON with or without schemas, or Avro by a registry; their bytes tell which.

What is read of an envelope is `op`, `before`, `after` and of `source` its time, log position and transaction; the block
`transaction` is of no use here, for a row's changes come in their order.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import fastavro

from bus.framing import FRAME_BYTES, schema_id_of
from producers.capture.values import Read, of_avro, reader, type_name
from producers.errors import MustDecideError, UnreadableError
from registry.client import SchemaRegistry

UNAVAILABLE = "__debezium_unavailable_value"
READ, DELETED, TRUNCATED, MESSAGE = "r", "d", "t", "m"
OPERATIONS = frozenset({READ, "c", "u", DELETED, TRUNCATED, MESSAGE})
HEADS_MAX = 64  # schemas of messages that are known by their bytes; of a table that changes oftener each is read anew
_IDENTITY_BYTES = 12
_PAYLOAD = b',"payload":'
_NO_TYPES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """What one message says: the row as it is now, or that it is gone. `types` is empty where no schema tells them.

    `identity` is the same when the connector sends the same change again; a snapshot's rows have none.
    """

    row: Mapping[str, Any]
    key: tuple[str, ...]
    is_gone: bool
    is_truncation: bool = False
    types: Mapping[str, str]
    at: datetime
    identity: bytes | None


class Columns:
    """The columns of one schema of rows."""

    def __init__(self, fields: list[Mapping[str, Any]]) -> None:
        self.types = {field["field"]: type_name(field) for field in fields}
        self._readers: Mapping[str, Read] = {field["field"]: reader(field) for field in fields}

    def row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as a driver would hand them out."""
        return {name: self._readers[name](value) for name, value in values.items() if name in self._readers}


class Envelopes:
    """Reads the messages of one change topic."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._by_head: dict[bytes, Columns] = {}  # the converter writes the same schema before each payload
        self._avro: dict[int, Any] = {}

    def read(self, key: bytes | None, value: bytes) -> RowChange | None:
        """What a message says of a row; None when it says nothing of any. Raises UnreadableError, MustDecideError."""
        envelope, columns = self._opened(value)
        operation = envelope.get("op")
        if operation not in OPERATIONS:
            raise UnreadableError(
                "the topic's messages are no change events of Debezium: they have no 'op'",
                remedy="take the transformation ExtractNewRecordState off the connector",
            )
        if operation == MESSAGE:
            return None
        named = {} if key is None else self._opened(key)[0]
        values = envelope.get("before" if operation == DELETED else "after") or {}
        if not isinstance(values, Mapping) or not isinstance(named, Mapping):
            raise UnreadableError("the topic's messages have no rows", remedy="name the topic of one table")
        if any(one == UNAVAILABLE for one in values.values()):
            raise MustDecideError(
                "the connector left out the unchanged value of a large column",
                remedy="say ALTER TABLE … REPLICA IDENTITY FULL at the agency, then let the connector snapshot anew",
            )
        both = {**values, **named} if operation == DELETED else values
        source = envelope.get("source") or {}
        return RowChange(
            row=dict(both) if columns is None else columns.row(both),
            key=tuple(named),
            is_gone=operation == DELETED,
            is_truncation=operation == TRUNCATED,
            types=_NO_TYPES if columns is None else columns.types,
            at=_time(source, envelope),
            identity=None if operation == READ else _identity(operation, named or both, source),
        )

    def _opened(self, content: bytes) -> tuple[Mapping[str, Any], Columns | None]:
        schema_id = schema_id_of(content)
        if schema_id is not None:
            return self._of_avro(schema_id, content)
        head, parting, rest = content.partition(_PAYLOAD)
        known = self._by_head.get(head) if parting and rest.endswith(b"}") else None
        try:
            if known is not None:
                return json.loads(rest[:-1]) or {}, known
            document = json.loads(content)
        except (ValueError, UnicodeDecodeError):
            document = None
        if not isinstance(document, dict):
            raise UnreadableError(
                "a message of the topic is neither JSON nor framed Avro", remedy="look at the connector's converters"
            )
        if document.keys() != {"schema", "payload"}:
            return document, None
        columns = _columns_of(document["schema"])
        if len(self._by_head) < HEADS_MAX and _is_whole(head):
            self._by_head[head] = columns
        return document["payload"] or {}, columns

    def _of_avro(self, schema_id: int, content: bytes) -> tuple[Mapping[str, Any], Columns | None]:
        if schema_id not in self._avro:
            schema = self._registry.schema(schema_id)
            self._avro[schema_id] = (fastavro.parse_schema(schema), Columns([*map(of_avro, _rows_of(schema))]))
        parsed, columns = self._avro[schema_id]
        stream = io.BytesIO(content)
        stream.seek(FRAME_BYTES)
        try:
            record: Any = fastavro.schemaless_reader(stream, parsed, None)
        except (EOFError, ValueError, IndexError, TypeError, UnicodeDecodeError) as exc:
            raise UnreadableError("a message of the topic is not one Avro record of its schema") from exc
        return record, columns


def _columns_of(schema: Mapping[str, Any]) -> Columns:
    """The columns of a schema of the JSON converter."""
    fields = schema.get("fields") or []
    rows = next((one.get("fields") for one in fields if one.get("field") == "after"), None)
    return Columns(rows or fields)


def _is_whole(head: bytes) -> bool:
    """Whether what stands before the payload is the schema and nothing else: then the rest is the payload."""
    try:
        document = json.loads(head + b"}")
    except (ValueError, UnicodeDecodeError):
        return False
    return isinstance(document, dict) and document.keys() == {"schema"}


def _rows_of(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The fields of a row: of an envelope those of the record that is defined in `before` or `after`."""
    for field in schema.get("fields", []):
        branches = field["type"] if isinstance(field["type"], list) else [field["type"]]
        for branch in branches:
            if field["name"] in ("before", "after") and isinstance(branch, Mapping) and branch.get("type") == "record":
                return list(branch["fields"])
    return list(schema.get("fields", []))


def _time(source: Mapping[str, Any], envelope: Mapping[str, Any]) -> datetime:
    """When the agency's database committed the change; a snapshot's rows have the time of the snapshot."""
    milliseconds = source.get("ts_ms") or envelope.get("ts_ms") or 0
    microseconds = source.get("ts_us") or milliseconds * 1_000
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)


def _identity(operation: str, named: Mapping[str, Any], source: Mapping[str, Any]) -> bytes | None:
    """A change is known again by its place in the agency's log; connectors without one repeat what they repeat."""
    place = [source.get(name) for name in ("lsn", "txId", "file", "pos", "row", "gtid", "scn", "change_lsn")]
    if not any(place):
        return None
    said = json.dumps([operation, place, dict(named)], default=str, sort_keys=True)
    return hashlib.blake2b(said.encode(), digest_size=_IDENTITY_BYTES).digest()
