"""What the evidence bench asks about: two views of two agencies, a person in each of them for every number."""

import hashlib
import hmac
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from bus.national_id import iran_check_digit
from bus.subject import Pseudonymizer
from consumers.accesses.record import create_accesses
from consumers.agreements.store import create_agreements
from consumers.evidence.watch import create_persons_asked
from consumers.materializer.positions import create_positions
from consumers.views import create_views
from registry.contracts import (
    Agency,
    Agreement,
    Catalogue,
    Claim,
    EvidenceType,
    Per,
    Procedure,
    RecordType,
    Requirement,
)

KEY = b"k" * 32
PSEUDONYMS = Pseudonymizer(KEY, "iran")
SINCE = datetime(2025, 1, 1, tzinfo=UTC)
FIRST_ID = 100_000_000
PROCEDURE = "measured"


def _record_type(name: str, fields: list[dict[str, Any]]) -> RecordType:
    return RecordType(
        id=name,
        agency=name.partition(".")[0],
        title={},
        body={"type": "record", "name": "Body", "fields": fields},
        record_key_field=None,
        fields=(),
        rules=(),
        freshness=timedelta(days=1),
        heartbeat=timedelta(minutes=1),
    )


def _string(name: str) -> dict[str, Any]:
    return {"name": name, "type": "string"}


TAX = _record_type("tax.status", [_string("standing"), {"name": "debt_rials", "type": "long"}])
IDENTITY = _record_type("civil.identity", [_string("given_name"), _string("family_name"), _string("sex")])


def _evidence_type(
    name: str, provider: str, record_type: str, claims: dict[str, str], proven: str | None
) -> EvidenceType:
    return EvidenceType(
        id=name,
        provider=provider,
        title={"en": name},
        per=Per.RECORD,
        views={"r": record_type},
        claims=tuple(Claim(name=one, title={"en": one}, sql=sql) for one, sql in claims.items()),
        proven_when=proven,
    )


def nation() -> Catalogue:
    """A procedure with two requirements, each met by one evidence type of another agency."""
    types = {
        "clearance": _evidence_type("clearance", "tax", TAX.id, {"cleared": "r.standing = 'cleared'"}, "cleared"),
        "identity": _evidence_type(
            "identity",
            "civil",
            IDENTITY.id,
            {"full_name": "concat_ws(' ', r.given_name, r.family_name)", "sex": "r.sex"},
            None,
        ),
    }
    agreements = {
        f"{PROCEDURE}.{one.id}": Agreement(
            id=f"{PROCEDURE}.{one.id}",
            requester="asker",
            provider=one.provider,
            evidence_type=one.id,
            procedure=PROCEDURE,
            purpose="measuring",
            legal_basis="Act 1",
            claims=tuple(claim.name for claim in one.claims),
            age_max=None,
            persons_per_hour=2**31,
            valid_from=date(2020, 1, 1),
            valid_until=date(2120, 1, 1),
            demands_case_reference=True,
            demands_acting_user=False,
            accepted_by_provider=True,
            accepted_by_requester=True,
        )
        for one in types.values()
    }
    requirements = tuple(Requirement(id=name, title={"en": name}, evidence_lists=((name,),)) for name in types)
    procedure = Procedure(
        id=PROCEDURE, agency="asker", title={"en": "Measured"}, legal_basis="Act 1", requirements=requirements
    )
    return Catalogue(
        national_id_scheme="iran",
        agencies={one: Agency(id=one, title={"en": one}) for one in ("tax", "civil", "asker")},
        record_types={TAX.id: TAX, IDENTITY.id: IDENTITY},
        evidence_types=types,
        procedures={PROCEDURE: procedure},
        agreements=agreements,
    )


def national_id(number: int) -> str:
    """The valid id of the person with a number."""
    nine = str(FIRST_ID + number)
    return f"{nine}{iran_check_digit(nine)}"


def fill(database_url: str, persons: int) -> None:
    """Makes the views and puts every person into each, as the materializer does: sorted by subject in batches."""
    subjects = [hmac.digest(KEY, national_id(number).encode(), hashlib.sha256)[:16] for number in range(persons)]
    bodies = [(TAX, ("cleared", 0)), (IDENTITY, ("نام", "نام‌خانوادگی", "female"))]
    with psycopg.connect(database_url, autocommit=True) as connection:
        for record_type, body in bodies:
            create_views(connection, record_type)
            names = ", ".join(field["name"] for field in record_type.body["fields"])
            for start in range(0, persons, 100_000):
                _copy(connection, record_type.id, names, sorted(subjects[start : start + 100_000]), body, start)
            connection.execute(f'VACUUM ANALYZE "{record_type.id}".facts')


def make_books(database_url: str) -> None:
    """Makes the service's own tables anew: nothing was asked yet, and the views are complete."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS yekbar CASCADE")
        for create in (create_positions, create_accesses, create_agreements, create_persons_asked):
            create(connection)
        for record_type in (TAX, IDENTITY):
            connection.execute(
                "INSERT INTO yekbar.positions (view, partition, topic, topic_id, generation, next_position,"
                " caught_up_at) VALUES (%s, 0, '', '', 1, 1, now())",
                (record_type.id,),
            )


def _copy(
    connection: psycopg.Connection[Any], view: str, names: str, subjects: list[bytes], body: tuple[Any, ...], start: int
) -> None:
    statement = (
        f'COPY "{view}".facts (subject, record_key, event_id, change_kind, effective_from, recorded_at, known_at,'
        f" partition, position, under_investigation, {names}) FROM STDIN"
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for position, subject in enumerate(subjects, start):
            event_id = UUID(int=random.getrandbits(128))
            copy.write_row((UUID(bytes=subject), "", event_id, 0, SINCE, SINCE, SINCE, 0, position, [], *body))
