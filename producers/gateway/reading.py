"""From JSON to changes. What a field cannot be read as is left for the desk to refuse; no text of a caller is told."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from bus.envelope import ChangeKind
from bus.errors import RefusedError
from bus.reasons import Reason
from producers.change import Change
from producers.validation import refused
from registry.contracts import RecordType

ENVELOPE = frozenset(
    {
        "national_id",
        "change_kind",
        "effective_from",
        "effective_to",
        "recorded_at",
        "record_key",
        "previous_event_id",
        "body",
        "under_investigation",
        "event_id",
    }
)
UNKNOWN = "an unknown one"  # its name is the caller's text


class ChangeReader:
    """Reads changes to records of one type."""

    def __init__(self, record_type: RecordType) -> None:
        self._record_type = record_type
        self._names = frozenset(field["name"] for field in record_type.body["fields"])
        self._readers = {
            field["name"]: reader
            for field in record_type.body["fields"]
            if (reader := _READERS.get(_logical_type(field["type"]))) is not None
        }

    def read(self, said: Any) -> Change:
        """The change that an item says. Raises RefusedError."""
        if not isinstance(said, dict):
            raise self._refused("change")
        if not ENVELOPE.issuperset(said):
            raise self._refused(UNKNOWN)
        if not isinstance(said.get("national_id"), str):
            raise self._refused("national_id", Reason.INVALID_NATIONAL_ID)
        body = self._body(said.get("body"))
        return Change(
            national_id=said["national_id"],
            change_kind=self._parsed(said, "change_kind", ChangeKind),
            effective_from=_instant(said.get("effective_from")),
            effective_to=_instant(said.get("effective_to")),
            recorded_at=_instant(said["recorded_at"]) if "recorded_at" in said else datetime.now(UTC),
            record_key=said["record_key"] if "record_key" in said else self._key_of(body),
            previous_event_id=self._parsed(said, "previous_event_id", UUID),
            body=body,
            under_investigation=self._doubts(said.get("under_investigation")),
            event_id=self._parsed(said, "event_id", UUID),
        )

    def _body(self, body: Any) -> Mapping[str, Any] | None:
        if body is None:
            return None
        if not isinstance(body, dict):
            raise self._refused("body")
        if not self._names.issuperset(body):
            raise self._refused(UNKNOWN)
        return {**body, **{name: read(body[name]) for name, read in self._readers.items() if name in body}}

    def _key_of(self, body: Mapping[str, Any] | None) -> Any:
        key_field = self._record_type.record_key_field
        key = None if key_field is None or body is None else body.get(key_field)
        return key if isinstance(key, str) else ""  # of a wrong one the desk names the body's field

    def _doubts(self, names: Any) -> tuple[str, ...]:
        if names is None:
            return ()
        if not isinstance(names, list) or not self._names.issuperset(map(str, names)):
            raise self._refused("under_investigation")
        return tuple(names)

    def _parsed(self, said: Mapping[str, Any], name: str, parse: Callable[[Any], Any]) -> Any:
        if said.get(name) is None:
            return None
        try:
            return parse(said[name])
        except (ValueError, TypeError, AttributeError):
            raise self._refused(name) from None

    def _refused(self, field: str, reason: Reason = Reason.INVALID_FIELD) -> RefusedError:
        return refused(reason, field, record_type=self._record_type.id)


def _instant(value: Any) -> Any:
    try:
        return datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return value


def _date(value: Any) -> Any:
    try:
        return date.fromisoformat(value)
    except (ValueError, TypeError):
        return value


def _logical_type(avro_type: Any) -> str | None:
    match avro_type:
        case ["null", inner]:
            return _logical_type(inner)
        case {"logicalType": str(name)}:
            return name
    return None


_READERS: Mapping[str | None, Callable[[Any], Any]] = {"date": _date, "timestamp-micros": _instant}
