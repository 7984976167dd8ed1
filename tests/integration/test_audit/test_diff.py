import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bus.envelope import ChangeKind
from bus.reasons import Reason
from consumers.audit.errors import UnreadableLogError
from consumers.audit.live import DifferenceKind
from consumers.errors import LogAccidentError

START = datetime(2026, 1, 1, tzinfo=UTC)
CREATED, CEASED, CORRECTED, ANNULLED = ChangeKind


@st.composite
def logs(draw):
    """Changes of two records of two persons: ids are few, so that they repeat, are reused and are referred to."""
    log = []
    for _ in range(draw(st.integers(1, 20))):
        if log and draw(st.integers(0, 4)) == 0:
            log.append(draw(st.sampled_from(log)))
            continue
        kind = draw(st.sampled_from(ChangeKind))
        change = {
            "number": draw(st.integers(1, 9)),
            "person": draw(st.integers(0, 1)),
            "change_kind": kind,
            "previous": draw(st.integers(1, 9)) if kind in (CORRECTED, ANNULLED) else None,
            "effective_from": START + timedelta(days=draw(st.integers(0, 3))),
            "word": draw(st.sampled_from(["یک", "دو"])),
            "share": draw(st.sampled_from([None, 0.5, float("nan"), -0.0, 0.0])),
        }
        log.append(change)
    return log


def events_of(bus, log):
    """The events of a log, told of persons and by ids that no other log has."""
    base = uuid4().int >> 64 << 64

    def event(number, person, previous, **said):
        named = None if previous is None else UUID(int=base + previous)
        return bus.event(UUID(int=base + number), subject=UUID(int=base + person), previous_event_id=named, **said)

    return [event(**change) for change in log]


def places_of(compared):
    return {(found.kind, found.partition, found.position, found.columns) for found in compared.differences}


@given(logs(), st.sets(st.integers(1, 19), max_size=4))
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.target],  # a log that failed stays in the topic: no shrinking
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_a_log_holds_and_however_it_was_cut_the_view_is_its_replay(bus, log, cuts):
    bus.send(*events_of(bus, log))
    bus.materialize(cuts)

    compared = bus.diff()

    assert compared.differences == ()
    assert compared.is_equal
    replayed = compared.replayed
    assert replayed.messages == replayed.facts + sum(replayed.passed_by.values())
    assert replayed.facts == len(bus.facts())


@pytest.fixture
def chain(bus):
    """A created event, its correction, and another person's event, in the view."""
    first = bus.event(subject=UUID(int=1))
    events = [
        first,
        bus.event(subject=UUID(int=1), change_kind=CORRECTED, previous_event_id=first.event_id, share=0.5),
        bus.event(subject=UUID(int=1), effective_from=START + timedelta(days=1)),
        bus.event(subject=UUID(int=2)),
    ]
    bus.send(*events)
    bus.materialize()
    assert bus.diff().is_equal
    return events


def tamper(bus, change, event):
    """Changes the view behind the log's back; the place of the row that was changed."""
    query = f"{change} WHERE event_id = %s RETURNING partition, position".replace(
        "FACTS", f'"{bus.record_type.id}".facts'
    )
    return bus.connection.execute(query, (event.event_id,)).fetchone()


@pytest.mark.parametrize(
    ("assignment", "column"),
    [
        ("share = 0.75", "share"),
        ("tags = ARRAY['یک']", "tags"),
        ("record_key = ''", "record_key"),
        ("effective_from = effective_from + interval '1 microsecond'", "effective_from"),
        ("effective_to = '2027-01-01'", "effective_to"),
        ("known_at = known_at - interval '1 hour'", "known_at"),
        ("recorded_at = '2020-01-01'", "recorded_at"),
        ("position = position + 0, change_kind = 1", "change_kind"),
        ("under_investigation = ARRAY['word']", "under_investigation"),
        ("voided_by = event_id", "voided_by"),
        ("previous_event_id = event_id", "previous_event_id"),
    ],
)
def test_a_column_that_was_changed_is_named_with_the_event(bus, chain, assignment, column):
    partition, position = tamper(bus, f"UPDATE FACTS SET {assignment}", chain[2])

    compared = bus.diff()

    assert places_of(compared) == {(DifferenceKind.COLUMNS, partition, position, (column,))}
    assert compared.differences[0].event_id == chain[2].event_id


def test_a_correction_that_was_taken_back_in_the_view_is_named(bus, chain):
    partition, position = tamper(bus, "UPDATE FACTS SET voided_by = NULL", chain[0])

    assert places_of(bus.diff()) == {(DifferenceKind.COLUMNS, partition, position, ("voided_by",))}


def test_a_row_that_was_moved_is_named_where_the_log_has_it(bus, chain):
    partition, position = tamper(bus, "UPDATE FACTS SET position = position + 1000, partition = 9", chain[3])

    assert (partition, position) == (9, 1000 + bus.diff().differences[0].position)
    assert bus.diff().differences[0].columns == ("partition", "position")


def test_a_row_that_was_deleted_is_named(bus, chain):
    partition, position = tamper(bus, "DELETE FROM FACTS", chain[3])

    compared = bus.diff()

    assert places_of(compared) == {(DifferenceKind.MISSING, partition, position, ())}
    assert compared.differences[0].event_id == chain[3].event_id


