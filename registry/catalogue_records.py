"""Reads agencies and record types: `agencies.yaml`, `records/<agency>/<record type>.yaml` and its body `.avsc`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from registry.catalogue_bodies import read_body
from registry.catalogue_entry import ID_CHARS_MAX, KEBAB, SNAKE, Entry, meant
from registry.catalogue_files import Files
from registry.contracts import Agency, AgencyId, Classification, Field, QualityRule, RecordType, RecordTypeId, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecordType:
    """A record type as far as it could be read, with the places of its parts."""

    value: RecordType
    parts: Mapping[str, Entry]
    rules: Mapping[str, Mapping[str, Entry]]

    @property
    def columns(self) -> Mapping[str, Any]:
        """The Avro type of each body field, None when it is wrong; empty when the body could not be read."""
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
    body = read_body(files, f"{base}.avsc", f"{agency}.{kind}")
    parts = files.tree(f"{base}.yaml").members(
        "title", "freshness", "heartbeat", "fields", also=("record_key_field", "rules")
    )
    types = {field["name"]: field["type"] for field in body["fields"]}
    rules = {
        name: entry.members("field", "severity", also=("check", "known_in")) for name, entry in parts["rules"].pairs()
    }
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


def _record_key_field(entry: Entry, types: Mapping[str, Any]) -> str | None:
    if entry.is_absent:
        return None
    name = entry.name(SNAKE)
    if name and types and name not in types:
        entry.mistake(f"the body has no field '{name}'; {meant(name, types)}")
    elif name and types and types[name] not in ("string", None):
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
    severity = parts["severity"].choice(Severity)
    check, known_in = parts["check"], parts["known_in"]
    if known_in.is_absent:
        if check.is_absent and not (parts["field"].is_absent and parts["severity"].is_absent):
            check.mistake("is missing; write it, or 'known_in' and the register that must know the person")
        return QualityRule(id=name, field=field, check=check.text(), severity=severity)
    if not check.is_absent:
        check.mistake("stands beside 'known_in'; write a rule for each")
    if severity is not Severity.FLAG and not parts["severity"].is_absent:
        parts["severity"].mistake("must be flag, for the other register may hear of the person later; write it")
    return QualityRule(id=name, field=field, check="", severity=Severity.FLAG, known_in=RecordTypeId(known_in.text()))
