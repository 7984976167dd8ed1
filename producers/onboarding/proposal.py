"""The proposal: the contract of a record type, the schema of its body, and the mapping of the agency's table to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from producers.ids import id_width
from producers.onboarding.naming import are_symbols, field_names, labels_of
from producers.onboarding.profile import Profile
from producers.onboarding.roles import NONE, Journal
from producers.onboarding.rules import rules_of
from producers.onboarding.sample import Kind
from producers.onboarding.words import PUBLIC, SENSITIVE, hints, words_of
from registry.composition import event_name
from registry.contracts import Classification

_CHANGED = frozenset({"updated", "modified", "changed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All that a proposal rests on beside the sample: what the agency said, and what the sample left no doubt about.

    `record_key`, `effective_to` and `recorded_at` may be none. `change_kind` is a column or one of the bus's words,
    `effective_from` a column or a day.
    """

    record_type: str
    scheme: str
    title: Mapping[str, str]
    national_id: str
    record_key: str = NONE
    effective_from: str
    effective_to: str = NONE
    recorded_at: str = NONE
    change_kind: str = "created"
    change_words: Mapping[str, str] = field(default_factory=dict)
    journal: Journal | None = None
    is_history: bool = False
    time_zone: str = "UTC"
    freshness: str = "P1D"
    heartbeat: str = "PT15M"
    table: str | None = None
    query: str | None = None
    ignored: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    classified: Mapping[str, Classification] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The documents that are proposed; `columns` says which column each body field comes from."""

    record_type: str
    body: Mapping[str, Any]
    contract: Mapping[str, Any]
    mapping: Mapping[str, Any]
    columns: Mapping[str, str]


def propose(profiles: Mapping[str, Profile], answers: Answers, *, left_out: Sequence[str] = ()) -> Proposal:
    """A record type for the columns, but for those that say who, when and what happened."""
    parts = {answers.national_id, answers.effective_from, answers.effective_to, answers.recorded_at}
    parts |= {answers.change_kind} | set(answers.ignored)
    if answers.journal is not None:
        parts |= {*answers.journal.columns}
    told = [one for one in profiles.values() if one.name not in parts and not _is_surrogate(one, answers)]
    names = field_names((one.name for one in told), answers.names)
    types = {one.name: _avro_type(one, names[one.name], is_key=one.name == answers.record_key) for one in told}
    used = {*names, *parts} - set(answers.ignored)
    ignored = [name for name in (*profiles, *left_out) if name not in used]
    body = {
        "type": "record",
        "name": event_name(answers.record_type).rpartition(".")[2].removesuffix("Event"),
        "doc": f"{answers.title['en']}.",
        "fields": [
            {
                "name": names[one.name],
                "type": types[one.name],
                **({"default": None} if isinstance(types[one.name], list) else {}),
                "doc": _doc(one, answers),
            }
            for one in told
        ],
    }
    return Proposal(
        record_type=answers.record_type,
        body=body,
        contract=_contract(told, names, types, answers),
        mapping=_mapping(profiles, names, ignored, answers),
        columns={names[one.name]: one.name for one in told},
    )


def _is_surrogate(profile: Profile, answers: Answers) -> bool:
    """Whether a column only numbers the table's rows."""
    return profile.column.is_primary and profile.kind is Kind.WHOLE and profile.name != answers.record_key


def _avro_type(profile: Profile, name: str, *, is_key: bool) -> Any:
    if is_key:
        return "string"
    choices = profile.column.choices
    if choices and profile.is_required and are_symbols(choices):
        symbol_name = "".join(word.capitalize() for word in name.split("_"))
        return {"type": "enum", "name": symbol_name, "symbols": list(choices)}
    avro: Any = {
        Kind.TEXT: "string",
        Kind.WHOLE: "int" if profile.is_small else "long",
        Kind.NUMBER: "double",
        Kind.TRUTH: "boolean",
        Kind.DAY: {"type": "int", "logicalType": "date"},
        Kind.TIME: {"type": "long", "logicalType": "timestamp-micros"},
    }[profile.kind]
    return avro if profile.is_required else ["null", avro]


