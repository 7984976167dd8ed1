"""Reads agencies and record types: `agencies.yaml`, `records/<agency>/<record type>.yaml` and its body `.avsc`."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.catalogue_entry import ID_CHARS_MAX, KEBAB, SNAKE, Entry, meant
from registry.catalogue_files import Files
from registry.composition import check_body, event_name
from registry.contracts import Agency, AgencyId, Classification, Field, QualityRule, RecordType, RecordTypeId, Severity
from registry.errors import ContractError

BODY_FIELDS_MAX = 200  # a view has a column for each; PostgreSQL takes 1,600
RESERVED = frozenset({"known_at", "partition", "position", "voided_by", "ceased"})  # columns that views have already


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecordType:
    """A record type as far as it could be read, with the places of its parts."""

    value: RecordType
    parts: Mapping[str, Entry]
    rules: Mapping[str, Mapping[str, Entry]]

    @property
    def columns(self) -> Mapping[str, Any]:
        """The Avro type of each body field; empty when the body could not be read."""
        return {field["name"]: field["type"] for field in self.value.body["fields"]}


def read_agencies(files: Files) -> Mapping[AgencyId, Agency]:
    """The agencies, by id."""
    root = files.tree("agencies.yaml")
    agencies = {
        AgencyId(name): Agency(id=AgencyId(name), title=entry.members("title")["title"].labels())
        for name, entry in root.pairs()
    }
    if not agencies and not root.is_absent:
        root.mistake("there is no agency; write at least one, by its id")
    return agencies


def read_record_types(files: Files, agencies: Mapping[AgencyId, Agency]) -> Mapping[RecordTypeId, ReadRecordType]:
    """The record types, by id; each is looked for under the agency that is the authority for it."""
    read = {}
    strays, folders = files.names("records")
    for name in strays:
        files.mistake(f"records/{name}", "is not in an agency's folder; move it to 'records/<agency>/'")
    for agency in folders:
        if agency not in agencies:
            files.mistake(f"records/{agency}", f"there is no agency '{agency}'; {meant(agency, agencies)}")
        for kind in _kinds(files, agency):
            record_type = RecordTypeId(f"{agency}.{kind}")
            read[record_type] = _read_record_type(files, AgencyId(agency), kind)
    return read


def _kinds(files: Files, agency: str) -> Iterator[str]:
    names, folders = files.names(f"records/{agency}")
    stems = sorted({name.rpartition(".")[0] for name in names if name.endswith((".yaml", ".avsc"))})
    for name in [*folders, *(name for name in names if not name.endswith((".yaml", ".avsc")))]:
        files.mistake(f"records/{agency}/{name}", "has no place here; write '<record type>.yaml' and '.avsc'")
    for stem in stems:
        place = f"records/{agency}/{stem}.yaml"
        if not KEBAB.fullmatch(stem) or len(f"{agency}.{stem}") > ID_CHARS_MAX:
            files.mistake(
                place,
                f"'{agency}.{stem}' is no record type id; name the file in lower-case kebab as 'tax-status.yaml', "
                f"with {ID_CHARS_MAX} characters at most together with the agency",
            )
        yield stem


def _read_record_type(files: Files, agency: AgencyId, kind: str) -> ReadRecordType:
    base = f"records/{agency}/{kind}"
    body = _Body(files, f"{base}.avsc", f"{agency}.{kind}").read()
    parts = files.tree(f"{base}.yaml").members(
        "title", "freshness", "heartbeat", "fields", also=("record_key_field", "rules")
    )
    types = {field["name"]: field["type"] for field in body["fields"]}
    rules = {name: entry.members("field", "check", "severity") for name, entry in _pairs(parts["rules"])}
    record_type = RecordType(
        id=RecordTypeId(f"{agency}.{kind}"),
        agency=agency,
        title=parts["title"].labels(),
        body=body,
        record_key_field=_record_key_field(parts["record_key_field"], types),
        fields=tuple(_fields(parts["fields"], types)),
        rules=tuple(_rule(name, rule, types) for name, rule in rules.items()),
        freshness=parts["freshness"].duration(),
        heartbeat=parts["heartbeat"].duration(),
    )
    if record_type.freshness and record_type.heartbeat > record_type.freshness:
        parts["heartbeat"].mistake(
            "is longer than the freshness promise; write a shorter one, for it is how it is known"
        )
    return ReadRecordType(value=record_type, parts=parts, rules=rules)


def _pairs(entry: Entry) -> list[tuple[str, Entry]]:
    return [] if entry.is_absent else list(entry.pairs())


def _record_key_field(entry: Entry, types: Mapping[str, Any]) -> str | None:
    if entry.is_absent:
        return None
    name = entry.name(SNAKE)
    if name and types and name not in types:
        entry.mistake(f"the body has no field '{name}'; {meant(name, types)}")
    elif name and types and types[name] != "string":
        entry.mistake(f"'{name}' is no string, which a record key must be; choose a field of the type \"string\"")
    return name or None


def _fields(entry: Entry, types: Mapping[str, Any]) -> Iterator[Field]:
    classified = dict(entry.pairs(SNAKE))
    for name, parts_entry in classified.items():
        if types and name not in types:
            parts_entry.mistake(f"the body has no field '{name}'; {meant(name, types)}")
        parts = parts_entry.members("title", "classification")
        yield Field(
            name=name, title=parts["title"].labels(), classification=parts["classification"].choice(Classification)
        )
    if not entry.is_absent:
        for name in types:
            if name not in classified:
                entry.mistake(
                    f"the body field '{name}' has no classification; write '{name}:' with title and "
                    f"classification ({', '.join(Classification)})"
                )


def _rule(name: str, parts: Mapping[str, Entry], types: Mapping[str, Any]) -> QualityRule:
    field = parts["field"].name(SNAKE)
    if field and types and field not in types:
        parts["field"].mistake(f"the body has no field '{field}'; {meant(field, types)}")
    return QualityRule(id=name, field=field, check=parts["check"].text(), severity=parts["severity"].choice(Severity))


class _Body:
    """Reads the Avro schema of a body; what is wrong is noted with the line of the field."""

    def __init__(self, files: Files, name: str, record_type: str) -> None:
        self._files = files
        self._name = name
        self._record_type = record_type
        self._text = ""

    def read(self) -> Mapping[str, Any]:
        text = self._files.text(self._name)
        if text is None:
            return {"fields": []}
        self._text = text
        try:
            body = json.loads(text, object_pairs_hook=self._object)
        except json.JSONDecodeError as exc:
            self._files.mistake(self._name, f"is no JSON: {exc.msg.lower()}; correct it here", line=exc.lineno)
            return {"fields": []}
        except RecursionError:
            self._files.mistake(self._name, "values lie too deep; write a flat record")
            return {"fields": []}
        return self._checked(body)

    def _checked(self, body: Any) -> Mapping[str, Any]:
        if not isinstance(body, dict) or body.get("type") != "record" or not isinstance(body.get("fields"), list):
            self._mistake("", 'must be an Avro record; write {"type": "record", "name": …, "fields": […]}')
            return {"fields": []}
        namespace, _, name = event_name(self._record_type).removesuffix("Event").rpartition(".")
        for key, wanted in (("name", name), ("namespace", namespace)):
            if body.get(key, wanted if key == "namespace" else None) != wanted:
                self._mistake("", f"the record's {key} must be '{wanted}' after the file; write it", key=key)
        fields = [field for field in body["fields"] if self._is_field(field)]
        if not 1 <= len(body["fields"]) <= BODY_FIELDS_MAX:
            self._mistake("fields", f"must hold 1 to {BODY_FIELDS_MAX} fields; split the record type", key="fields")
        for field in fields:
            self._check_field(field)
        if len({field["name"] for field in fields}) < len(fields):
            self._mistake("fields", "two fields have the same name; leave one of them out", key="fields")
        return {**body, "fields": fields}

    def _is_field(self, field: Any) -> bool:
        is_field = isinstance(field, dict) and isinstance(field.get("name"), str) and "type" in field
        if not is_field:
            self._mistake("fields", "each field must be an object with name, type and doc; write it so", key="fields")
        return is_field

    def _check_field(self, field: Mapping[str, Any]) -> None:
        name = field["name"]
        if not SNAKE.fullmatch(name) or len(name) > ID_CHARS_MAX or name in RESERVED:
            self._field_mistake(name, f"'{name}' cannot name a body field; choose another in lower-case snake form")
        if not isinstance(field.get("doc"), str) or not field["doc"].strip():
            self._field_mistake(name, "has no doc; write one sentence that says what the field means")
        if isinstance(field["type"], list) and field.get("default", "") is not None:
            self._field_mistake(name, 'may be null but has no default; write "default": null')
        try:
            check_body({"fields": [field]})
        except ContractError as exc:
            self._field_mistake(name, f"{exc.message}; {exc.remedy}")

    def _field_mistake(self, name: str, message: str) -> None:
        line = self._line(rf'"name"\s*:\s*"{re.escape(name)}"\s*,\s*"type"')
        self._files.mistake(self._name, message, line=line, field=f"fields.{name}")

    def _mistake(self, field: str, message: str, *, key: str = "") -> None:
        line = self._line(rf'"{key}"\s*:') if key else 1
        self._files.mistake(self._name, message, line=line, field=field or key)

    def _line(self, pattern: str) -> int:
        found = re.search(pattern, self._text)
        return self._text.count("\n", 0, found.start()) + 1 if found else 1

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            self._mistake("", f"the key '{key}' is there twice in one object; leave one of them out", key=key)
        return dict(pairs)
