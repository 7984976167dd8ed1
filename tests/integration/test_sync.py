import random
import resource
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from mariadb_server import mariadb_server, missing_programs
from synced_table import FIELDS, SyncedTable, person

from producers.errors import JournalError, MappingError, MustDecideError, SourceAwayError, WrongJournalError
from producers.sync import table as table_module
from producers.sync.outcome import Accepted, RoundKind

FULL, CHANGES = RoundKind.FULL, RoundKind.CHANGES
TABLE = """
CREATE TABLE addresses (
  id INTEGER PRIMARY KEY, person VARCHAR(20), code BIGINT, town VARCHAR(40), since DATE, changed TIMESTAMP NULL
)
"""
START = datetime(2026, 11, 1, 10, 0, 0)  # noqa: DTZ001  # as a table without zones has it


@pytest.fixture(scope="module")
def mariadb_url(tmp_path_factory):
    if missing := missing_programs():
        pytest.skip(f"THERE IS NO {' AND NO '.join(missing)}, so nothing is tested on MariaDB: install mariadb-server")
    with mariadb_server(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path):
    (tmp_path / "agency.db").touch()
    return f"sqlite:///{tmp_path}/agency.db"


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def agency_url(request):
    return request.getfixturevalue(
        {"sqlite": "sqlite_url", "postgresql": "database_url"}.get(request.param, "mariadb_url")
    )


@pytest.fixture
def make_table(stack, tmp_path):
    """Makes synced tables over a database, each with a folder for its state."""
    made = []

    def make(url, *, ddl=TABLE, **said):
        table = SyncedTable(stack.endpoints, url, folder=tmp_path / f"state-{len(made)}", **said)
        table.execute("DROP TABLE IF EXISTS addresses")
        if ddl:
            table.execute(ddl)
        made.append(table)
        return table

    return make


def insert(table, numbers, *, town="ری", since=date(2024, 1, 1), changed=START):
    rows = [
        {
            "id": number,
            "person": person(number),
            "code": 1_000_000_000 + number,
            "town": town,
            "since": since,
            "at": changed,
        }
        for number in numbers
    ]
    if table.engine.dialect.name == "sqlite":
        rows = [{**row, "since": str(row["since"]), "at": str(row["at"])} for row in rows]
    table.execute("INSERT INTO addresses VALUES (:id, :person, :code, :town, :since, :at)", rows)


def in_table(table):
    """The table as the view is to say it: by person, code, town and the day from which it holds."""
    with table.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT person, code, town, since FROM addresses")).fetchall()
    return {table.pseudonymizer.pseudonym(row[0]): (str(row[1]), row[2], str(row[3])) for row in rows}


def in_log(table):
    return {
        subject: (row["postal_code"], row["city"], row["effective_from"].date().isoformat())
        for (subject, _), row in table.holds().items()
    }


def test_a_table_becomes_events_and_later_rounds_tell_what_changed(make_table, agency_url):
    table = make_table(agency_url, changed_by="changed")
    insert(table, range(300))

    first = table.round()
    table.execute("UPDATE addresses SET town = 'قم', changed = '2026-11-01 11:00:00' WHERE id < 5")
    insert(table, [300], changed=START + timedelta(hours=1))
    second = table.round()
    third = table.round()

    assert (first.kind, first.told, first.refused) == (FULL, {"created": 300}, 0)
    assert (second.kind, second.told) == (CHANGES, {"corrected": 5, "created": 1})
    assert (third.kind, third.told, third.events) == (CHANGES, {}, 0)
    assert in_log(table) == in_table(table)
    assert table.events()["sequence"].to_list() == list(range(1, 307))


