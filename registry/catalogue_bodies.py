"""Reads the Avro schema of a record type's body, `.avsc`; what is wrong in it is noted with the line of the field."""

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from registry.catalogue_entry import ID_CHARS_MAX, SNAKE
from registry.catalogue_files import Files
from registry.composition import check_body, event_name
from registry.errors import ContractError

BODY_FIELDS_MAX = 200  # a view has a column for each; PostgreSQL takes 1,600
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # Avro 1.12 specification, names
_NO_BODY: Mapping[str, Any] = {"fields": []}


def read_body(files: Files, name: str, record_type: str) -> Mapping[str, Any]:
    """The body of a record type; without fields when it cannot be read, and null for a type that cannot."""
    text = files.text(name)
    if text is None:
        return _NO_BODY
    twice: list[str] = []
    try:
        body = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, twice))
    except json.JSONDecodeError as exc:
        files.mistake(name, f"is no JSON: {exc.msg.lower()}; correct it here", line=exc.lineno)
        return _NO_BODY
    except RecursionError:
        files.mistake(name, "values lie too deep; write a flat record")
        return _NO_BODY
    for key in twice:
        files.mistake(name, f"the key '{key}' is there twice in one object; leave one of them out")
    return _Body(files, name, text).checked(body, event_name(record_type).removesuffix("Event"))


class _Body:
    def __init__(self, files: Files, name: str, text: str) -> None:
        self._files = files
        self._name = name
        self._lines = _lines(text)

    def checked(self, body: Any, full_name: str) -> Mapping[str, Any]:
        if not isinstance(body, dict) or body.get("type") != "record" or not isinstance(body.get("fields"), list):
            self._mistake("", 'must be an Avro record; write {"type": "record", "name": …, "fields": […]}')
            return _NO_BODY
        namespace, _, name = full_name.rpartition(".")
        if body.get("name") != name:
            self._mistake("name", f"must be '{name}', after the file's name; write it")
        if body.get("namespace", namespace) != namespace:
            self._mistake("namespace", f"must be '{namespace}', after the agency; write it, or leave it out")
        if not 1 <= len(body["fields"]) <= BODY_FIELDS_MAX:
            self._mistake("fields", f"must hold 1 to {BODY_FIELDS_MAX} fields, not {len(body['fields'])}")
        fields: dict[str, Any] = {}
        for place, field in enumerate(body["fields"]):
            if not isinstance(field, dict) or not isinstance(field.get("name"), str) or "type" not in field:
                self._mistake(f"fields.{place}", "must be an object with name, type and doc; write it so")
            elif field["name"] in fields:
                self._mistake(f"fields.{place}", f"there is another field '{field['name']}'; rename one of them")
            else:
                is_readable = self._check_field(f"fields.{place}", field)
                fields[field["name"]] = field if is_readable else {**field, "type": None}
        return {**body, "fields": list(fields.values())}

    def _check_field(self, place: str, field: Mapping[str, Any]) -> bool:
        """Notes what is wrong with a field; whether its type can be used further on."""
        name, avro_type = field["name"], field["type"]
        if not SNAKE.fullmatch(name) or len(name) > ID_CHARS_MAX:
            self._mistake(place, f"'{name}' cannot name a body field; write another name as 'tax_status'", name)
        if not isinstance(field.get("doc"), str) or not field["doc"].strip():
            self._mistake(place, "has no doc; write one sentence that says what the field means", name)
        if isinstance(avro_type, list) and field.get("default", "") is not None:
            self._mistake(place, 'may be null but has no default null; write "default": null', name)
        try:
            check_body({"fields": [field]})
        except ContractError as exc:
            self._mistake(place, f"{exc.message}; {exc.remedy}", name)
            return False
        symbols = avro_type.get("symbols", []) if isinstance(avro_type, dict) else []
        if not all(isinstance(symbol, str) and _SYMBOL.fullmatch(symbol) for symbol in symbols):
            self._mistake(place, "has a symbol that is no Avro name; write letters, digits and '_'", name)
            return False
        if len(set(symbols)) < len(symbols):
            self._mistake(place, "has a symbol twice; leave one of them out", name)
        return True

    def _mistake(self, place: str, message: str, name: str = "") -> None:
        field = f"fields.{name}" if name else place
        self._files.mistake(self._name, message, line=self._lines.get(place, 1), field=field)


def _lines(text: str) -> Mapping[str, int]:
    """The lines of the outermost keys and of each field; JSON is YAML, whose reader keeps places."""
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return {}
    lines: dict[str, int] = {}
    for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
        lines[str(key.value)] = key.start_mark.line + 1
        for place, item in enumerate(value.value if isinstance(value, yaml.SequenceNode) else ()):
            lines[f"{key.value}.{place}"] = item.start_mark.line + 1
    return lines


def _object(pairs: list[tuple[str, Any]], twice: list[str]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice += sorted({key for key in keys if keys.count(key) > 1})
    return dict(pairs)
