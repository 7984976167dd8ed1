"""Compiles an evidence type to one SQL statement: claims over what holds for some persons, and where they come from.

Parameters are those of `consumers.views.holding_sql`. The claims that an agreement leaves out are dropped later, where
the answer is made: `proven_when` is over all of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from consumers.views import holding_sql, statement
from registry.contracts import Catalogue, EvidenceType, EvidenceTypeId, Per, RecordTypeId

_SHARED_COLUMNS = 9  # what stands before the claims in a row: _subject … _under_investigation


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of evidence as the views have it, before any claim is left out.

    Times are None where no record is behind it; `events` names the records behind it by log position.
    """

    claims: Mapping[str, Any]
    is_proven: bool
    effective_from: Any
    effective_to: Any
    recorded_at: Any
    known_at: Any
    events: tuple[tuple[RecordTypeId, Any, int, int], ...]
    under_investigation: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """An evidence type's statement, of present knowledge and as known at an instant, and how to read its rows."""

    evidence_type: EvidenceType
    present: bytes
    as_known: bytes

    def pieces(self, rows: Sequence[Sequence[Any]]) -> tuple[Mapping[Any, list[Piece]], list[Piece]]:
        """The pieces of each person found, and those of every person who was not."""
        found: dict[Any, list[Piece]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(self._piece(row))
        return found, found.pop(None, [])

    def _piece(self, row: Sequence[Any]) -> Piece:
        names = [claim.name for claim in self.evidence_type.claims]
        types = list(self.evidence_type.views.values())
        if self.evidence_type.per is Per.PERSON:
            types *= len(row[5] or ())
        doubted = row[8]
        return Piece(
            claims=dict(zip(names, row[_SHARED_COLUMNS:-1], strict=True)),
            is_proven=row[-1] is True,
            effective_from=row[1],
            effective_to=row[2],
            recorded_at=row[3],
            known_at=row[4],
            events=tuple(
                (record_type, *event)
                for record_type, *event in zip(types, row[5] or (), row[6] or (), row[7] or (), strict=True)
                if event[0] is not None
            ),
            under_investigation=tuple(sorted(set(doubted.split(",")))) if doubted else (),
        )


def compile_all(catalogue: Catalogue) -> Mapping[EvidenceTypeId, Compiled]:
    """The statements of every evidence type of a catalogue."""
    return {name: compile_one(catalogue, evidence_type) for name, evidence_type in catalogue.evidence_types.items()}


def compile_one(catalogue: Catalogue, evidence_type: EvidenceType) -> Compiled:
    """The statements of one evidence type."""
    compose = _per_person if evidence_type.per is Per.PERSON else _per_record
    present, as_known = (
        compose(catalogue, evidence_type, as_known=as_known).as_string(None).encode() for as_known in (False, True)
    )
    return Compiled(evidence_type=evidence_type, present=present, as_known=as_known)


def _per_record(catalogue: Catalogue, evidence_type: EvidenceType, *, as_known: bool) -> sql.Composed:
    aliases = [sql.Identifier(alias) for alias in evidence_type.views]
    held = sql.SQL("").join(
        sql.SQL("({}) AS {}" if alias is aliases[0] else " LEFT JOIN ({}) AS {} ON {}.subject = {}.subject").format(
            holding_sql(catalogue.record_types[record_type], as_known=as_known), alias, alias, aliases[0]
        )
        for alias, record_type in zip(aliases, evidence_type.views.values(), strict=True)
    )

    def of_all(column: str, joined_by: str = ", ") -> sql.Composed:
        return sql.SQL(joined_by).join(sql.SQL("{}.{}").format(alias, sql.Identifier(column)) for alias in aliases)

    names = ("effective_from", "effective_to", "recorded_at", "known_at", "event_id", "partition", "position")
    return statement("evidence_record.sql").format(
        proven=_proven(evidence_type),
        lead=aliases[0],
        held=held,
        claims=_claims(evidence_type),
        under_investigation=of_all("under_investigation", " || "),
        **{name: of_all(name) for name in names},
    )


def _per_person(catalogue: Catalogue, evidence_type: EvidenceType, *, as_known: bool) -> sql.Composed:
    ((alias, record_type),) = evidence_type.views.items()
    lead = sql.Identifier(alias)
    return statement("evidence_person.sql").format(
        proven=_proven(evidence_type),
        lead=lead,
        held=holding_sql(catalogue.record_types[record_type], as_known=as_known),
        columns=statement("evidence_person_columns.sql").format(lead=lead),
        claims=_claims(evidence_type),
    )


def _claims(evidence_type: EvidenceType) -> sql.Composed:
    return sql.SQL("").join(
        sql.SQL(",\n  ({}) AS {}").format(_expression(claim.sql), sql.Identifier(claim.name))
        for claim in evidence_type.claims
    )


def _proven(evidence_type: EvidenceType) -> sql.Composable:
    return _expression(f"({evidence_type.proven_when})") if evidence_type.proven_when else sql.SQL("true")


def _expression(text: str) -> sql.SQL:
    """A catalogue's expression inside a statement with parameters, where a percent sign is written twice."""
    return sql.SQL(text.replace("%", "%%"))
