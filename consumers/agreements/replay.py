"""Agreements from the log alone: every change that was made, in its order."""

from collections.abc import Mapping, Sequence
from typing import Any

from bus.topics import AUDIT_AGREEMENTS
from consumers.agreements.changes import Change, ChangeKind
from consumers.agreements.flow import change_record
from consumers.agreements.store import TERMS
from consumers.audit.log import Log
from registry.contracts import AgreementId


def replayed_changes(log: Log, topic: str = AUDIT_AGREEMENTS) -> Sequence[Change]:
    """Every change that the topic holds, each once, in the order in which they were made. Raises UnreadableLogError."""
    found: dict[int, Change] = {}
    for arrived in log.read(topic, log.bounds(topic)):
        for value in arrived.values:
            if value is not None:
                record = change_record(value)
                found.setdefault(record["number"], _change(record))
    return [found[number] for number in sorted(found)]


def _change(record: Mapping[str, Any]) -> Change:
    terms = record["terms"]
    return Change(
        at=record["at"],
        agreement=AgreementId(record["agreement"]),
        kind=ChangeKind(record["kind"]),
        agency=record["agency"],
        reason=record["reason"],
        terms=None if terms is None else TERMS.validate_json(terms),
    )
