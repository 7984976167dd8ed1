import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from bus.envelope import ChangeKind
from consumers.audit.errors import ScratchError, UnreadableLogError
from consumers.audit.replay import Until, replay, stretches_until

START = datetime(2026, 1, 1, tzinfo=UTC)
CORRECTED, ANNULLED = ChangeKind.CORRECTED, ChangeKind.ANNULLED


def replayed(bus, *, name="again", **until):
    stretches = stretches_until(bus.log, bus.topic, Until(**until))
    return replay(bus.log, bus.connection, bus.checker, name=name, stretches=stretches)


def timeline(bus, place=None):
    query = f'SELECT * FROM "{place or bus.record_type.id}".timeline ORDER BY subject, record_key, effective_from'
    return bus.connection.execute(query).fetchall()


@pytest.fixture
def chain(bus):
    """A created event, an annulment of it, and an annulment of the annulment; each known at another time."""
    created = bus.event()
    annulled = bus.event(change_kind=ANNULLED, previous_event_id=created.event_id)
    restored = bus.event(change_kind=ANNULLED, previous_event_id=annulled.event_id)
    events = (created, annulled, restored)
    for event in events:
        bus.send(event)
        time.sleep(0.002)  # the broker's clock has milliseconds: each event gets one of its own
    bus.materialize()
    return events


@pytest.mark.usefixtures("chain")
def test_a_replay_to_the_end_makes_the_same_facts_and_timeline_as_the_live_view(bus):
    done = replayed(bus)

    assert bus.facts(done.database_schema) == bus.facts()
    assert timeline(bus, done.database_schema) == timeline(bus) != []
    assert done.database_schema == f"replay_again:{bus.record_type.id}"


@pytest.mark.parametrize(("count", "shown"), [(0, []), (1, ["created"]), (2, []), (3, ["created"])])
def test_a_replay_to_a_position_is_the_fold_of_the_prefix(bus, chain, count, shown):
    partition = bus.facts()[0][9]
    names = {event.event_id: name for event, name in zip(chain, ("created", "annulled", "restored"), strict=True)}

    done = replayed(bus, positions={partition: count})

    assert [names[row[5]] for row in timeline(bus, done.database_schema)] == shown
    assert done.facts == done.messages == count


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_replay_to_a_time_holds_what_was_known_then(bus, chain, count):
    known = [row[8] for row in bus.facts()]
    assert len(set(known)) == len(chain), "the events were known at different times"

    done = replayed(bus, time=known[count - 1])

    assert done.facts == count
    assert replayed(bus, time=known[count - 1] - timedelta(microseconds=1)).facts == count - 1


@pytest.mark.usefixtures("chain")
def test_a_replay_touches_neither_the_view_nor_its_position(bus):
    before = bus.facts(), bus.positions()

    replayed(bus)

    assert (bus.facts(), bus.positions()) == before


def test_every_message_that_is_no_fact_is_noted_with_its_reason(bus):
    event = bus.event()
    bus.send(event, event, bus.event(change_kind=CORRECTED, previous_event_id=uuid4()))
    bus.send_bytes((event.subject.bytes, b"no frame"))

    done = replayed(bus)

    noted = bus.connection.execute(
        f'SELECT position, reason FROM "{done.database_schema}".passed_by ORDER BY position'
    ).fetchall()
    assert noted == [(1, "duplicate"), (2, "unknown-previous-event"), (3, "unknown-magic-byte")]
    assert done.passed_by == dict.fromkeys(("duplicate", "unknown-previous-event", "unknown-magic-byte"), 1)


def test_a_replay_of_the_same_name_takes_the_place_of_the_one_before(bus):
    bus.send(bus.event())
    first = replayed(bus)
    bus.send(bus.event())

    second = replayed(bus)

    assert (first.facts, second.facts) == (1, 2)
    assert len(bus.facts(second.database_schema)) == 2


def test_a_log_whose_start_is_gone_is_not_replayed_as_if_it_were_whole(bus):
    bus.send(bus.event(), bus.event())
    partition = next(number for number, stretch in bus.log.bounds(bus.topic).items() if stretch.length)
    bus.cut(partition, before=1)

    with pytest.raises(UnreadableLogError, match="begins at 1"):
        replayed(bus)


@pytest.mark.parametrize(("positions", "said"), [({0: 99}, "ends at 0, before 99"), ({7: 1}, "no partition 7")])
def test_a_position_that_the_log_does_not_have_is_refused(bus, positions, said):
    with pytest.raises(UnreadableLogError, match=said):
        replayed(bus, positions=positions)


@pytest.mark.parametrize("name", ["", "a-name-that-is-far-too-long-for-a-database-schema"])
def test_a_name_that_the_database_would_cut_is_refused(bus, name):
    with pytest.raises(ScratchError, match="cannot be kept"):
        replayed(bus, name=name)


def test_two_persons_are_folded_apart(bus):
    event_id = uuid4()
    bus.send(bus.event(event_id, subject=UUID(int=1)), bus.event(event_id, subject=UUID(int=2)))

    assert replayed(bus).facts == 2
