"""Checks the defaults of an Avro schema: a wrong one would be found by the first reader that needs it."""

from collections.abc import Callable, Iterator
from typing import Any

import avro.schema

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
BYTE_MAX = 255  # bytes are written as text, each letter one byte


def wrong_default(schema: avro.schema.Schema) -> str | None:
    """The name of the first field whose default is no value of its type; None when all are right."""
    for field in _fields(schema, seen=set()):
        if field.has_default and not _is_value(field.type, field.default):
            return str(field.name)
    return None


def _fields(schema: avro.schema.Schema, *, seen: set[int]) -> Iterator[avro.schema.Field]:
    if id(schema) in seen:
        return
    seen.add(id(schema))
    if isinstance(schema, avro.schema.RecordSchema):
        for field in schema.fields:
            yield field
            yield from _fields(field.type, seen=seen)
    elif isinstance(schema, avro.schema.UnionSchema):
        for branch in schema.schemas:
            yield from _fields(branch, seen=seen)
    elif isinstance(schema, avro.schema.ArraySchema):
        yield from _fields(schema.items, seen=seen)
    elif isinstance(schema, avro.schema.MapSchema):
        yield from _fields(schema.values, seen=seen)


def _is_value(schema: avro.schema.Schema, value: Any) -> bool:
    if isinstance(schema, avro.schema.UnionSchema):
        return any(_is_value(branch, value) for branch in schema.schemas)
    if isinstance(schema, avro.schema.RecordSchema):
        return isinstance(value, dict) and all(
            _is_value(field.type, value[field.name]) if field.name in value else field.has_default
            for field in schema.fields
        )
    if isinstance(schema, avro.schema.ArraySchema):
        return isinstance(value, list) and all(_is_value(schema.items, item) for item in value)
    if isinstance(schema, avro.schema.MapSchema):
        return isinstance(value, dict) and all(_is_value(schema.values, item) for item in value.values())
    if isinstance(schema, avro.schema.EnumSchema):
        return value in schema.symbols
    if isinstance(schema, avro.schema.FixedSchema):
        return _is_bytes(value) and len(value) == schema.size
    return _PRIMITIVES[schema.type](value)


def _is_bytes(value: Any) -> bool:
    return isinstance(value, str) and all(ord(letter) <= BYTE_MAX for letter in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


_PRIMITIVES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "int": lambda value: _is_whole(value) and -INT_MAX - 1 <= value <= INT_MAX,
    "long": lambda value: _is_whole(value) and -LONG_MAX - 1 <= value <= LONG_MAX,
    "float": _is_number,
    "double": _is_number,
    "bytes": _is_bytes,
    "string": lambda value: isinstance(value, str),
}
