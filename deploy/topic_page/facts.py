"""What a client of a topic must know, as plain values: gathered from the contract, the envelope and the rules."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from importlib.resources import files
from string import Template
from typing import Any

from bus.envelope_rules import EFFECTIVE_AHEAD_MAX, RECORDED_AHEAD_MAX
from bus.heartbeats import HEARTBEAT_SCHEMA
from bus.kafka import MESSAGE_BYTES_MAX
from bus.reasons import Reason
from bus.topics import SOURCE_HEARTBEATS, event_subject_name, quarantine_topic, records_topic
from deploy.topic_page.sample import sample_body
from registry.composition import envelope_fields, event_schema
from registry.contracts import Catalogue, QualityRule, RecordType

KEY_ENDS, MESSAGE_ENDS = "|key-ends-5d0c41|", "|message-ends-5d0c41|"
CLIENT_SETTINGS: Mapping[str, str] = {
    "acks": "all",
    "enable.idempotence": "true",
    "partitioner": "murmur2_random",
}
_SAMPLE_IDS: Mapping[str, str] = {"iran": "0012345679", "luhn": "79927398713", "digits": "0012345679"}
_AT_THE_DESK_ONLY = frozenset({Reason.OVERSIZED, Reason.INVALID_NATIONAL_ID, Reason.INVALID_FIELD})
_MEANINGS: Mapping[str, str] = {  # where the envelope's schema leaves a field to its name
    "change_kind": "created: the fact holds from effective_from; ceased: it holds no longer; corrected: "
    "previous_event_id was wrong, this replaces it; annulled: that event should never have been",
    "effective_from": "From when on the fact holds in the world, UTC.",
    "recorded_at": "When the source registered the change, UTC.",
}


def topic_facts(catalogue: Catalogue, record_type: RecordType) -> dict[str, Any]:
    """All that the page says, ready for JSON."""
    topic = records_topic(record_type.id)
    return {
        "record_type": record_type.id,
        "title": dict(record_type.title),
        "agency": record_type.agency,
        "topic": topic,
        "quarantine_topic": quarantine_topic(record_type.id),
        "registry_subject": event_subject_name(topic),
        "schema_lookup": f"GET /subjects/{event_subject_name(topic)}/versions/latest",
        "key": "subject: HMAC-SHA-256(domain key, canonical national id), first 16 bytes, as raw bytes",
        "national_id_scheme": catalogue.national_id_scheme,
        "value": "byte 0x00, the schema id as 4 bytes big-endian, then the event in Avro's binary encoding",
        "message_bytes_max": MESSAGE_BYTES_MAX,
        "client_settings": dict(CLIENT_SETTINGS),
        "record_key_field": record_type.record_key_field,
        "envelope": [_envelope_field(field) for field in envelope_fields()],
        "body": _body(record_type),
        "rules": [
            {"rule": one.id, "field": one.field, "must hold": _must_hold(one), "if broken": str(one.severity)}
            for one in record_type.rules
        ],
        "recorded_ahead_max_days": RECORDED_AHEAD_MAX.days,
        "effective_ahead_max_days": EFFECTIVE_AHEAD_MAX.days,
        "heartbeat": {
            "topic": SOURCE_HEARTBEATS,
            "registry_subject": event_subject_name(SOURCE_HEARTBEATS),
            "key": "the source",
            "every_s": int(record_type.heartbeat.total_seconds()),
            "fields": [field["name"] for field in HEARTBEAT_SCHEMA["fields"]],
        },
        "quarantine_reasons": {str(reason): reason.meaning for reason in Reason if reason not in _AT_THE_DESK_ONLY},
        "example": {"client.py": _client(catalogue, record_type), "commands": _commands(topic)},
        "schema": event_schema(record_type),
    }


def avro_words(avro_type: Any) -> str:
    """An Avro type in a few words."""
    match avro_type:
        case ["null", inner]:
            return f"{avro_words(inner)}, may be null"
        case {"type": "enum", "symbols": symbols}:
            return " | ".join(symbols)
        case {"type": "fixed", "size": size}:
            return f"fixed, {size} bytes"
        case {"type": "array"}:
            return "list of strings"
        case {"logicalType": str(name)} | {"type": str(name)} | str(name):
            return name
    return str(avro_type)


def _envelope_field(field: Mapping[str, Any]) -> dict[str, str]:
    said = _MEANINGS.get(field["name"]) or field.get("doc", "")
    return {"field": field["name"], "type": avro_words(field["type"]), "is": said}


def _body(record_type: RecordType) -> Sequence[Mapping[str, str]]:
    contract = {one.name: one for one in record_type.fields}
    return [
        {
            "field": field["name"],
            "type": avro_words(field["type"]),
            "classification": str(contract[field["name"]].classification) if field["name"] in contract else "",
            "is": field.get("doc", ""),
        }
        for field in record_type.body["fields"]
    ]


def _must_hold(rule: QualityRule) -> str:
    if rule.known_in is not None:
        return f"the person is known to {rule.known_in}"
    return re.sub(r'"([a-z0-9_]+)"', r"\1", rule.check)


def _client(catalogue: Catalogue, record_type: RecordType) -> str:
    text = files("deploy.topic_page").joinpath("client.py.txt").read_text(encoding="utf-8")
    key = record_type.record_key_field
    return Template(text).substitute(
        topic=records_topic(record_type.id),
        source=f"{record_type.id}/kcat",
        record_type=record_type.id,
        heartbeat_topic=SOURCE_HEARTBEATS,
        national_id=_SAMPLE_IDS[catalogue.national_id_scheme],
        body=_python(sample_body(record_type)),
        record_key='""' if key is None else f'BODY["{key}"]',
        key_ends=KEY_ENDS,
        message_ends=MESSAGE_ENDS,
    )


def _python(body: Mapping[str, Any]) -> str:
    """A body as Python says it."""
    lines = [f'    "{name}": {_literal(value)},\n' for name, value in body.items()]
    return "{\n" + "".join(lines) + "}"


def _literal(value: Any) -> str:
    if isinstance(value, datetime):
        return f'datetime.fromisoformat("{value.isoformat()}")'
    if isinstance(value, date):
        return f'date.fromisoformat("{value.isoformat()}")'
    return repr(value).replace("'", '"')


def _commands(topic: str) -> list[str]:
    settings = " ".join(f"-X {name}={value}" for name, value in CLIENT_SETTINGS.items())
    kcat = f"""kcat -P -F "${{KAFKA_CLIENT_FILE:-/dev/null}}" -b "$KAFKA_BOOTSTRAP" {settings} \\
  -K '{KEY_ENDS}' -D '{MESSAGE_ENDS}' -t"""
    return [
        f"python3 client.py event 1 | {kcat} {topic}",
        f"python3 client.py heartbeat 1 | {kcat} {SOURCE_HEARTBEATS}",
    ]