def _doc(profile: Profile, answers: Answers) -> str:
    place = f"of the table '{answers.table}'" if answers.table else "of the agency's query"
    comment = profile.column.comment.rstrip(".")
    return f"{comment}: the column '{profile.name}' {place}." if comment else f"The column '{profile.name}' {place}."


def _contract(
    told: Iterable[Profile], names: Mapping[str, str], types: Mapping[str, Any], answers: Answers
) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    for one in told:
        name, is_key = names[one.name], one.name == answers.record_key
        fields[name] = {
            "title": labels_of(one.name, one.column.comment, answers.labels.get(one.name)),
            "classification": str(answers.classified.get(one.name) or _classification(one)),
        }
        is_enum = isinstance(types[one.name], dict) and types[one.name]["type"] == "enum"
        rules.update(rules_of(one, name, is_key=is_key, is_enum=is_enum))
    contract: dict[str, Any] = {"title": dict(answers.title)}
    if answers.record_key != NONE:
        contract["record_key_field"] = names[answers.record_key]
    contract |= {"freshness": answers.freshness, "heartbeat": answers.heartbeat, "fields": fields}
    return {**contract, "rules": rules} if rules else contract


def _classification(profile: Profile) -> Classification:
    """Public only what a name hints at and many persons share; what is not known is personal."""
    if hints(profile.name, SENSITIVE):
        return Classification.SENSITIVE
    return Classification.PUBLIC if profile.codes and hints(profile.name, PUBLIC) else Classification.PERSONAL


def _mapping(
    profiles: Mapping[str, Profile], names: Mapping[str, str], ignored: Sequence[str], answers: Answers
) -> dict[str, Any]:
    """What `publish` takes; and `sync` too, where it can find out by itself what happened to a row."""
    person = profiles[answers.national_id]
    width = id_width(answers.scheme)
    fields: dict[str, Any] = {
        "national_id": {"column": person.name, "width": width}
        if width and (person.has_lost_zeros or person.kind is Kind.WHOLE)
        else person.name
    }
    is_told = answers.change_kind in profiles
    if is_told:
        words = {"values": dict(answers.change_words)} if answers.change_words else {}
        fields["change_kind"] = {"column": answers.change_kind, **words} if words else answers.change_kind
        if answers.journal is not None:
            fields |= {"event_id": answers.journal.event_id, "previous_event_id": answers.journal.previous_event_id}
    starts = answers.effective_from
    fields["effective_from"] = _source(profiles[starts]) if starts in profiles else {"constant": starts}
    for name in ("effective_to", "recorded_at"):
        if (said := getattr(answers, name)) != NONE:
            fields[name] = _source(profiles[said])
    for column, name in names.items():
        is_number_key = column == answers.record_key and profiles[column].kind is Kind.WHOLE
        fields[name] = {"column": column, "width": 1} if is_number_key else _source(profiles[column])
    mapping: dict[str, Any] = {"record_type": answers.record_type, "time_zone": answers.time_zone}
    if not is_told:
        mapping |= _sync(profiles, answers)
    return {**mapping, "fields": fields, **({"ignore": list(ignored)} if ignored else {})}


def _sync(profiles: Mapping[str, Profile], answers: Answers) -> dict[str, Any]:
    """The keys that are for `sync` alone."""
    place = {"table": answers.table} if answers.table else {"query": answers.query}
    key = [] if any(one.column.is_primary for one in profiles.values()) else _row_key(profiles, answers)
    changed = [
        one.name
        for one in profiles.values()
        if one.kind is Kind.TIME and not one.nulls and _CHANGED & {*words_of(one.name)}
    ]
    return {
        **place,
        **({"key": key} if key else {}),
        **({"changed_by": changed[0]} if len(changed) == 1 else {}),
        "row": "fact" if answers.is_history else "state",
    }


def _row_key(profiles: Mapping[str, Profile], answers: Answers) -> list[str]:
    """The columns that tell rows apart, where the database names none."""
    key = [answers.national_id, *([answers.record_key] if answers.record_key != NONE else [])]
    return [*key, answers.effective_from] if answers.is_history and answers.effective_from in profiles else key


def _source(profile: Profile) -> Any:
    if profile.written is not None and (said := profile.written.source()):
        return {"column": profile.name, **said}
    return profile.name
