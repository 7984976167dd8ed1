"""Looks up evidence for many requests at once: one statement for each evidence type and pair of instants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from consumers.evidence.answer import Outage
from consumers.evidence.asking import Plan
from consumers.evidence.pipe import Command, Fault, Pipe, Row
from consumers.evidence.queries import Pieces, Statements
from registry.contracts import Catalogue, EvidenceTypeId

_MISSING = ("42P01", "3F000")  # undefined_table, invalid_schema_name

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Group:
    """What one statement answers: these claims of an evidence type at one pair of instants."""

    evidence_type: EvidenceTypeId
    claims: tuple[str, ...]
    effective_at: datetime
    known_at: datetime | None


Found = Mapping[Group, Pieces | Outage]


class Lookup:
    """Reads evidence; every statement sees what is committed when it starts, and fails alone."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._statements = Statements(catalogue)

    async def read(
        self, pipe: Pipe, wanted: Mapping[Group, set[UUID]], *, first: Command | None
    ) -> tuple[Found, Sequence[Row] | Fault | None]:
        """What each group's statement brings about its persons, and what the `first` statement of all brings."""
        commands = [] if first is None else [first]
        commands += [self._command(group, subjects) for group, subjects in wanted.items()]
        answers = list(await pipe.read(commands)) if commands else []
        brought = None if first is None else answers.pop(0)
        return {group: _pieces(group, one) for group, one in zip(wanted, answers, strict=True)}, brought

    def _command(self, group: Group, subjects: set[UUID]) -> Command:
        query = self._statements.statement(group.evidence_type, group.claims, group.known_at is not None)
        parameters = [
            f"{{{','.join([subject.hex for subject in subjects])}}}".encode(),
            group.effective_at.isoformat().encode(),
        ]
        if group.known_at is not None:
            parameters.append(group.known_at.isoformat().encode())
        return Command(query, parameters, is_binary=True)


def groups(plan: Plan, effective_at: datetime, known_at: datetime | None) -> Mapping[EvidenceTypeId, Group]:
    """What must be looked up for a plan at a pair of instants: the evidence types that it permits."""
    return {name: Group(name, one.claims, effective_at, known_at) for name, one in plan.permitted.items()}


def _pieces(group: Group, answer: Sequence[Row] | Fault) -> Pieces | Outage:
    if not isinstance(answer, Fault):
        return Pieces.of_rows(answer)
    log.error("evidence_not_read", evidence_type=group.evidence_type, sqlstate=answer.sqlstate)
    return Outage.NO_SUCH_VIEW if answer.sqlstate in _MISSING else Outage.DATABASE_ERROR