def test_a_whole_comparison_finds_what_was_deleted_missed_and_dated_back(make_table, agency_url):
    table = make_table(agency_url, changed_by="changed")
    insert(table, range(50))
    table.round()
    table.execute("DELETE FROM addresses WHERE id = 3")
    table.execute("UPDATE addresses SET town = 'قم', changed = '2026-10-01 00:00:00' WHERE id = 4")
    table.execute("UPDATE addresses SET since = '2020-01-01', changed = '2020-01-01 00:00:00' WHERE id = 5")
    table.execute("UPDATE addresses SET since = '2025-06-01', changed = NULL WHERE id = 6")

    table.round()
    found = table.round(FULL)

    assert found.told == {"corrected": 2, "created": 1, "ceased": 1}
    assert in_log(table) == in_table(table)
    assert table.round(FULL).events == 0


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_to_a_table_the_log_says_what_it_says(make_table, sqlite_url, seed):
    chance = random.Random(seed)
    table = make_table(sqlite_url)
    insert(table, range(40))

    for _ in range(4):
        for number in chance.sample(range(60), 12):
            with table.engine.connect() as connection:
                is_there = connection.execute(sa.text(f"SELECT 1 FROM addresses WHERE id = {number}")).first()
            since = f"20{chance.randrange(10, 26)}-01-01"
            if not is_there:
                insert(table, [number], since=since, town=chance.choice("ABC"))
            elif chance.random() < 0.3:
                table.execute(f"DELETE FROM addresses WHERE id = {number}")
            else:
                owner = person(number if chance.random() < 0.7 else number + 1_000)
                table.execute(
                    "UPDATE addresses SET town = :town, since = :since, person = :owner WHERE id = :id",
                    {"town": chance.choice("ABC"), "since": since, "owner": owner, "id": number},
                )
        table.round(FULL)
        assert in_log(table) == in_table(table)

    events = table.events()
    assert events["event_id"].n_unique() == events.height
    assert table.round(FULL).events == 0


def test_a_row_is_deleted_comes_back_and_says_again_what_it_said(make_table, sqlite_url):
    table = make_table(sqlite_url)
    insert(table, [1, 2])
    table.round()
    table.execute("DELETE FROM addresses WHERE id = 1")
    table.round()
    without = in_log(table)
    insert(table, [1])
    table.round()
    table.execute("UPDATE addresses SET town = 'قم' WHERE id = 2")
    table.round()
    table.execute("UPDATE addresses SET town = 'ری' WHERE id = 2")

    table.round()

    assert table.subject(1) not in without
    assert in_log(table) == in_table(table)
    assert table.kinds() == ["created", "created", "ceased", "annulled", "corrected", "corrected", "corrected"]


def test_rows_that_are_facts_are_corrected_and_annulled(make_table, sqlite_url):
    table = make_table(sqlite_url, row="fact")
    insert(table, [1])
    table.round()
    table.execute("UPDATE addresses SET since = '2025-01-01'")
    table.round()
    table.execute("DELETE FROM addresses")

    gone = table.round()

    assert gone.told == {"annulled": 2}
    assert table.kinds() == ["created", "corrected", "annulled", "annulled"]
    assert in_log(table) == {}


def test_a_query_with_a_key_is_synced_too(make_table, agency_url):
    table = make_table(agency_url, table=None, query="SELECT * FROM addresses WHERE town <> 'a:gone'", key="id")
    insert(table, range(20))
    table.round()
    table.execute("UPDATE addresses SET town = :gone WHERE id = 7", {"gone": "a:gone"})

    found = table.round()

    assert found.told == {"ceased": 1}
    assert table.subject(7) not in in_log(table)


def test_a_column_that_changes_its_type_and_says_the_same_changes_nothing_once_a_person_said_so(
    make_table, database_url
):
    table = make_table(database_url)
    insert(table, range(20))
    table.round()
    table.execute("ALTER TABLE addresses ALTER code TYPE text USING code::text, ALTER id TYPE text USING id::text")

    with pytest.raises(MustDecideError, match=r"'id' .* was of the type int in the last round and is str now"):
        table.round()
    accepted = table.round(accepted=Accepted(columns=True))

    assert accepted.events == 0
    assert accepted.same == 20
    assert table.round().events == 0


