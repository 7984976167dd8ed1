from datetime import UTC, datetime, timedelta

import pytest

from consumers.evidence.freshness import GAP_WINDOW_S, Clock, ClockReader, Heard, SourceState, Staleness
from registry.contracts import RecordType

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def view(name, *, freshness_s=300, heartbeat_s=60):
    return RecordType(
        id=name,
        agency="a",
        title={},
        body={},
        record_key_field=None,
        fields=(),
        rules=(),
        freshness=timedelta(seconds=freshness_s),
        heartbeat=timedelta(seconds=heartbeat_s),
    )


ONE, TWO = view("a.one"), view("a.two")


def ago(seconds):
    return NOW - timedelta(seconds=seconds)


def test_evidence_over_several_views_is_as_fresh_as_the_oldest():
    fresh = Clock(caught_up={"a.one": ago(1), "a.two": ago(7)}, now=NOW).freshness([ONE, TWO])

    assert (fresh.as_of, fresh.lag_s) == (ago(7), 7.0)


def test_evidence_over_a_view_that_was_never_caught_up_has_no_age():
    fresh = Clock(caught_up={"a.one": ago(1)}, now=NOW).freshness([ONE, TWO])

    assert (fresh.as_of, fresh.lag_s) == (None, None)


def test_what_was_known_at_an_instant_does_not_age():
    fresh = Clock(caught_up={"a.one": ago(1)}, now=NOW).freshness([ONE], known_at=ago(1000))

    assert (fresh.as_of, fresh.lag_s) == (ago(1000), 0.0)


def test_a_clock_that_is_ahead_of_ours_is_no_negative_age():
    assert Clock(caught_up={"a.one": ago(-5)}, now=NOW).freshness([ONE]).lag_s == 0.0


@pytest.mark.parametrize(
    ("heard", "state"),
    [
        (Heard(missing=0, at=ago(100)), SourceState.LIVE),
        (Heard(missing=0, at=ago(200)), SourceState.SILENT),
        (Heard(missing=0, at=None), SourceState.UNKNOWN),
        (Heard(missing=2, at=ago(1)), SourceState.INCOMPLETE),
    ],
)
def test_a_source_is_heard_within_its_heartbeats_and_complete_by_its_numbers(heard, state):
    fresh = Clock(caught_up={"a.one": NOW}, heard={"a.one": heard}, now=NOW).freshness([ONE])

    assert fresh.source_state is state
    assert fresh.missing_events == heard.missing


@pytest.mark.parametrize(
    ("age_s", "age_max_s", "known_at", "expected"),
    [
        (299, None, None, None),
        (301, None, None, Staleness.OLDER_THAN_PROMISED),
        (31, 30, None, Staleness.OLDER_THAN_AGREED),
        (None, None, None, Staleness.NEVER_CAUGHT_UP),
        (10_000, 30, ago(10_001), None),
        (10, None, ago(5), Staleness.KNOWN_LATER),
    ],
)
def test_how_old_a_view_may_be(age_s, age_max_s, known_at, expected):
    clock = Clock(caught_up={} if age_s is None else {"a.one": ago(age_s)}, now=NOW)
    age_max = None if age_max_s is None else timedelta(seconds=age_max_s)

    assert clock.staleness([ONE], age_max=age_max, known_at=known_at) is expected


def missing(reader, count, at):
    seconds = str(int(at.timestamp() * 1e6)).encode()
    clock = reader.clock([(b"a.one", seconds, b"t", str(count).encode(), seconds, None, None)], at)
    return clock.freshness([ONE]).missing_events


def test_what_is_under_way_is_not_missing_and_what_stays_away_is():
    reader = ClockReader()
    on_the_way = [missing(reader, count, NOW + timedelta(seconds=at)) for at, count in enumerate([0, 3, 1, 4, 2])]
    later = NOW + timedelta(seconds=GAP_WINDOW_S)
    lost = [missing(reader, count, later + timedelta(seconds=at)) for at, count in enumerate([1, 4, 2, 5, 1, 1, 3])]

    assert on_the_way == [0, 0, 0, 0, 0]
    assert lost[-1] == 1


def test_a_view_with_a_partition_that_was_never_caught_up_is_never_caught_up():
    clock = ClockReader().clock([(b"a.one", b"1", b"f", None, None, None, None)], NOW)

    assert clock.staleness([ONE], age_max=None, known_at=None) is Staleness.NEVER_CAUGHT_UP


def test_a_source_whose_heart_stopped_makes_its_view_stale_but_not_what_was_known_before():
    heard = {"a.one": Heard(missing=0, at=ago(1), complete_until=ago(200), quietest_at=ago(200))}
    clock = Clock(caught_up={"a.one": ago(1)}, heard=heard, now=NOW)

    assert clock.staleness([ONE], age_max=None, known_at=None) is Staleness.SOURCE_SILENT
    assert clock.staleness([ONE], age_max=None, known_at=ago(300)) is None
    assert clock.freshness([ONE]).source_state is SourceState.SILENT


@pytest.mark.parametrize(
    ("one", "two", "known_at", "until"),
    [
        (ago(5), ago(9), None, ago(9)),
        (ago(5), None, None, None),
        (ago(5), ago(9), ago(60), ago(60)),
    ],
)
def test_evidence_is_complete_until_the_least_that_its_sources_vouch_for(one, two, known_at, until):
    heard = {
        name: Heard(missing=0, at=NOW, complete_until=time, quietest_at=NOW)
        for name, time in (("a.one", one), ("a.two", two))
    }
    clock = Clock(caught_up={"a.one": NOW, "a.two": NOW}, heard=heard, now=NOW)

    assert clock.freshness([ONE, TWO], known_at=known_at).complete_until == until
