from dataclasses import replace
from uuid import UUID, uuid4

from consumers.audit.findings import FindingKind
from consumers.audit.verify import shared_sources, verify


def numbered(bus, *sequences, source="some-agency/outbox-1"):
    return [bus.event(sequence=sequence, source=source, subject=uuid4()) for sequence in sequences]


def verified(bus, limit=100):
    return verify(bus.log, bus.checker, limit=limit)


def test_a_whole_log_has_no_findings(bus):
    events = numbered(bus, 1, 2, 3)
    bus.send(*events, events[1], *numbered(bus, 1, 2, source="some-agency/outbox-2"))
    bus.send_bytes((b"key", b"no frame"))

    found = verified(bus)

    assert found.findings == ()
    assert (found.messages, found.unreadable) == (7, 1)
    seen = [(one.source, one.messages, one.distinct, one.highest, one.missing, one.repeated) for one in found.sources]
    assert seen == [("some-agency/outbox-1", 4, 3, 3, 0, 1), ("some-agency/outbox-2", 2, 2, 2, 0, 0)]


def test_missing_sequences_are_named_as_ranges(bus):
    bus.send(*numbered(bus, 3, 4, 9, 7))

    found = verified(bus)

    assert {(one.kind, one.source, one.sequences) for one in found.findings} == {
        (FindingKind.MISSING, "some-agency/outbox-1", (1, 2)),
        (FindingKind.MISSING, "some-agency/outbox-1", (5, 6)),
        (FindingKind.MISSING, "some-agency/outbox-1", (8, 8)),
    }
    assert found.sources[0].missing == 5


def test_every_finding_is_counted_though_few_are_listed(bus):
    bus.send(*numbered(bus, 2, 4, 6))

    found = verified(bus, limit=2)

    assert (found.count, len(found.findings)) == (3, 2)


def test_two_events_with_one_sequence_are_an_equivocation(bus):
    first = bus.event(sequence=1)
    second = bus.event(sequence=1)
    bus.send(first, second)

    (found,) = verified(bus).findings

    assert (found.kind, found.sequences, found.event_id) == (FindingKind.EQUIVOCATION, (1, 1), second.event_id)
    assert found.positions == (1, 1)


def test_an_event_that_comes_again_with_other_bytes_is_named(bus):
    first = bus.event(sequence=1)
    bus.send(first, replace(first, body={**first.body, "share": 0.5}))

    assert [one.kind for one in verified(bus).findings] == [FindingKind.OTHER_BYTES]


def test_one_event_id_under_two_persons_is_named(bus):
    event_id = uuid4()
    bus.send(bus.event(event_id, sequence=1), bus.event(event_id, sequence=2, subject=uuid4()))

    (found,) = verified(bus).findings

    assert (found.kind, found.event_id) == (FindingKind.TWO_PERSONS, event_id)


def test_a_person_in_two_partitions_is_named(bus):
    for sequence, partition in ((1, 0), (2, 1)):
        event = bus.event(sequence=sequence)
        bus.send_bytes((event.subject.bytes, bus.value(event)), partition=partition)

    assert [one.kind for one in verified(bus).findings] == [FindingKind.TWO_PARTITIONS]


def test_a_log_whose_start_was_deleted_is_named(bus):
    bus.send(*[replace(event, subject=UUID(int=7)) for event in numbered(bus, 1, 2, 3)])
    partition = next(number for number, stretch in bus.log.bounds(bus.topic).items() if stretch.length)
    bus.cut(partition, before=2)

    found = {one.kind: one for one in verified(bus).findings}

    assert set(found) == {FindingKind.CUT, FindingKind.MISSING}
    assert (found[FindingKind.CUT].partition, found[FindingKind.CUT].positions) == (partition, (0, 1))
    assert found[FindingKind.MISSING].sequences == (1, 2)


def test_a_source_that_writes_two_topics_is_named(bus):
    bus.send(*numbered(bus, 1))
    one = verified(bus)

    (found,) = shared_sources([one, replace(one, record_type="other.type")])

    assert (found.kind, found.source) == (FindingKind.SHARED_SOURCE, "some-agency/outbox-1")
    assert shared_sources([one]) == ()