def test_a_table_that_is_suddenly_empty_ceases_nothing_before_a_person_said_so(make_table, sqlite_url):
    table = make_table(sqlite_url)
    insert(table, range(200))
    table.round()
    table.execute("DELETE FROM addresses")

    with pytest.raises(MustDecideError, match="200 of 200 rows are gone"):
        table.round()
    held = len(in_log(table))
    accepted = table.round(accepted=Accepted(gone=True))

    assert held == 200
    assert accepted.told == {"ceased": 200}


def test_rows_without_a_key_of_their_own_are_refused_and_the_others_told(make_table, sqlite_url):
    ddl = "CREATE TABLE addresses (id INTEGER, person TEXT, code TEXT, town TEXT, since TEXT, changed TEXT)"
    table = make_table(sqlite_url, ddl=ddl, row="fact", key="id")
    insert(table, [1, 2, 3])
    table.round()
    insert(table, [2, 4], town="قم")
    table.execute("UPDATE addresses SET id = NULL WHERE id = 3")

    done = table.round()

    assert sorted((one.key, one.column, one.rule) for one in table.refused) == [
        ("", "id", "key-is-null"),
        ("2", "id", "key-is-repeated"),
        ("2", "id", "key-is-repeated"),
    ]
    assert done.told == {"created": 1, "annulled": 1}
    assert table.round().events == 0


def test_two_rows_that_are_one_record_are_both_refused(make_table, sqlite_url):
    table = make_table(sqlite_url)
    insert(table, [1, 2])
    table.round()
    table.execute("INSERT INTO addresses SELECT 9, person, code, 'قم', since, changed FROM addresses WHERE id = 2")

    done = table.round()

    assert [(one.key, one.rule) for one in table.refused] == [("2", "key-is-repeated"), ("9", "key-is-repeated")]
    assert done.events == 0


def test_a_refused_row_is_told_with_its_key_and_goes_out_when_it_is_mended(make_table, agency_url):
    table = make_table(agency_url)
    insert(table, range(3))
    table.execute("UPDATE addresses SET person = '0499370898' WHERE id = 1")
    table.execute("UPDATE addresses SET since = NULL WHERE id = 2")

    done = table.round()
    refused = {(one.key, one.column, one.reason) for one in table.refused}
    table.execute(f"UPDATE addresses SET person = '{person(1)}' WHERE id = 1")
    mended = table.round()

    assert (done.told, done.refused) == ({"created": 1}, 2)
    assert refused == {("1", "person", "invalid-national-id"), ("2", "since", "invalid-field")}
    assert (mended.told, mended.refused) == ({"created": 1}, 1)


def test_digits_of_any_script_in_an_id_are_the_same_person(make_table, sqlite_url):
    table = make_table(sqlite_url)
    insert(table, [1, 2])
    table.round()
    persian = person(1).translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    table.execute("UPDATE addresses SET person = :person WHERE id = 1", {"person": persian})

    again = table.round()

    assert again.events == 0


def test_a_row_of_another_person_leaves_the_first_and_holds_for_the_second(make_table, sqlite_url):
    table = make_table(sqlite_url)
    insert(table, [1])
    table.round()
    table.execute("UPDATE addresses SET person = :person", {"person": person(2)})

    table.round()

    assert set(in_log(table)) == {table.subject(2)}
    assert in_log(table) == in_table(table)


def test_a_clock_that_goes_back_makes_the_round_read_all(make_table, sqlite_url):
    table = make_table(sqlite_url, changed_by="changed")
    insert(table, range(5))
    table.round()
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    table.marked(clock=ahead)
    table.execute("UPDATE addresses SET town = 'قم', changed = '2026-10-01 00:00:00' WHERE id = 1")

    done = table.round()

    assert (done.kind, done.told) == (FULL, {"corrected": 1})


