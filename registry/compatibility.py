"""Avro compatibility: whether a new schema may follow the earlier ones of its subject name, and if not, where and why.

The levels are those of the Confluent Schema Registry; the rules are Avro's schema resolution (Avro 1.12 specification),
as the package `avro` checks them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import avro.name
import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.errors import AvroException

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
    """One broken rule: its name in Avro's terms, the place in the reader's schema, and what is wrong there."""

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
    parsed = _parsed(new)
    found: dict[Incompatibility, None] = {}
    for text in earlier if level.is_transitive else earlier[-1:]:
        before = _parsed(text)
        if level.demands_backward:
            found.update(dict.fromkeys(_broken_rules(reader=parsed, writer=before)))
        if level.demands_forward:
            found.update(dict.fromkeys(_broken_rules(reader=before, writer=parsed)))
    return tuple(found)


def check_schema(text: str | AvroText) -> None:
    """Raises ContractError when the text is no Avro schema, or uses a name that nothing defines."""
    _parsed(text)


def _parsed(text: str | AvroText) -> avro.schema.Schema:
    whole = AvroText(schema=text) if isinstance(text, str) else text
    names = avro.name.Names()
    try:
        for used in whole.references:
            avro.schema.make_avsc_object(json.loads(used), names)
        return avro.schema.make_avsc_object(json.loads(whole.schema), names)
    except (AvroException, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as exc:
        # Beside its own errors, the package lets through what Python says of a value of the wrong kind.
        raise ContractError(f"the schema is no Avro schema: {exc or type(exc).__name__}") from exc


def _broken_rules(*, reader: avro.schema.Schema, writer: avro.schema.Schema) -> tuple[Incompatibility, ...]:
    # A checker remembers each pair by identity: a new one for each question never answers for another schema.
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # the package leaves it untyped
    result = checker.get_compatibility(reader, writer)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return ()
    rules = sorted(rule.value for rule in result.incompatibilities)
    places = ", ".join(sorted(result.locations))
    return (Incompatibility(rule=", ".join(rules), path=places, message="; ".join(sorted(result.messages))),)
