import csv
from datetime import UTC, datetime

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from bus.national_id import fold_digits
from deploy.demo.databases import make_database, url_of
from deploy.demo.offices import frame_of
from deploy.demo.population import populate
from deploy.demo.systems import load_systems
from deploy.demo.truth import midnight
from producers.files import read_parts
from producers.mapper import Mapper
from producers.mapping import FieldMapping
from registry.catalogue import load_catalogue

NOW = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def population():
    return populate(persons=120, seed=5, now=NOW)


@pytest.mark.parametrize("system", load_systems(), ids=lambda system: system.agency)
def test_an_agency_s_own_tables_give_back_what_its_clerks_wrote(stack, population, system, tmp_path):
    contracts = load_catalogue(None).record_types
    make_database(stack.endpoints.database_url, system, population, contracts)

    with psycopg.connect(url_of(stack.endpoints.database_url, system), row_factory=dict_row) as connection:
        read = {table.record_type: changes(connection, table, contracts, tmp_path) for table in system.tables}

    for record_type, rows in read.items():
        register = population.registers[record_type]
        entries = [*register.journal, *(entry for entry, _ in register.spoilt)]
        assert len(rows) == len(entries)
        for entry, row in zip(entries, rows, strict=True):
            body = {name: row[name] for name in entry.body} if entry.body else None
            assert fold_digits(row["national_id"]) == entry.national_id
            assert row["change_kind"] == entry.change_kind.value
            assert row["event_id"] == entry.event_id.bytes
            assert row["previous_event_id"] == (entry.previous_event_id and entry.previous_event_id.bytes)
            assert row["effective_from"] == midnight(entry.effective_from)
            assert row.get("effective_to") == (entry.effective_to and midnight(entry.effective_to))
            assert row["recorded_at"] == entry.recorded_at
            assert body == entry.body
    with psycopg.connect(stack.endpoints.database_url, autocommit=True) as server:
        server.execute(f"DROP DATABASE {system.database}")


def changes(connection, table, contracts, folder):
    """What an agency's table says, as rows of the frame that a publisher takes."""
    rows = connection.execute(table.changes).fetchall()
    contract = contracts[table.record_type]
    if table.mapping is None:
        return frame_of(list(rows[0]), [tuple(row.values()) for row in rows], contract).to_dicts()
    place = folder / "export.csv"
    with place.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    mapper = Mapper(contract, FieldMapping.model_validate(yaml.safe_load(table.mapping)))
    mapped = [mapper.map(part.frame) for part in read_parts(place)]
    assert [one.refused.rows() for one in mapped if one.refused.height] == []
    return [row for one in mapped for row in one.changes.to_dicts()]