def test_a_change_that_is_dated_far_ahead_hides_no_later_ones(make_table, sqlite_url):
    table = make_table(sqlite_url, changed_by="changed")
    insert(table, range(5))
    insert(table, [5], changed=datetime(9999, 1, 1))  # noqa: DTZ001
    table.round()
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    table.execute("UPDATE addresses SET town = 'قم', changed = :now WHERE id = 1", {"now": str(now)})

    done = table.round()

    assert (done.kind, done.told) == (CHANGES, {"corrected": 1})


def test_what_is_committed_late_within_the_overlap_is_seen(make_table, sqlite_url):
    table = make_table(sqlite_url, changed_by="changed", overlap="10m")
    insert(table, range(5))
    table.round()
    insert(table, [6], changed=START - timedelta(minutes=9))
    insert(table, [7], changed=START - timedelta(minutes=11))

    done = table.round()
    whole = table.round(FULL)

    assert done.told == {"created": 1}
    assert whole.told == {"created": 1}


def test_a_lost_state_publishes_nothing_again_that_the_log_holds(make_table, sqlite_url):
    table = make_table(sqlite_url)
    insert(table, range(30))
    table.round()
    (table.folder / "state").unlink()
    table.execute("UPDATE addresses SET town = 'قم' WHERE id = 1")

    done = table.round()

    assert (done.same, done.told) == (29, {"created": 1})
    assert in_log(table) == in_table(table)
    assert table.round().events == 0


def test_a_mapping_that_names_what_is_not_there_says_so(make_table, sqlite_url):
    with pytest.raises(MappingError, match="'town', which is not there"):
        make_table(sqlite_url, ddl=TABLE.replace("town VARCHAR(40),", "")).round()
    with pytest.raises(MappingError, match="no table 'elsewhere'"):
        make_table(sqlite_url, table="elsewhere").round()


def test_another_domain_key_is_noticed(make_table, sqlite_url):
    table = make_table(sqlite_url)
    insert(table, [1])
    table.round()
    table.pseudonymizer = type(table.pseudonymizer)(b"y" * 32, "iran")

    with pytest.raises(WrongJournalError, match="another domain key"):
        table.round()


def test_the_state_holds_no_persons_data(make_table, sqlite_url):
    table = make_table(sqlite_url, key="person")
    insert(table, range(20))
    table.round()

    kept = b"".join(part.read_bytes() for part in table.folder.iterdir())

    assert not any(person(number).encode() in kept for number in range(20))
    assert (table.folder / "state").stat().st_mode & 0o077 == 0


def test_a_connection_that_is_lost_in_mid_batch_loses_nothing_and_tells_nothing_twice(
    make_table, database_url, monkeypatch
):
    monkeypatch.setattr(table_module, "ROWS_TOGETHER", 100)
    table = make_table(database_url)
    insert(table, range(500))

    def cut(done):
        if done.rows == 200:
            table.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )

    with pytest.raises(SourceAwayError, match="the agency's database is away") as told:
        table.round(on_progress=cut)
    held = table.events().height
    again = table.round()

    assert told.value.exit_code == 75
    assert (held, again.told) == (200, {"created": 300})
    assert in_log(table) == in_table(table)


def test_a_full_disk_beside_the_state_is_told_and_the_sync_goes_on_when_there_is_room(make_table, sqlite_url):
    table = make_table(sqlite_url)
    insert(table, range(2_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(JournalError, match="make room on its disk"):
            table.round()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    table.round()

    assert in_log(table) == in_table(table)
    assert table.events()["sequence"].to_list() == list(range(1, 2_001))


def test_a_table_without_dates_holds_from_when_a_round_noticed_it(make_table, sqlite_url):
    fields = {**FIELDS, "effective_from": {"column": "noticed_at"}}
    table = make_table(sqlite_url, fields=fields)
    insert(table, [1, 2])
    table.round()
    again = table.round()
    table.execute("UPDATE addresses SET town = 'قم' WHERE id = 1")

    changed = table.round()

    assert (again.events, changed.told) == (0, {"created": 1})
    assert {row["city"] for row in table.holds().values()} == {"قم", "ری"}
