from datetime import UTC, datetime

import psycopg
import pytest
from psycopg.rows import dict_row

from bus.national_id import fold_digits
from deploy.demo.databases import make_database, url_of
from deploy.demo.population import populate
from deploy.demo.systems import load_systems
from registry.catalogue import load_catalogue

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)
ENVELOPE = ("event_id", "previous_event_id", "record_key", "effective_from", "effective_to", "recorded_at")


@pytest.fixture(scope="module")
def population():
    return populate(persons=120, seed=5, now=NOW)


@pytest.mark.parametrize("system", load_systems(), ids=lambda system: system.agency)
def test_an_agency_s_own_tables_give_back_what_its_clerks_wrote(stack, population, system):
    contracts = load_catalogue(None).record_types
    make_database(stack.endpoints.database_url, system, population, contracts)

    with psycopg.connect(url_of(stack.endpoints.database_url, system), row_factory=dict_row) as connection:
        read = {table.record_type: connection.execute(table.changes).fetchall() for table in system.tables}

    for record_type, rows in read.items():
        register = population.registers[record_type]
        assert len(rows) == len(register.journal) + len(register.spoilt)
        for entry, row in zip(register.journal, rows, strict=False):
            assert fold_digits(row["national_id"]) == entry.national_id
            assert row["change_kind"] == entry.change_kind.value
            assert [row[name] for name in ENVELOPE] == [getattr(entry, name) for name in ENVELOPE]
            assert entry.body is None or {name: row[name] for name in entry.body} == entry.body
    with psycopg.connect(stack.endpoints.database_url, autocommit=True) as server:
        server.execute(f"DROP DATABASE {system.database}")
