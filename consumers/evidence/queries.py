"""Compiles an evidence type to one SQL statement: what some persons have of it, as it is told to whoever agreed.

A row is the subject, whether the piece proves, and the piece as JSON text: the agreed claims, their times, the events
behind them. Claims that are not agreed are computed where `proven_when` needs them, and stay in the database.
Parameters are those of `consumers.views.holding_sql`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from psycopg import sql

from consumers.views import holding_sql, statement
from registry.contracts import Catalogue, EvidenceType, EvidenceTypeId, Per, RecordTypeId


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence: whether it proves what its type stands for, and the JSON text that tells it."""

    is_proven: bool
    text: str


Rows = Sequence[tuple[UUID | None, bool | None, str]]


@dataclass(frozen=True, slots=True)
class Pieces:
    """What one statement brought: the pieces of each person found, and those of every person who was not."""

    found: Mapping[UUID, Sequence[Piece]]
    of_nobody: Sequence[Piece]

    @classmethod
    def of_rows(cls, rows: Rows) -> "Pieces":
        """The pieces in the rows of a compiled statement."""
        found: dict[UUID | None, list[Piece]] = {}
        for subject, is_proven, text in rows:
            found.setdefault(subject, []).append(Piece(is_proven is True, text))
        of_nobody = found.pop(None, [])
        return cls({subject: pieces for subject, pieces in found.items() if subject is not None}, of_nobody)

    def of(self, subject: UUID) -> Sequence[Piece]:
        """The pieces of one person."""
        return self.found.get(subject, self.of_nobody)


class Statements:
    """The statements of a catalogue's evidence types, each compiled once."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.statement = cache(self._compiled)

    def _compiled(self, name: EvidenceTypeId, claims: tuple[str, ...], as_known: bool) -> bytes:
        return compiled(self._catalogue, self._catalogue.evidence_types[name], claims=claims, as_known=as_known)


def compiled(catalogue: Catalogue, evidence_type: EvidenceType, *, claims: tuple[str, ...], as_known: bool) -> bytes:
    """The statement that tells these claims of an evidence type, of present knowledge or as known at an instant."""
    compose = _per_person if evidence_type.per is Per.PERSON else _per_record
    return compose(catalogue, evidence_type, claims=claims, as_known=as_known).as_string(None).encode()


def _per_record(
    catalogue: Catalogue, evidence_type: EvidenceType, *, claims: tuple[str, ...], as_known: bool
) -> sql.Composed:
    views = [(sql.Identifier(alias), record_type) for alias, record_type in evidence_type.views.items()]
    (lead, leading), *others = views
    held = sql.SQL("({}) AS {}").format(_holding(catalogue, leading, as_known=as_known), lead)
    for alias, record_type in others:
        held += sql.SQL(" LEFT JOIN ({}) AS {} ON {}.subject = {}.subject").format(
            _holding(catalogue, record_type, as_known=as_known), alias, alias, lead
        )

    def of_all(column: str, joined_by: str = ", ") -> sql.Composed:
        return sql.SQL(joined_by).join(sql.SQL("{}.{}").format(alias, sql.Identifier(column)) for alias, _ in views)

    events = sql.SQL(", ").join(
        sql.SQL("({}, {}.event_id, {}.partition, {}.position)").format(sql.Literal(str(name)), alias, alias, alias)
        for alias, name in views
    )
    return statement("evidence_record.sql").format(
        lead=lead,
        held=held,
        events=events,
        under_investigation=of_all("under_investigation", " || "),
        **{name: of_all(name) for name in ("effective_from", "effective_to", "recorded_at", "known_at")},
        **_claims(evidence_type, claims),
    )


def _per_person(
    catalogue: Catalogue, evidence_type: EvidenceType, *, claims: tuple[str, ...], as_known: bool
) -> sql.Composed:
    ((alias, record_type),) = evidence_type.views.items()
    lead = sql.Identifier(alias)
    columns = statement("evidence_person_columns.sql").format(lead=lead, record_type=sql.Literal(str(record_type)))
    return statement("evidence_person.sql").format(
        lead=lead,
        held=_holding(catalogue, record_type, as_known=as_known),
        columns=columns,
        **_claims(evidence_type, claims),
    )


def _holding(catalogue: Catalogue, record_type: RecordTypeId, *, as_known: bool) -> sql.Composed:
    return holding_sql(catalogue.record_types[record_type], as_known=as_known)


def _claims(evidence_type: EvidenceType, agreed: tuple[str, ...]) -> Mapping[str, sql.Composable]:
    """The parts of a statement that the claims fill in: all that are computed, and those that are told."""
    computed = (
        sql.SQL(",\n  ({}) AS {}").format(_expression(claim.sql), sql.Identifier(claim.name))
        for claim in evidence_type.claims
    )
    told = sql.SQL(", ").join(sql.SQL("_told.{}").format(sql.Identifier(name)) for name in agreed)
    return {
        "claims": sql.SQL("").join(computed),
        "proven": _expression(f"({evidence_type.proven_when})") if evidence_type.proven_when else sql.SQL("true"),
        "agreed": told,
        "claims_json": sql.SQL("row_to_json(_agreed)" if agreed else "'{}'::json"),
    }


def _expression(text: str) -> sql.SQL:
    """A catalogue's expression inside a statement with parameters, where a percent sign is written twice."""
    return sql.SQL(text.replace("%", "%%"))
