"""Avro schemas as the registry keeps them: parsed with what they refer to, and told equal whatever their spelling."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from registry.compatibility import AvroText, check_schema
from registry.errors import ContractError
from registry.service.errors import invalid_schema, schema_too_large

SCHEMA_CHARACTERS_MAX = 1_000_000  # what Confluent's registry takes by default (a Kafka message of 1 MB)
REFERENCES_MAX = 1_000  # of one schema, with all that they refer to themselves

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAMED = frozenset({"record", "error", "enum", "fixed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A version of a subject name whose named types a schema uses; `name` is what the schema calls it."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSchema:
    """A schema that may be kept: its text without spaces, what it refers to, and the digest that equal ones share."""

    text: str
    references: tuple[Reference, ...]
    digest: bytes


def checked_schema(
    text: str, references: Sequence[Reference], *, used: Sequence[str], is_normalized: bool
) -> CheckedSchema:
    """A schema with the texts that it uses, innermost first. Raises ApiError when it is none, or too large.

    A normalized schema is kept in the spelling that all equal schemas share, its references in the order of names.
    """
    if len(text) > SCHEMA_CHARACTERS_MAX:
        raise schema_too_large(f"The schema has {len(text)} characters, more than {SCHEMA_CHARACTERS_MAX}")
    try:
        parsed = json.loads(text, parse_constant=_no_number)
        compact = _compact(parsed)
        check_schema(AvroText(schema=compact, references=tuple(used)))
        identity = _compact(_identity(parsed, ""))
        compact.encode()
    except (ContractError, ValueError) as exc:
        raise invalid_schema(f"Invalid schema: {exc}") from exc
    except RecursionError:
        raise invalid_schema("Invalid schema: it is nested too deeply") from None
    kept = tuple(sorted(set(references), key=lambda r: (r.name, r.subject, r.version))) if is_normalized else references
    return CheckedSchema(
        text=identity if is_normalized else compact,
        references=tuple(kept),
        digest=_digest(identity, references),
    )


def _digest(identity: str, references: Sequence[Reference]) -> bytes:
    named = sorted({(reference.name, reference.subject, reference.version) for reference in references})
    return hashlib.sha256(_compact([identity, named]).encode()).digest()


def _compact(parsed: Any, *, sort_keys: bool = False) -> str:
    return json.dumps(parsed, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _identity(node: Any, namespace: str) -> Any:
    """The schema with every name in full, every primitive as a plain name, and the attributes in one order."""
    if isinstance(node, str):
        return node if node in _PRIMITIVES else _full_name(node, namespace)
    if isinstance(node, list):
        return [_identity(branch, namespace) for branch in node]
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if not isinstance(kind, str) or (kind not in _NAMED | {"array", "map"} and len(node) == 1):
        return _identity(kind, namespace) if len(node) == 1 else _ordered({**node, "type": _identity(kind, namespace)})
    if kind in _NAMED:
        return _ordered(_named_identity(node, namespace))
    inner = {key: _identity(node[key], namespace) for key in ("items", "values") if key in node}
    return _ordered({**node, **inner})


def _named_identity(node: dict[str, Any], namespace: str) -> dict[str, Any]:
    own = node.get("namespace")
    name = _full_name(str(node.get("name")), own if isinstance(own, str) else namespace)
    inside = name.rpartition(".")[0]
    full = {key: value for key, value in node.items() if key != "namespace"} | {"name": name}
    if isinstance(node.get("aliases"), list):
        full["aliases"] = [_full_name(str(alias), inside) for alias in node["aliases"]]
    if isinstance(node.get("fields"), list):
        full["fields"] = [
            _ordered({**field, "type": _identity(field.get("type"), inside)}) if isinstance(field, dict) else field
            for field in node["fields"]
        ]
    return full


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


_ORDER = ("type", "name", "namespace", "doc", "aliases", "fields", "symbols", "items", "values", "size", "default")


def _ordered(node: dict[str, Any]) -> dict[str, Any]:
    known = {key: node[key] for key in _ORDER if key in node}
    return known | {key: node[key] for key in sorted(node) if key not in known}
