from datetime import UTC, datetime

import psycopg
import pytest
from evidence_service import AGREED, JOB, STATUS, catalogue, caught_up, serving

from consumers.accesses.record import create_accesses
from consumers.agreements.store import create_agreements
from consumers.evidence.watch import create_persons_asked
from consumers.materializer.positions import create_positions
from consumers.views import create_views


@pytest.fixture
def database(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_positions(connection)
        create_accesses(connection)
        create_agreements(connection)
        create_persons_asked(connection)
        for one in (STATUS, JOB):
            create_views(connection, one)
            caught_up(connection, one.id, datetime.now(UTC))
        yield connection


@pytest.fixture
def caller(database, database_url, tmp_path):  # noqa: ARG001 - the tables are made
    with serving(catalogue(*AGREED), database_url, tmp_path) as one:
        yield one
