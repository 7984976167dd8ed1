"""`yekbar onboard` on real databases: what it proposes is checked, published by, and seen in the view row by row."""

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import polars as pl
import psycopg
import pytest
import sqlalchemy as sa
from mariadb_server import mariadb_server, missing_programs

from bus.national_id import iran_check_digit
from producers.sync.table import engine_of
from registry.catalogue import check_catalogue, load_catalogue

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
ROWS = 300
FIRST = datetime(2024, 1, 1, 8, 30, tzinfo=UTC)


def person(number):
    nine = f"{number + 1_000_000:09}"  # so that all begin with two zeros
    return nine + str(iran_check_digit(nine))


def deeds(engine):
    """A table of deeds, some persons with several, as a number of the nineties would have them."""
    kinds = sa.Enum("home", "shop", name="deed_use")
    zoned = sa.DateTime(timezone=True)
    table = sa.Table(
        "deeds",
        sa.MetaData(),
        sa.Column("row_id", sa.Integer, primary_key=True),
        sa.Column("codemelli", sa.BigInteger, nullable=False),
        sa.Column("deed_no", sa.String(20), nullable=False, comment="شماره سند"),
        sa.Column("deed_use", kinds, nullable=False),
        sa.Column("area", sa.Integer),
        sa.Column("share_percent", sa.Numeric(5, 2), nullable=False),
        sa.Column("is_pledged", sa.Boolean, nullable=False),
        sa.Column("from_day", sa.String(10), nullable=False),
        sa.Column("signed_on", sa.Date),
        sa.Column("updated_at", zoned, nullable=False),
        sa.Column("token", sa.Uuid, nullable=False),
    )
    rows = [
        {
            "row_id": number + 1,
            "codemelli": int(person(number // 2)),
            "deed_no": f"D-{number}",
            "deed_use": "home" if number % 3 else "shop",
            "area": None if number % 50 == 0 else 40 + number,
            "share_percent": Decimal("16.67") if number % 2 else Decimal("100.00"),
            "is_pledged": number % 7 == 0,
            "from_day": f"140{number // 2 % 4}/02/0{1 + number // 2 % 9}",
            "signed_on": date(2020, 1, 1) + timedelta(days=number),
            "updated_at": FIRST + timedelta(minutes=number),
            "token": UUID(int=number),
        }
        for number in range(ROWS)
    ]
    table.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), rows)
    engine.dispose()
    return rows


def onboard(url, folder, agency):
    words = ["--table", "deeds", "--into", folder, "--record-type", f"{agency}.deed", "--time-zone", "Asia/Tehran"]
    words += ["--record-key", "deed_no"]  # the token would do as well, so it is asked
    names = ["--title-en", "Deed", "--title-fa", "سند", "--agency-en", "Deeds", "--agency-fa", "اسناد"]
    done = subprocess.run(
        [*YEKBAR, "onboard", url, *map(str, words), *names, "--json"],
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=["postgresql", "sqlite", "mariadb"])
def agency_url(request, tmp_path, temporary):
    if request.param == "postgresql":
        yield request.getfixturevalue("database_url")
    elif request.param == "sqlite":
        (tmp_path / "deeds.db").touch()
        yield f"sqlite:///{tmp_path}/deeds.db"
    elif missing_programs():
        pytest.skip("NO mariadbd ON THIS MACHINE: install the package mariadb-server to try its dialect")
    else:
        with mariadb_server(temporary) as url:
            yield url


@pytest.fixture
def temporary(tmp_path_factory):
    return tmp_path_factory.mktemp("db")


def test_the_same_table_is_understood_in_every_dialect(agency_url, tmp_path):
    deeds(engine_of(agency_url))

    told = onboard(agency_url, tmp_path / "nation", "deeds-office")

    assert check_catalogue(tmp_path / "nation") == ()
    assert told["parts"] == {
        "national_id": "codemelli",
        "record_key": "deed_no",
        "change_kind": "created",
        "effective_from": "from_day",
        "effective_to": "none",
        "recorded_at": "updated_at",
        "time_zone": "Asia/Tehran",
    }
    assert [one["column"] for one in told["defects"]] == ["codemelli"]
    assert told["defects"][0]["weight"] == "noticed"
    assert told["defects"][0]["rows"] == ROWS


def test_what_is_proposed_brings_the_table_into_the_view_row_by_row(stack, schema_registry_url, database_url, tmp_path):
    rows = deeds(engine_of(database_url))
    agency, folder = f"deeds-{uuid4().hex[:8]}", tmp_path / "nation"
    told = onboard(database_url, folder, agency)
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP": stack.endpoints.kafka_bootstrap,
        "DATABASE_URL": database_url,
        "SCHEMA_REGISTRY_URL": schema_registry_url,
        "YEKBAR_DOMAIN_KEY": stack.endpoints.domain_key,
        "YEKBAR_CATALOGUE": str(folder),
        "YEKBAR_DATA": str(tmp_path / "data"),
    }
    export = tmp_path / "deeds.csv"
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor().copy("COPY deeds TO STDOUT WITH (FORMAT csv, HEADER)") as copy,
    ):
        export.write_bytes(b"".join(map(bytes, copy)))

    for words in (
        ["catalogue", "apply"],
        ["publish", f"{agency}.deed", export, "--mapping", told["mapping"]],
        ["materialize", "--until-caught-up"],
    ):
        done = subprocess.run([*YEKBAR, *map(str, words)], env=environment, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr

    made = load_catalogue(folder).record_types[f"{agency}.deed"]
    names = [field["name"] for field in made.body["fields"]]
    with psycopg.connect(database_url) as connection:
        listed = ", ".join(f'"{name}"' for name in ("record_key", *names))
        facts = connection.execute(f'SELECT {listed} FROM "{agency}.deed".facts').fetchall()
    seen = pl.DataFrame([dict(zip(("record_key", *names), fact, strict=True)) for fact in facts]).sort("deed_no")
    expected = pl.DataFrame(
        [
            {
                "record_key": row["deed_no"],
                **{name: row[told_of["column"]] for told_of in told["fields"] for name in [told_of["field"]]},
            }
            for row in rows
        ],
        schema_overrides={"token": pl.Object},
    ).sort("deed_no")
    assert seen["record_key"].to_list() == expected["record_key"].to_list()
    for name in names:
        assert list(map(plain, seen[name])) == list(map(plain, expected[name])), name


def plain(value):
    return float(value) if isinstance(value, Decimal) else str(value) if isinstance(value, UUID) else value
