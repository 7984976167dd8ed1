"""Topic names and settings. A record type names its topics; nothing else does."""

from collections.abc import Mapping

AUDIT_ACCESS = "audit.access"
AUDIT_AGREEMENTS = "audit.agreements"
QUALITY_FINDINGS = "quality.findings"
SOURCE_HEARTBEATS = "sources.heartbeats"
_OWN = frozenset({AUDIT_ACCESS})  # record types that the bus itself is the authority for are named as their topics
_RECORDS = "records."
_QUARANTINE = "quarantine."

# For ever, in log append time: the log is the proof of what was known when.
RECORD_TOPIC_SETTINGS: Mapping[str, str] = {
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
}

# The last word of each source is enough.
HEARTBEAT_TOPIC_SETTINGS: Mapping[str, str] = {
    "message.timestamp.type": "LogAppendTime",
    "cleanup.policy": "compact",
    "segment.ms": "86400000",
}


def records_topic(record_type: str) -> str:
    """Where the events of a record type are published."""
    return record_type if record_type in _OWN else _RECORDS + record_type


def quarantine_topic(record_type: str) -> str:
    """Where the events of a record type that cannot be applied wait."""
    return _QUARANTINE + record_type


def record_type_of(topic: str) -> str | None:
    """The record type of a records topic; None for any other topic."""
    if topic in _OWN:
        return topic
    return topic.removeprefix(_RECORDS) if topic.startswith(_RECORDS) else None


def event_subject_name(topic: str) -> str:
    """The schema registry's subject name for the values of a topic (TopicNameStrategy)."""
    return topic + "-value"
