"""The contract of accesses on the bus: a record type like any other, that the bus itself is the authority for."""

from datetime import timedelta
from typing import Any

from bus.topics import AUDIT_ACCESS
from registry.contracts import AgencyId, Classification, Field, RecordType, RecordTypeId

HEARTBEAT = timedelta(minutes=1)
_TEXT = ["null", "string"]
_INSTANT = ["null", {"type": "long", "logicalType": "timestamp-micros"}]
_BODY: dict[str, Any] = {
    "access_id": "string",
    "requester": "string",
    "procedure": _TEXT,
    "case_reference": _TEXT,
    "acting_user": _TEXT,
    "representative": _TEXT,
    "purpose": _TEXT,
    "legal_basis": _TEXT,
    "asked_effective_at": _INSTANT,
    "asked_known_at": _INSTANT,
    "decision": "string",
    "reason": _TEXT,
    "evidence": "string",
    "instance": _TEXT,
}


def access_contract(name: str = AUDIT_ACCESS) -> RecordType:
    """The contract; the record's key is the access id, its person the one who was asked about."""
    fields = [
        {"name": field, "type": avro_type, **({"default": None} if isinstance(avro_type, list) else {})}
        for field, avro_type in _BODY.items()
    ]
    return RecordType(
        id=RecordTypeId(name),
        agency=AgencyId("audit"),
        title={"en": "Access", "fa": "دسترسی"},
        body={"type": "record", "name": "Access", "namespace": "audit_body", "fields": fields},
        record_key_field="access_id",
        fields=tuple(Field(name=field, title={}, classification=Classification.PERSONAL) for field in _BODY),
        rules=(),
        freshness=timedelta(minutes=5),
        heartbeat=HEARTBEAT,
    )