def test_a_row_that_was_inserted_is_named(bus, chain):
    facts = f'"{bus.record_type.id}".facts'
    bus.connection.execute(
        f"CREATE TEMPORARY TABLE forged AS SELECT * FROM {facts} WHERE event_id = %s", (chain[3].event_id,)
    )
    bus.connection.execute("UPDATE forged SET event_id = gen_random_uuid()")
    bus.connection.execute(f"INSERT INTO {facts} SELECT * FROM forged")

    compared = bus.diff()

    assert [found.kind for found in compared.differences] == [DifferenceKind.EXTRA]


def test_a_row_that_was_doubled_is_named_though_its_key_was_dropped(bus, chain):
    facts = f'"{bus.record_type.id}".facts'
    bus.connection.execute(f"ALTER TABLE {facts} DROP CONSTRAINT facts_pkey")
    bus.connection.execute(f"INSERT INTO {facts} SELECT * FROM {facts} WHERE event_id = %s", (chain[3].event_id,))

    assert [found.kind for found in bus.diff().differences] == [DifferenceKind.NO_KEY]


@pytest.mark.usefixtures("chain")
def test_a_timeline_that_was_defined_otherwise_is_named(bus):
    place = f'"{bus.record_type.id}"'
    text = bus.connection.execute(f"SELECT pg_get_viewdef('{place}.timeline')").fetchone()[0]
    bus.connection.execute(f"CREATE OR REPLACE VIEW {place}.timeline AS {text.replace('<> 3', '<> 2')}")

    assert [found.kind for found in bus.diff().differences] == [DifferenceKind.TIMELINE]


@pytest.mark.usefixtures("chain")
def test_every_difference_is_counted_though_few_are_listed(bus):
    bus.connection.execute(f'DELETE FROM "{bus.record_type.id}".facts')

    compared = bus.diff(limit=2)

    assert (compared.count, len(compared.differences)) == (4, 2)


@pytest.mark.usefixtures("chain")
def test_messages_that_are_no_events_are_equal_when_quarantine_holds_them(bus):
    bus.send_bytes((b"key", b"no frame"), (b"key", None), (b"other", bus.value(bus.event())))
    bus.send(bus.event(change_kind=ANNULLED, previous_event_id=uuid4()))
    bus.materialize()

    compared = bus.diff()

    assert compared.is_equal
    assert compared.replayed.passed_by == {
        Reason.KEY_MISMATCH: 1,
        Reason.NULL_VALUE: 1,
        Reason.UNKNOWN_MAGIC_BYTE: 1,
        Reason.UNKNOWN_PREVIOUS_EVENT: 1,
    }


def test_an_event_that_vanished_from_quarantine_is_named(bus):
    bus.send_bytes((b"key", b"no frame"))
    bus.materialize()
    place = bus.connection.execute("DELETE FROM yekbar.quarantine RETURNING partition, position").fetchone()

    (found,) = bus.diff().differences

    assert (found.kind, found.partition, found.position) == (DifferenceKind.NOT_QUARANTINED, *place)
    assert found.reason == Reason.UNKNOWN_MAGIC_BYTE


def test_an_event_that_was_hidden_in_quarantine_is_named_twice(bus, chain):
    place = tamper(bus, "DELETE FROM FACTS", chain[3])
    bus.quarantine(place, Reason.MALFORMED_PAYLOAD)

    kinds = {(found.kind, found.partition, found.position) for found in bus.diff().differences}

    assert kinds == {(DifferenceKind.MISSING, *place), (DifferenceKind.QUARANTINED, *place)}


def test_what_a_later_contract_would_take_is_set_aside_on_the_word_of_quarantine(bus, chain):
    place = tamper(bus, "DELETE FROM FACTS", chain[3])
    bus.quarantine(place, Reason.UNKNOWN_SCHEMA)

    compared = bus.diff()

    assert compared.is_equal
    assert compared.set_aside == 1


def test_a_view_that_lags_is_compared_at_its_own_position(bus, chain):
    bus.send(bus.event(), bus.event())

    compared = bus.diff()

    assert compared.is_equal
    assert compared.replayed.messages == len(chain)


@pytest.mark.usefixtures("chain")
def test_a_diff_touches_neither_the_view_nor_its_position_and_leaves_nothing_behind(bus):
    before = bus.facts(), bus.positions()

    bus.diff()

    assert (bus.facts(), bus.positions()) == before
    left = bus.connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replay%'").fetchall()
    assert left == []


@pytest.mark.usefixtures("chain")
def test_a_view_of_a_topic_that_was_made_anew_is_not_compared(bus):
    bus.connection.execute("UPDATE yekbar.positions SET topic_id = 'first'")

    with pytest.raises(LogAccidentError, match="made anew"):
        bus.diff()


@pytest.mark.usefixtures("chain")
def test_a_log_that_was_cut_below_the_position_is_not_compared(bus):
    bus.connection.execute("UPDATE yekbar.positions SET next_position = next_position + 1000")

    with pytest.raises(UnreadableLogError, match="ends at"):
        bus.diff()


def test_a_view_that_moves_on_while_it_is_compared_is_compared_at_one_moment(bus, database_url):
    first = [bus.event() for _ in range(80)]
    bus.send(*first)
    bus.materialize()
    done = threading.Event()

    def go_on():
        with psycopg.connect(database_url, autocommit=True) as connection, bus.beside(connection) as other:
            for event in first:
                other.send(other.event(change_kind=CORRECTED, previous_event_id=event.event_id, share=0.25))
                other.materialize()
            done.set()

    compared = []
    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(go_on)
        while not done.is_set() and not going.done():
            compared.append(bus.diff())
        going.result(60)

    assert [one.differences for one in compared] == [()] * len(compared)
    assert len({one.replayed.messages for one in compared}) > 1, "the view moved between the comparisons"
    assert bus.diff().replayed.messages == 160
