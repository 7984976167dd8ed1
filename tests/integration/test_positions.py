from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from consumers.materializer.positions import FencedError, advance, create_positions, take_over

PARTITION = {"view": "some-agency.holding", "topic": "records.some-agency.holding", "partition": 3}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url, autocommit=True) as opened:
        create_positions(opened)
        yield opened


def test_a_view_without_a_position_starts_at_the_start_of_the_log(connection):
    owned = take_over(connection, **PARTITION)

    assert (owned.generation, owned.next_position) == (1, 0)


def test_a_new_owner_goes_on_where_the_last_one_committed(connection):
    advance(connection, take_over(connection, **PARTITION), next_position=40, known_at=NOW)

    owned = take_over(connection, **PARTITION)

    assert (owned.generation, owned.next_position) == (2, 40)


def test_an_owner_that_was_taken_over_changes_nothing(connection):
    before = take_over(connection, **PARTITION)
    take_over(connection, **PARTITION)

    with pytest.raises(FencedError, match="partition 3"):
        advance(connection, before, next_position=10, known_at=NOW)

    assert take_over(connection, **PARTITION).next_position == 0


def test_a_batch_that_was_committed_cannot_be_committed_again(connection):
    owned = take_over(connection, **PARTITION)
    advance(connection, owned, next_position=10, known_at=NOW)

    with pytest.raises(FencedError):
        advance(connection, owned, next_position=10, known_at=NOW)


def test_a_transaction_that_is_rolled_back_leaves_the_position_where_it_was(connection):
    owned = take_over(connection, **PARTITION)

    with connection.transaction(force_rollback=True):
        advance(connection, owned, next_position=10, known_at=NOW)

    assert take_over(connection, **PARTITION).next_position == 0


def test_a_takeover_waits_for_the_batch_that_is_being_committed(connection, database_url):
    owned = take_over(connection, **PARTITION)
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(database_url, autocommit=True) as other,
        psycopg.connect(database_url, autocommit=True) as watcher,
    ):
        with connection.transaction():
            advance(connection, owned, next_position=10, known_at=NOW)
            taking = pool.submit(take_over, other, **PARTITION)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
            while watcher.execute(waiting, (other.info.backend_pid,)).fetchone() != (1,):
                assert not taking.done()

        taken = taking.result(30)

    assert (taken.generation, taken.next_position) == (2, 10)


def test_making_the_table_at_the_same_time_does_no_harm(database_url):
    def make(_):
        with psycopg.connect(database_url, autocommit=True) as opened:
            create_positions(opened)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(make, range(6))) == [None] * 6
