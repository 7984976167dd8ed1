"""Values of Kafka Connect's schemas, as a database's driver would hand them out.

A schema is that of the JSON converter or of an Avro converter; without one, a value is what JSON makes of it.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from producers.errors import MappingError

Read = Callable[[Any], Any]
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the local time of a column that has no zone
_DAY_ONE = date(1970, 1, 1)


def _day(value: Any) -> Any:
    return value if isinstance(value, date) else _DAY_ONE + timedelta(days=value)


def _local(microseconds: float) -> Read:
    def read(value: Any) -> Any:
        if isinstance(value, datetime):  # an Avro reader has made it one already
            return value.astimezone(UTC).replace(tzinfo=None)
        return _EPOCH + timedelta(microseconds=value * microseconds)

    return read


def _nanoseconds(value: Any) -> datetime:
    return _EPOCH + timedelta(microseconds=value // 1_000)


def _zoned(value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _time(per_second: int) -> Read:
    def read(value: Any) -> Any:
        if not isinstance(value, int):
            return str(value)
        return (_EPOCH + timedelta(seconds=value / per_second)).time().isoformat()

    return read


def _scaled(value: Any, scale: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    content = base64.b64decode(value) if isinstance(value, str) else bytes(value)
    return Decimal(int.from_bytes(content, "big", signed=True)).scaleb(-scale)


def _bytes(value: Any) -> Any:
    return base64.b64decode(value) if isinstance(value, str) else value


_READERS: Mapping[str, Read] = {
    "io.debezium.time.Date": _day,
    "org.apache.kafka.connect.data.Date": _day,
    "io.debezium.time.Timestamp": _local(1_000),
    "org.apache.kafka.connect.data.Timestamp": _local(1_000),
    "io.debezium.time.MicroTimestamp": _local(1),
    "io.debezium.time.NanoTimestamp": _nanoseconds,
    "io.debezium.time.ZonedTimestamp": _zoned,
    "io.debezium.time.Time": _time(1_000),
    "org.apache.kafka.connect.data.Time": _time(1_000),
    "io.debezium.time.MicroTime": _time(1_000_000),
    "io.debezium.time.NanoTime": _time(1_000_000_000),
    "io.debezium.data.VariableScaleDecimal": lambda value: _scaled(value["value"], value["scale"]),
}
_DECIMAL = "org.apache.kafka.connect.data.Decimal"


def reader(schema: Mapping[str, Any]) -> Read:
    """How values of a field's schema, in the JSON converter's words, are read; null stays null."""
    name = schema.get("name") or ""
    if name == _DECIMAL:
        scale = int(schema.get("parameters", {}).get("scale", 0))
        read: Read | None = lambda value: _scaled(value, scale)  # noqa: E731 - one of several ways
    elif schema.get("type") == "bytes" and not name:
        read = _bytes
    else:
        read = _READERS.get(name)
    if read is None:
        return lambda value: value
    chosen = read

    def read_or_none(value: Any) -> Any:
        try:
            return None if value is None else chosen(value)
        except (ValueError, OverflowError, TypeError, ArithmeticError, KeyError):
            raise MappingError(
                f"the column '{schema.get('field', '')}' holds a value that is none of the type '{name}' of its schema",
                remedy="look at the connector's converters; if the column is not needed, leave it out of the connector",
            ) from None

    return read_or_none


def type_name(schema: Mapping[str, Any]) -> str:
    """A field's type in one word, by which a change of it is seen."""
    return str(schema.get("name") or schema.get("type"))


def of_avro(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """An Avro field's schema in the JSON converter's words (the converters keep Connect's names beside Avro's)."""
    kind = schema["type"]
    if isinstance(kind, list):
        kind = next((branch for branch in kind if branch != "null"), "null")
    said = {"field": schema["name"]}
    if not isinstance(kind, Mapping):
        return {**said, "type": kind}
    logical = kind.get("logicalType")
    name = kind.get("connect.name") or _LOGICAL.get(str(logical))
    parameters = kind.get("connect.parameters") or {"scale": kind.get("scale", 0)}
    return {**said, "type": kind["type"], "name": name, "parameters": parameters}


_LOGICAL: Mapping[str, str] = {
    "date": "org.apache.kafka.connect.data.Date",
    "decimal": _DECIMAL,
    "timestamp-millis": "org.apache.kafka.connect.data.Timestamp",
    "timestamp-micros": "io.debezium.time.MicroTimestamp",
    "time-millis": "org.apache.kafka.connect.data.Time",
    "uuid": "io.debezium.data.Uuid",
}
