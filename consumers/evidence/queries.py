"""Compiles an evidence type to one SQL statement: what some persons have of it, as it is told to whoever agreed.

A row is the subject, whether the piece proves, and the piece as JSON text: the agreed claims, their times, the events
behind them. Claims that are not agreed are computed where `proven_when` needs them, and stay in the database.
Parameters are those of `consumers.views.holding_sql`, by number: subjects, at, known_at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from psycopg import sql

from consumers.evidence.pipe import Row
from consumers.views import holding_sql, statement
from registry.contracts import Catalogue, EvidenceType, EvidenceTypeId, Per, RecordTypeId

_NUMBERS = {"subjects": "$1", "at": "$2", "known_at": "$3"}
_TRUE = b"\x01"


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence: whether it proves what its type stands for, and the JSON that tells it."""

    is_proven: bool
    text: bytes


@dataclass(frozen=True, slots=True)
class Pieces:
    """What one statement brought: the pieces of each subject found, and those of everybody else."""

    found: Mapping[bytes, Sequence[Piece]]
    of_nobody: Sequence[Piece]

    @classmethod
    def of_rows(cls, rows: Sequence[Row]) -> "Pieces":
        """The pieces in the rows of a compiled statement, in binary."""
        found: dict[bytes, list[Piece]] = {}
        of_nobody: list[Piece] = []
        for subject, is_proven, text in rows:
            assert text is not None
            pieces = of_nobody if subject is None else found.setdefault(subject, [])
            pieces.append(Piece(is_proven == _TRUE, text))
        return cls(found, of_nobody)

    def of(self, subject: bytes) -> Sequence[Piece]:
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
    named = compose(catalogue, evidence_type, claims=claims, as_known=as_known).as_string(None)
    return (named % _NUMBERS).encode()


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

    return statement("evidence_record.sql").format(
        lead=lead,
        held=held,
        events=_events(views),
        under_investigation=of_all("under_investigation", " || "),
        **{name: of_all(name) for name in ("effective_from", "effective_to", "recorded_at", "known_at")},
        **_claims(evidence_type, claims),
    )


def _events(views: Sequence[tuple[sql.Identifier, RecordTypeId]]) -> sql.Composed:
    """The events behind a piece; only the leading view is sure to have one."""
    if len(views) == 1:
        ((alias, name),) = views
        return sql.SQL(
            "json_build_array(json_build_object('record_type', {}, 'event_id', {}.event_id,"
            " 'partition', {}.partition, 'position', {}.position))"
        ).format(sql.Literal(str(name)), alias, alias, alias)
    events = sql.SQL(", ").join(
        sql.SQL("({}, {}.event_id, {}.partition, {}.position)").format(sql.Literal(str(name)), alias, alias, alias)
        for alias, name in views
    )
    return sql.SQL(
        "(SELECT json_agg(event) FROM (VALUES {}) AS event (record_type, event_id, partition, position)"
        " WHERE event_id IS NOT NULL)"
    ).format(events)


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
