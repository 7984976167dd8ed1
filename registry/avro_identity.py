"""Tells equal Avro schemas, whatever their spelling: names in full, primitives as plain words, attributes in one order.

Documentation, defaults, aliases and attributes of one's own count: schemas that differ in them are two schemas.
"""

import json
from typing import Any

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAMED = frozenset({"record", "error", "enum", "fixed"})
_ORDER = ("type", "name", "namespace", "doc", "aliases", "fields", "symbols", "items", "values", "size", "default")


def compact(schema: Any) -> str:
    """The JSON text without spaces, letters as they are."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def identity(schema: Any) -> Any:
    """The spelling that equal schemas share. What is no Avro schema passes through, more or less as it is."""
    return _spelled(schema, "", with_logical_types=True)


def without_logical_types(schema: Any) -> Any:
    """The same spelling without logical types, which say nothing about whether bytes can be read."""
    return _spelled(schema, "", with_logical_types=False)


def _spelled(node: Any, namespace: str, *, with_logical_types: bool) -> Any:
    def inner(part: Any, within: str = namespace) -> Any:
        return _spelled(part, within, with_logical_types=with_logical_types)

    if isinstance(node, str):
        return node if node in _PRIMITIVES else _full_name(node, namespace)
    if isinstance(node, list):
        return [inner(branch) for branch in node]
    if not isinstance(node, dict):
        return node
    spelled = {key: value for key, value in node.items() if with_logical_types or key != "logicalType"}
    kind = node.get("type")
    if not isinstance(kind, str):
        return _ordered(spelled)
    if kind in _NAMED and isinstance(node.get("name"), str):
        spelled |= _named(node, namespace)
        within = spelled["name"].rpartition(".")[0]
        if isinstance(node.get("fields"), list):
            spelled["fields"] = [_field(field, inner(field["type"], within)) for field in _typed(node["fields"])]
    for part in {"items", "values"} & node.keys():
        spelled[part] = inner(node[part])
    return kind if kind in _PRIMITIVES and len(spelled) == 1 else _ordered(spelled)


def _named(node: dict[str, Any], namespace: str) -> dict[str, Any]:
    own = node.get("namespace")
    name = _full_name(node["name"], own if isinstance(own, str) else namespace)
    within = name.rpartition(".")[0]
    # A name without a namespace inside one that has any needs to say so, or it would be taken for a name of that one.
    spelled: dict[str, Any] = {"name": name, "namespace": None if within or not namespace else ""}
    aliases = node.get("aliases")
    if isinstance(aliases, list):
        spelled["aliases"] = [_full_name(alias, within) if isinstance(alias, str) else alias for alias in aliases]
    return spelled


def _typed(fields: list[Any]) -> list[dict[str, Any]]:
    for field in fields:
        if not isinstance(field, dict) or "type" not in field:
            raise ValueError("a field is no object with a name and a type")
    return fields


def _field(field: dict[str, Any], spelled_type: Any) -> dict[str, Any]:
    return _ordered({**field, "type": spelled_type})


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _ordered(node: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in node.items() if (key, value) != ("namespace", None)}
    known = {key: kept[key] for key in _ORDER if key in kept}
    return known | {key: kept[key] for key in sorted(kept) if key not in known}
