"""What a client does, step by step: the rules of the bus that no schema says."""

from collections.abc import Mapping, Sequence
from typing import Any


def steps(facts: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Each step's name and what to do."""
    return (*_making(facts), *_sending(facts))


def _making(facts: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    key_field = facts["record_key_field"]
    key_rule = f"the text of the body's `{key_field}`" if key_field else "the empty text"
    return (
        (
            "Write the change down first",
            "In one transaction with your own data: the event's id, its sequence and its content. "
            "Send from there, and strike it out when the broker has acknowledged it.",
        ),
        (
            "Name the event",
            "`event_id` is a UUID of version 7 (RFC 9562), as 16 bytes. A change that is sent again keeps its id, "
            "its sequence and its content: then it is applied once. The same id with other content is quarantined.",
        ),
        (
            "Count",
            "`source` is the stream's name, and one process at a time writes it; `sequence` is 1, 2, 3, … without a "
            "gap, for a number that never arrives is reported as a lost event. A source writes one topic.",
        ),
        (
            "Key by the person",
            f"The message key is the {facts['key']}; the field `subject` has the same bytes. The canonical id is "
            f"that of scheme `{facts['national_id_scheme']}`: ASCII digits, leading zeros kept. It is sent nowhere.",
        ),
        (
            "Fill the envelope",
            f"`record_key` is {key_rule}. `recorded_at` is when you registered the change, at most "
            f"{facts['recorded_ahead_max_days']} day ahead of the broker's clock; `effective_from` at most "
            f"{facts['effective_ahead_max_days']} days ahead. `created` and `corrected` need a body; `annulled` "
            "has none; `corrected` and `annulled` name `previous_event_id`, an event of the same person and record.",
        ),
    )


def _sending(facts: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    settings = ", ".join(f"`{name}={value}`" for name, value in facts["client_settings"].items())
    heartbeat = facts["heartbeat"]
    return (
        (
            "Frame the value",
            f"The value is {facts['value']}. The id: `{facts['schema_lookup']}` at the schema registry; write with "
            "exactly the schema that comes with it. A schema of your own is not taken.",
        ),
        (
            "Send",
            f"Set {settings} (librdkafka's names). The partitioner must be murmur2, which is the Java client's own: "
            "a person's events lie in one partition, in order. A value has at most "
            f"{facts['message_bytes_max']:,} bytes. Send nothing without a value: a record ends by `ceased`.",
        ),
        (
            "Say that you live",
            f"Every {heartbeat['every_s']} s, also when nothing changes, send a heartbeat to `{heartbeat['topic']}`: "
            f"key `source`, value framed likewise with the schema of `{heartbeat['registry_subject']}`: "
            f"{', '.join(f'`{name}`' for name in heartbeat['fields'])}. It promises that all you knew before "
            "`complete_until` has been acknowledged, and that the last of it has `last_sequence`.",
        ),
        (
            "Look into the quarantine",
            f"What cannot be applied waits in `{facts['quarantine_topic']}` with its reason: "
            "`yekbar quarantine list`. The good events go on.",
        ),
    )
