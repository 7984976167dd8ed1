from datetime import UTC, datetime
from itertools import product

import psycopg
import pytest

from consumers.evidence.queries import compiled
from consumers.views import create_views
from registry.catalogue import load_catalogue

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOBODY = "{00000000-0000-0000-0000-000000000000}"
REFERENCE = load_catalogue(None)


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


def test_every_evidence_type_of_the_reference_profile_can_be_asked_now_and_as_known_then(connection):
    for record_type in REFERENCE.record_types.values():
        create_views(connection, record_type)

    for evidence_type, as_known in product(REFERENCE.evidence_types.values(), (False, True)):
        for claims in ((), tuple(claim.name for claim in evidence_type.claims)):
            query = compiled(REFERENCE, evidence_type, claims=claims, as_known=as_known)
            parameters = [NOBODY, NOW, *([NOW] if as_known else [])]
            rows = psycopg.RawCursor(connection).execute(query, parameters).fetchall()

            assert [row[0] for row in rows] == ([None] if evidence_type.per == "person" else [])
