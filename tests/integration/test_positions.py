from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from consumers.errors import FencedError, LogAccidentError
from consumers.materializer.positions import Move, advance, create_positions, take_over

PARTITION = {"view": "some-agency.holding", "topic": "records.some-agency.holding", "topic_id": "first", "partition": 3}
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def connection(database_url):
    with psycopg.connect(database_url, autocommit=True) as opened:
        create_positions(opened)
        yield opened


def move(connection, owned, *, to):
    return advance(connection, [Move(owned=owned, next_position=to, known_at=NOW)])


def test_a_view_without_a_position_starts_at_the_start_of_the_log(connection):
    owned = take_over(connection, **PARTITION)

    assert (owned.generation, owned.next_position) == (1, 0)


def test_a_new_owner_goes_on_where_the_last_one_committed(connection):
    move(connection, take_over(connection, **PARTITION), to=40)

    owned = take_over(connection, **PARTITION)

    assert (owned.generation, owned.next_position) == (2, 40)


def test_an_owner_that_was_taken_over_changes_nothing(connection):
    before = take_over(connection, **PARTITION)
    take_over(connection, **PARTITION)

    with pytest.raises(FencedError, match="partitions 3 of"):
        move(connection, before, to=10)

    assert take_over(connection, **PARTITION).next_position == 0


def test_a_batch_that_was_committed_cannot_be_committed_again(connection):
    owned = take_over(connection, **PARTITION)
    move(connection, owned, to=10)

    with pytest.raises(FencedError):
        move(connection, owned, to=10)


def test_a_transaction_that_is_rolled_back_leaves_the_position_where_it_was(connection):
    owned = take_over(connection, **PARTITION)

    with connection.transaction(force_rollback=True):
        move(connection, owned, to=10)

    assert take_over(connection, **PARTITION).next_position == 0


def test_a_takeover_waits_for_the_batch_that_is_being_committed(connection, database_url):
    owned = take_over(connection, **PARTITION)
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(database_url, autocommit=True) as other,
        psycopg.connect(database_url, autocommit=True) as watcher,
    ):
        with connection.transaction():
            move(connection, owned, to=10)
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


def test_a_topic_that_was_made_anew_stops_its_view(connection):
    take_over(connection, **PARTITION)

    with pytest.raises(LogAccidentError, match="made anew"):
        take_over(connection, **PARTITION | {"topic_id": "second"})


def test_of_several_partitions_none_moves_when_one_was_taken_over(connection):
    ours = [take_over(connection, **PARTITION | {"partition": number}) for number in range(3)]
    take_over(connection, **PARTITION | {"partition": 1})

    with pytest.raises(FencedError), connection.transaction():
        advance(connection, [Move(owned=one, next_position=5, known_at=NOW) for one in ours])

    assert take_over(connection, **PARTITION | {"partition": 0}).next_position == 0
