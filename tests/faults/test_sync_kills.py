import random
import signal
from datetime import date
from pathlib import Path

from forks import Forks
from synced_table import SyncedTable, person

KILLS = 20
ROWS = 600
SUPPORT = Path(__file__).parents[1] / "support"
TABLE = "CREATE TABLE addresses (id INTEGER PRIMARY KEY, person TEXT, code TEXT, town TEXT, since TEXT)"


def test_a_sync_that_is_killed_anywhere_loses_nothing_and_tells_nothing_twice(stack, tmp_path):
    chance = random.Random(1405)
    (tmp_path / "agency.db").touch()
    url = f"sqlite:///{tmp_path}/agency.db"
    table = SyncedTable(stack.endpoints, url, folder=tmp_path / "state")
    table.execute(TABLE)
    table.execute(
        "INSERT INTO addresses VALUES (:id, :person, :code, 'A', :since)",
        [{"id": n, "person": person(n), "code": str(1_000_000_000 + n), "since": "2024-01-01"} for n in range(ROWS)],
    )
    forks = Forks(
        "sync_process.py",
        stack.endpoints,
        url=url,
        folder=str(table.folder),
        agency=table.record_type.agency,
        rows_together=100,
    )
    try:
        forks.run(killed_after_s=0.0)
        longest_s = forks.run()[1]
        killed = 0
        while killed < KILLS:
            change(table, chance)
            killed += forks.run(killed_after_s=chance.uniform(0, longest_s))[0] == -signal.SIGKILL
        done = forks.run()[0]
    finally:
        forks.close()

    events = table.events()
    assert done == 0
    assert events["sequence"].to_list() == list(range(1, events.height + 1))
    assert events["event_id"].n_unique() == events.height
    assert in_log(table) == in_table(table)
    assert table.round().events == 0


def change(table, chance):
    """Some rows say something else, some are gone, some are new; dates go both ways."""
    some = chance.sample(range(ROWS), ROWS // 4)
    table.execute(
        "UPDATE addresses SET town = :town, since = :since WHERE id = :id",
        [{"id": n, "town": chance.choice("ABC"), "since": str(date(chance.randrange(2015, 2026), 1, 1))} for n in some],
    )
    gone = [{"id": n} for n in some[:3]]
    table.execute("DELETE FROM addresses WHERE id = :id", gone)
    back = [n for n in range(ROWS) if chance.random() < 0.01]
    table.execute(
        "INSERT OR IGNORE INTO addresses VALUES (:id, :person, :code, 'D', '2020-01-01')",
        [{"id": n, "person": person(n), "code": str(1_000_000_000 + n)} for n in back],
    )


def in_table(table):
    with table.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT person, code, town, since FROM addresses").fetchall()
    return {table.pseudonymizer.pseudonym(row[0]): tuple(row[1:]) for row in rows}


def in_log(table):
    return {
        subject: (row["postal_code"], row["city"], row["effective_from"].date().isoformat())
        for (subject, _), row in table.holds().items()
    }
