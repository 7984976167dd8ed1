"""The desk: a change that a consumer could not take is refused here, with the field's name and never its value.

The checks of a record type are made once; each change then runs through plain functions. The rules of the envelope are
those of `bus.envelope_rules`, said one change at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from bus.envelope import ChangeKind
from bus.envelope_rules import EFFECTIVE_AHEAD_MAX, RECORDED_AHEAD_MAX, YEAR_FIRST, YEAR_LAST
from bus.errors import RefusedError
from bus.reasons import Reason
from producers.change import Change
from registry.contracts import RecordType

INT_MAX = 2**31 - 1
LONG_MAX = 2**63 - 1
CHAR_BYTES_MAX = 4  # in UTF-8
FIXED_BYTES_MAX = 128  # far above what a field takes beside its text, and the envelope beside its fields' names

Check = Callable[[Any], Reason | None]

_UNDOING = frozenset({ChangeKind.CORRECTED, ChangeKind.ANNULLED})
_TELLING = frozenset({ChangeKind.CREATED, ChangeKind.CORRECTED})
_KINDS = tuple(ChangeKind)


class Validator:
    """Says whether a change may be sent as an event of one record type."""

    def __init__(self, record_type: RecordType) -> None:
        self._record_type = record_type.id
        self._key_field = record_type.record_key_field
        self._checks = tuple((field["name"], *_check_of(field["type"])) for field in record_type.body["fields"])
        self._names = frozenset(name for name, _, _ in self._checks)
        self._text_names = tuple(name for name, check, _ in self._checks if check in (_check_text, _check_texts))

    def check(self, change: Change, *, now: datetime) -> int:
        """A bound of the event's size in bytes, when the change may be sent. Raises RefusedError for what it breaks."""
        broken = self._broken(change, now)
        if broken is not None:
            raise refused(*broken, record_type=self._record_type)
        size = (
            FIXED_BYTES_MAX * (len(self._checks) + len(change.under_investigation) + 1)
            + len(change.record_key) * CHAR_BYTES_MAX
        )
        body = change.body
        if body is not None:
            for name in self._text_names:
                size += _text_bytes_max(body.get(name))
        return size

    def _broken(self, change: Change, now: datetime) -> tuple[Reason, str] | None:
        return (
            _mistyped(change)
            or self._broken_body(change.body)
            or self._doubtful(change.under_investigation)
            or self._broken_envelope(change)
            or _broken_times(change, now)
        )

    def _broken_body(self, body: Mapping[str, Any] | None) -> tuple[Reason, str] | None:
        if body is None:
            return None
        if not self._names.issuperset(body):
            return Reason.INVALID_FIELD, next(name for name in body if name not in self._names)
        for name, check, is_nullable in self._checks:
            value = body.get(name)
            if value is None:
                if not is_nullable:
                    return Reason.INVALID_FIELD, name
            elif (reason := check(value)) is not None:
                return reason, name
        return None

    def _broken_envelope(self, change: Change) -> tuple[Reason, str] | None:
        kind, body = change.change_kind, change.body
        if (kind in _UNDOING) is (change.previous_event_id is None):
            missing = change.previous_event_id is None
            return (
                Reason.MISSING_PREVIOUS_EVENT if missing else Reason.UNEXPECTED_PREVIOUS_EVENT,
                "previous_event_id",
            )
        if body is None:
            if kind in _TELLING:
                return Reason.MISSING_BODY, "body"
        elif kind is ChangeKind.ANNULLED:
            return Reason.UNEXPECTED_BODY, "body"
        elif change.record_key != ("" if self._key_field is None else body[self._key_field]):
            return Reason.RECORD_KEY_MISMATCH, "record_key"
        return None

    def _doubtful(self, names: tuple[str, ...]) -> tuple[Reason, str] | None:
        return None if self._names.issuperset(names) else (Reason.INVALID_FIELD, "under_investigation")


def refused(reason: Reason, field: str, *, record_type: str, rule: str = "") -> RefusedError:
    """The error that tells an agency which field of a change is at fault, and why."""
    broken = f" (rule '{rule}')" if rule else ""
    return RefusedError(
        f"the change to '{record_type}' is refused for its field '{field}': {reason.meaning}{broken}",
        reason=reason,
        field=field,
        rule=rule,
        remedy=f"correct '{field}' at the source and send the change again",
    )


