"""Avro compatibility: whether a new schema may follow the earlier ones of its subject name, and if not, where and why.

The levels are those of the Confluent Schema Registry; the rules are Avro's schema resolution (Avro 1.12 specification),
as the package `avro` checks them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import avro.name
import avro.schema
from avro.compatibility import (
    ReaderWriterCompatibilityChecker,
    SchemaCompatibilityResult,
    SchemaCompatibilityType,
    lookup_writer_field,
    schema_name_equals,
)
from avro.compatibility import SchemaIncompatibilityType as Rule
from avro.errors import AvroException
from avro.schema import ArraySchema, EnumSchema, FixedSchema, MapSchema, NamedSchema, RecordSchema, UnionSchema

from registry.avro_identity import without_logical_types
from registry.errors import ContractError


class CompatibilityLevel(StrEnum):
    """Who must be able to read what: backward = new readers old data, forward = old readers new data."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def is_transitive(self) -> bool:
        """Whether all earlier schemas count, not the latest alone."""
        return self.value.endswith("_TRANSITIVE")

    @property
    def demands_backward(self) -> bool:
        """Whether the new schema must read what was written with an earlier one."""
        return self.value.startswith(("BACKWARD", "FULL"))

    @property
    def demands_forward(self) -> bool:
        """Whether an earlier schema must read what is written with the new one."""
        return self.value.startswith(("FORWARD", "FULL"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Incompatibility:
    """One broken rule: its name in Avro's terms, the place as a path of field names, and what is wrong there."""

    rule: str
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message} ({self.rule})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AvroText:
    """A schema and the schemas whose named types it uses, each after those that it uses itself."""

    schema: str
    references: tuple[str, ...] = ()


def incompatibilities(
    new: str | AvroText, earlier: Sequence[str | AvroText], level: CompatibilityLevel
) -> tuple[Incompatibility, ...]:
    """What forbids `new` after the `earlier` schemas (oldest first) under a level; nothing when it may follow.

    Raises ContractError when `new` is no Avro schema.
    """
    parsed = parsed_schema(new)
    found: dict[Incompatibility, None] = {}
    for text in earlier if level.is_transitive else earlier[-1:]:
        before = parsed_schema(text)
        if level.demands_backward:
            found.update(
                dict.fromkeys(_Question(reader="the new schema", writer="the earlier one").ask(parsed, before))
            )
        if level.demands_forward:
            found.update(
                dict.fromkeys(_Question(reader="the earlier schema", writer="the new one").ask(before, parsed))
            )
    return tuple(found)


def parsed_schema(text: str | AvroText) -> avro.schema.Schema:
    """The schema as the package `avro` sees it, without logical types.

    Raises ContractError when the text is no Avro schema, or uses a name that nothing defines.
    """
    whole = AvroText(schema=text) if isinstance(text, str) else text
    names = avro.name.Names()
    try:
        for used in whole.references:
            avro.schema.make_avsc_object(without_logical_types(json.loads(used)), names)
        return avro.schema.make_avsc_object(without_logical_types(json.loads(whole.schema)), names)
    except (AvroException, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as exc:
        # Beside its own errors, the package lets through what Python says of a value of the wrong kind.
        raise ContractError(f"the schema is no Avro schema: {exc or type(exc).__name__}") from exc


class _Checker(ReaderWriterCompatibilityChecker):
    """The package's checker, whose results do not grow.

    It joins what is wrong with every part of a schema into one list, twice where a part is used twice: a few lines of
    nested records would fill the memory.
    """

    def get_compatibility(self, *pair: Any, **place: Any) -> SchemaCompatibilityResult:  # the package's own four
        """The verdict over two schemas and the rules that are broken, each once."""
        result = super().get_compatibility(*pair, **place)
        if result.compatibility is SchemaCompatibilityType.incompatible:
            result.incompatibilities = list(dict.fromkeys(result.incompatibilities))
            result.messages, result.locations = set(), set()
        return result


class _Question:
    """Whether one schema reads what another wrote, and where not: the package says whether, we follow it to where."""

    def __init__(self, *, reader: str, writer: str) -> None:
        self._reader_is = reader
        self._writer_is = writer
        # A checker remembers each pair by identity: one for each question never answers for another schema.
        self._checker = _Checker()  # type: ignore[no-untyped-call]  # the package leaves it untyped
        self._seen: set[tuple[int, int]] = set()

    def ask(self, reader: avro.schema.Schema, writer: avro.schema.Schema) -> Iterator[Incompatibility]:
        """The broken rules, each at its place; of a pair that meets at many places, the first place."""
        return self._broken_rules(reader, writer, "")

    def _broken_rules(
        self, reader: avro.schema.Schema, writer: avro.schema.Schema, path: str
    ) -> Iterator[Incompatibility]:
        pair = (id(reader), id(writer))
        result = self._checker.get_compatibility(reader, writer)
        if pair in self._seen or result.compatibility is SchemaCompatibilityType.compatible:
            return
        self._seen.add(pair)
        found = False
        for step, inner_reader, inner_writer in _meetings(reader, writer):
            for problem in self._broken_rules(inner_reader, inner_writer, path + step):
                found = True
                yield problem
        for problem in self._own_rules(reader, writer, path):
            found = True
            yield problem
        if not found:
            rules = ", ".join(sorted({rule.value for rule in result.incompatibilities}))
            yield Incompatibility(rule=rules, path=_place(path, reader), message=self._mismatch(reader, writer))

    def _own_rules(
        self, reader: avro.schema.Schema, writer: avro.schema.Schema, path: str
    ) -> Iterator[Incompatibility]:
        """The rules that two schemas break themselves, whatever is inside them."""
        if isinstance(reader, RecordSchema) and isinstance(writer, RecordSchema):
            for field in reader.fields:
                if lookup_writer_field(writer, field) is None and not field.has_default:
                    yield Incompatibility(
                        rule=Rule.reader_field_missing_default_value.value,
                        path=f"{path}.{field.name}".lstrip("."),
                        message=f"field '{field.name}' is not in {self._writer_is} and has no default",
                    )
        if _is_renamed(reader, writer):
            yield Incompatibility(
                rule=Rule.name_mismatch.value,
                path=_place(path, reader),
                message=self._mismatch(reader, writer),
            )
        if isinstance(reader, UnionSchema):
            for branch in _branches(writer):
                if _counterpart(reader, branch) is None and not self._reads(reader, branch):
                    yield Incompatibility(
                        rule=Rule.missing_union_branch.value,
                        path=_place(path, reader),
                        message=f"{self._reader_is} has no branch for '{_name(branch)}'",
                    )

    def _reads(self, reader: avro.schema.Schema, writer: avro.schema.Schema) -> bool:
        return bool(
            self._checker.get_compatibility(reader, writer).compatibility is not SchemaCompatibilityType.incompatible
        )

    def _mismatch(self, reader: avro.schema.Schema, writer: avro.schema.Schema) -> str:
        if _is_renamed(reader, writer):
            return f"it is called '{_name(reader)}' in {self._reader_is}, '{_name(writer)}' in {self._writer_is}"
        if isinstance(reader, EnumSchema) and isinstance(writer, EnumSchema):
            lacking = ", ".join(f"'{symbol}'" for symbol in writer.symbols if symbol not in reader.symbols)
            return f"{self._reader_is} lacks the symbols {lacking}"
        if isinstance(reader, FixedSchema) and isinstance(writer, FixedSchema):
            return f"it has {reader.size} bytes in {self._reader_is}, {writer.size} in {self._writer_is}"
        return f"it is '{_name(reader)}' in {self._reader_is}, '{_name(writer)}' in {self._writer_is}"


def _meetings(
    reader: avro.schema.Schema, writer: avro.schema.Schema
) -> Iterator[tuple[str, avro.schema.Schema, avro.schema.Schema]]:
    """The parts of two schemas that Avro resolves against each other, with the step that leads to them."""
    if isinstance(reader, UnionSchema):
        for branch in _branches(writer):
            counterpart = _counterpart(reader, branch)
            if counterpart is not None:
                yield "", counterpart, branch
    elif isinstance(writer, UnionSchema):
        for branch in writer.schemas:
            yield "", reader, branch
    elif isinstance(reader, RecordSchema) and isinstance(writer, RecordSchema):
        for field in reader.fields:
            written = lookup_writer_field(writer, field)
            if written is not None:
                yield f".{field.name}", field.type, written.type
    elif isinstance(reader, ArraySchema) and isinstance(writer, ArraySchema):
        yield "[]", reader.items, writer.items
    elif isinstance(reader, MapSchema) and isinstance(writer, MapSchema):
        yield "{}", reader.values, writer.values


def _branches(schema: avro.schema.Schema) -> Sequence[avro.schema.Schema]:
    return schema.schemas if isinstance(schema, UnionSchema) else (schema,)


def _counterpart(reader: UnionSchema, branch: avro.schema.Schema) -> avro.schema.Schema | None:
    """The branch of the reader's union that is meant by a written one: of the same kind and name."""
    for candidate in reader.schemas:
        if candidate.type == branch.type and not _is_renamed(candidate, branch):
            return cast(avro.schema.Schema, candidate)
    return None


def _is_renamed(reader: avro.schema.Schema, writer: avro.schema.Schema) -> bool:
    if isinstance(reader, NamedSchema) and isinstance(writer, NamedSchema) and reader.type == writer.type:
        return not schema_name_equals(reader, writer)
    return False


def _name(schema: avro.schema.Schema) -> str:
    return str(schema.fullname if isinstance(schema, NamedSchema) else schema.type)


def _place(path: str, reader: avro.schema.Schema) -> str:
    return path.lstrip(".") or _name(reader)
