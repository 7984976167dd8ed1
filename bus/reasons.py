"""Reason codes: why an event is refused at the publisher's desk, or put in quarantine by a consumer.

One list for both sides, so that an agency reads in quarantine the words it would have read before the send.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why an event cannot be taken. The text after each says what to look at; it holds no one's data."""

    NULL_VALUE = "null-value"
    UNKNOWN_MAGIC_BYTE = "unknown-magic-byte"
    UNKNOWN_SCHEMA = "unknown-schema"
    WRONG_RECORD_TYPE = "wrong-record-type"
    SCHEMA_AHEAD_OF_CONTRACT = "schema-ahead-of-contract"
    MALFORMED_PAYLOAD = "malformed-payload"
    KEY_MISMATCH = "key-mismatch"
    SEQUENCE_NOT_POSITIVE = "sequence-not-positive"
    MISSING_PREVIOUS_EVENT = "missing-previous-event"
    UNEXPECTED_PREVIOUS_EVENT = "unexpected-previous-event"
    MISSING_BODY = "missing-body"
    UNEXPECTED_BODY = "unexpected-body"
    RECORD_KEY_MISMATCH = "record-key-mismatch"
    EMPTY_PERIOD = "empty-period"
    TIME_OUT_OF_RANGE = "time-out-of-range"
    RECORDED_IN_FUTURE = "recorded-in-future"
    EFFECTIVE_TOO_FAR_AHEAD = "effective-too-far-ahead"
    NUL_CHARACTER = "nul-character"
    QUALITY_RULE = "quality-rule"
    UNSTORABLE = "unstorable"
    EVENT_ID_REUSED = "event-id-reused"
    UNKNOWN_PREVIOUS_EVENT = "unknown-previous-event"
    OVERSIZED = "oversized"
    INVALID_NATIONAL_ID = "invalid-national-id"
    INVALID_FIELD = "invalid-field"

    @property
    def meaning(self) -> str:
        """What is wrong with the event, in one sentence for the person who must act."""
        return _MEANINGS[self]


_MEANINGS = {
    Reason.NULL_VALUE: "the message has no value; a record is ended by an event 'ceased', never by a tombstone",
    Reason.UNKNOWN_MAGIC_BYTE: "the value does not begin with a zero byte and a schema id",
    Reason.UNKNOWN_SCHEMA: "the schema registry knows no schema of this id",
    Reason.WRONG_RECORD_TYPE: "the schema is not one of this topic",
    Reason.SCHEMA_AHEAD_OF_CONTRACT: "the schema has fields that the consumer's contract does not have yet",
    Reason.MALFORMED_PAYLOAD: "the payload is not one whole Avro record of its schema",
    Reason.KEY_MISMATCH: "the message key is not the event's subject",
    Reason.SEQUENCE_NOT_POSITIVE: "sequences of a source begin at 1",
    Reason.MISSING_PREVIOUS_EVENT: "a correction or an annulment must name the event that it undoes",
    Reason.UNEXPECTED_PREVIOUS_EVENT: "only a correction or an annulment names a previous event",
    Reason.MISSING_BODY: "what is created or corrected needs a body",
    Reason.UNEXPECTED_BODY: "an annulment has no body",
    Reason.RECORD_KEY_MISMATCH: "the record key is not the one in the body, or the record type has none",
    Reason.EMPTY_PERIOD: "the effective period ends before it begins, or as it begins",
    Reason.TIME_OUT_OF_RANGE: "a time lies outside the years 1000 to 9999",
    Reason.RECORDED_IN_FUTURE: "the source says that it recorded the change more than a day after now",
    Reason.EFFECTIVE_TOO_FAR_AHEAD: "the fact would hold only many years from now",
    Reason.NUL_CHARACTER: "a text holds the character NUL, which the views cannot store",
    Reason.QUALITY_RULE: "a quality rule of the contract that refuses is broken",
    Reason.UNSTORABLE: "the database refuses the row",
    Reason.EVENT_ID_REUSED: "an event with this id but other content was applied before",
    Reason.UNKNOWN_PREVIOUS_EVENT: "the event that it undoes is not known for this record",
    Reason.OVERSIZED: "the event is larger than the brokers take",
    Reason.INVALID_NATIONAL_ID: "the national id is not valid under the nation's scheme",
    Reason.INVALID_FIELD: "a field is missing, unknown or of the wrong type",
}
