"""Avro schemas as the registry keeps them: parsed with what they refer to, and told equal whatever their spelling."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from registry.avro_identity import compact, identity
from registry.compatibility import AvroText, parsed_schema
from registry.errors import ContractError
from registry.service.avro_defaults import wrong_default
from registry.service.errors import invalid_schema, schema_too_large

SCHEMA_CHARACTERS_MAX = 1_000_000  # what Confluent's registry takes by default (a Kafka message of 1 MB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A version of a subject name whose named types a schema uses; `name` is what the schema calls it."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSchema:
    """A schema that may be kept.

    `text` is what was sent, without spaces; `spelled` is the spelling that all equal schemas share, and `digest` is of
    that and of the references.
    """

    text: str
    spelled: str
    references: tuple[Reference, ...]
    digest: bytes

    def normalized(self) -> "CheckedSchema":
        """The same schema, kept as `spelled`, its references in the order of their names."""
        return replace(self, text=self.spelled, references=_in_order(self.references))


def checked_schema(text: str, references: Sequence[Reference], *, used: Sequence[str]) -> CheckedSchema:
    """A schema with the texts that it uses, innermost first. Raises ApiError when it is none, or too large."""
    if len(text) > SCHEMA_CHARACTERS_MAX:
        raise schema_too_large(f"The schema has {len(text)} characters, more than {SCHEMA_CHARACTERS_MAX}")
    try:
        sent = json.loads(text, parse_constant=_no_number)
        as_sent, spelled = compact(sent), compact(identity(sent))
        as_sent.encode()  # a lone surrogate is no text
        field = wrong_default(parsed_schema(AvroText(schema=as_sent, references=tuple(used))))
    except (ContractError, ValueError) as exc:
        raise invalid_schema(f"Invalid schema: {exc}") from exc
    except RecursionError:
        raise invalid_schema("Invalid schema: it is nested too deeply") from None
    if field is not None:
        raise invalid_schema(f"Invalid schema: the default of field '{field}' is no value of its type")
    digest = _digest(spelled, references)
    return CheckedSchema(text=as_sent, spelled=spelled, references=tuple(references), digest=digest)


def _in_order(references: Sequence[Reference]) -> tuple[Reference, ...]:
    return tuple(sorted(set(references), key=lambda reference: (reference.name, reference.subject, reference.version)))


def _digest(spelled: str, references: Sequence[Reference]) -> bytes:
    named = [[reference.name, reference.subject, reference.version] for reference in _in_order(references)]
    return hashlib.sha256(compact([spelled, named]).encode()).digest()


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")