def _mistyped(change: Change) -> tuple[Reason, str] | None:
    if not isinstance(change.change_kind, ChangeKind):
        return Reason.INVALID_FIELD, "change_kind"
    if (reason := _check_text(change.record_key)) is not None:
        return reason, "record_key"
    for name, instant in (
        ("effective_from", change.effective_from),
        ("effective_to", change.effective_to),
        ("recorded_at", change.recorded_at),
    ):
        if instant is None and name == "effective_to":
            continue
        if not isinstance(instant, datetime) or instant.tzinfo is None:
            return Reason.INVALID_FIELD, name
    return None


def _broken_times(change: Change, now: datetime) -> tuple[Reason, str] | None:
    starts, ends, recorded = change.effective_from, change.effective_to, change.recorded_at
    if ends is not None and ends <= starts:
        return Reason.EMPTY_PERIOD, "effective_to"
    if not YEAR_FIRST <= starts <= YEAR_LAST:
        return Reason.TIME_OUT_OF_RANGE, "effective_from"
    if ends is not None and not YEAR_FIRST <= ends <= YEAR_LAST:
        return Reason.TIME_OUT_OF_RANGE, "effective_to"
    if not YEAR_FIRST <= recorded <= YEAR_LAST:
        return Reason.TIME_OUT_OF_RANGE, "recorded_at"
    if recorded > now + RECORDED_AHEAD_MAX:
        return Reason.RECORDED_IN_FUTURE, "recorded_at"
    if starts > now + EFFECTIVE_AHEAD_MAX:
        return Reason.EFFECTIVE_TOO_FAR_AHEAD, "effective_from"
    return None


def _text_bytes_max(value: str | Sequence[str] | None) -> int:
    """A bound of what a text or an array of texts takes in UTF-8."""
    if value is None:
        return 0
    if isinstance(value, str):
        return len(value) * CHAR_BYTES_MAX
    return sum(FIXED_BYTES_MAX + len(text) * CHAR_BYTES_MAX for text in value)


def _check_of(avro_type: Any) -> tuple[Check, bool]:
    """The check of a body field's values, and whether it may be null."""
    match avro_type:
        case ["null", inner]:
            return _check_of(inner)[0], True
        case {"type": "enum", "symbols": symbols}:
            return _check_symbol(frozenset(symbols)), False
        case {"logicalType": str(name)} | {"type": str(name)} | str(name):
            return _CHECKS[name], False
    raise AssertionError(f"the catalogue let a type through that the desk cannot check: {avro_type}")


def _check_symbol(symbols: frozenset[str]) -> Check:
    def check(value: Any) -> Reason | None:
        return None if isinstance(value, str) and value in symbols else Reason.INVALID_FIELD

    return check


def _check_text(value: Any) -> Reason | None:
    if not isinstance(value, str):
        return Reason.INVALID_FIELD
    if "\0" in value:
        return Reason.NUL_CHARACTER
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair: no text
            return Reason.INVALID_FIELD
    return None


def _check_texts(value: Any) -> Reason | None:
    if not isinstance(value, list | tuple):
        return Reason.INVALID_FIELD
    return next((reason for text in value if (reason := _check_text(text)) is not None), None)


def _check_integer(value: Any, limit: int) -> Reason | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return None if is_whole and -limit - 1 <= value <= limit else Reason.INVALID_FIELD


def _check_double(value: Any) -> Reason | None:
    is_number = isinstance(value, float | int) and not isinstance(value, bool)
    return None if is_number and -_DOUBLE_MAX <= value <= _DOUBLE_MAX else Reason.INVALID_FIELD


def _check_boolean(value: Any) -> Reason | None:
    return None if isinstance(value, bool) else Reason.INVALID_FIELD


def _check_date(value: Any) -> Reason | None:
    return None if isinstance(value, date) and not isinstance(value, datetime) else Reason.INVALID_FIELD


def _check_instant(value: Any) -> Reason | None:
    return None if isinstance(value, datetime) and value.tzinfo is not None else Reason.INVALID_FIELD


_DOUBLE_MAX = float.fromhex("0x1.fffffffffffffp+1023")  # finite numbers alone can be compared and added up
_CHECKS: Mapping[str, Check] = {
    "string": _check_text,
    "int": lambda value: _check_integer(value, INT_MAX),
    "long": lambda value: _check_integer(value, LONG_MAX),
    "boolean": _check_boolean,
    "double": _check_double,
    "date": _check_date,
    "timestamp-micros": _check_instant,
    "array": _check_texts,
}
