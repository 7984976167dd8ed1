from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from bus.envelope import ChangeKind
from bus.reasons import Reason
from consumers.fold import Fact, fold, holding, timeline, voided_by

START = datetime(2026, 1, 1, tzinfo=UTC)
CREATED, CEASED, CORRECTED, ANNULLED = ChangeKind


def day(number):
    return START + timedelta(days=number)


def fact(number, kind=CREATED, *, starts=0, ends=None, undoes=None, says=None):
    return Fact(
        event_id=UUID(int=number),
        change_kind=kind,
        effective_from=day(starts),
        effective_to=None if ends is None else day(ends),
        previous_event_id=None if undoes is None else UUID(int=undoes),
        body={"value": number if says is None else says},
        known_at=START + timedelta(seconds=number),
        position=number,
    )


def values(log, **known):
    periods = timeline(fold(log).facts, **known)
    facts = [holding(periods, day(number)) for number in range(6)]
    return [held and held.body["value"] for held in facts]


def test_each_fact_holds_until_the_next_one_starts():
    assert values([fact(1, starts=0), fact(2, starts=3)]) == [1, 1, 1, 2, 2, 2]


def test_a_late_fact_takes_its_place_among_those_known_earlier():
    assert values([fact(1, starts=3), fact(2, starts=1)]) == [None, 2, 2, 1, 1, 1]


def test_a_fact_ends_at_its_own_end():
    assert values([fact(1, starts=1, ends=3)]) == [None, 1, 1, None, None, None]


def test_nothing_holds_after_a_record_ceased():
    assert values([fact(1), fact(2, CEASED, starts=2)]) == [1, 1, None, None, None, None]


def test_a_correction_replaces_what_it_names():
    assert values([fact(1, starts=0), fact(2, CORRECTED, starts=2, undoes=1)]) == [None, None, 2, 2, 2, 2]


def test_an_id_names_one_event_of_a_person_whatever_the_record():
    elsewhere = replace(fact(1), record_key="other")
    beside = replace(fact(2, CORRECTED, undoes=1), record_key="other")

    folded = fold([fact(1), elsewhere, beside])

    assert folded.facts == (fact(1),)
    assert folded.refused == ((elsewhere, Reason.EVENT_ID_REUSED), (beside, Reason.UNKNOWN_PREVIOUS_EVENT))


def test_an_annulled_death_leaves_the_person_alive():
    assert values([fact(1), fact(2, CEASED, starts=2), fact(3, ANNULLED, undoes=2)]) == [1] * 6


def test_an_annulled_correction_gives_back_what_it_had_replaced():
    assert values([fact(1), fact(2, CORRECTED, undoes=1), fact(3, ANNULLED, undoes=2)]) == [1] * 6


def test_an_annulled_annulment_restores_the_event():
    assert values([fact(1), fact(2, ANNULLED, undoes=1), fact(3, ANNULLED, undoes=2)]) == [1] * 6


def test_of_facts_with_one_start_the_latest_in_the_log_wins():
    assert values([fact(1), fact(2)]) == [2] * 6


def test_an_empty_fact_hides_nothing_after_it():
    assert values([fact(1, starts=0), fact(2, starts=2, ends=3)]) == [1, 1, 2, None, None, None]


def test_what_was_known_earlier_is_told_without_what_came_later():
    log = [fact(1), fact(2, CORRECTED, undoes=1)]

    assert values(log, known_at=log[0].known_at) == [1] * 6


def test_a_resent_event_is_counted_and_has_no_effect():
    folded = fold([fact(1), fact(1)])

    assert (len(folded.facts), folded.duplicates, folded.refused) == (1, 1, ())


def test_a_reused_event_id_is_refused():
    again = fact(1, says=9)

    folded = fold([fact(1), again])

    assert folded.refused == ((again, Reason.EVENT_ID_REUSED),)


def test_an_unknown_previous_event_is_refused():
    dangling = fact(2, CORRECTED, undoes=7)

    folded = fold([fact(1), dangling])

    assert folded.refused == ((dangling, Reason.UNKNOWN_PREVIOUS_EVENT),)


@st.composite
def logs(draw):
    log = []
    for number in range(1, draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(ChangeKind)) if number > 1 else CREATED
        undoes = draw(st.integers(1, number - 1)) if kind in (CORRECTED, ANNULLED) else None
        starts = draw(st.integers(0, 4))
        ends = draw(st.none() | st.integers(starts + 1, 5))
        log.append(fact(number, kind, starts=starts, ends=ends, undoes=undoes))
    return log


@given(logs())
def test_periods_never_overlap_and_stand_in_order(log):
    periods = timeline(fold(log).facts)

    for period, following in pairwise(periods):
        assert period.effective_to is not None
        assert period.effective_from < period.effective_to <= following.effective_from


@given(logs(), st.data())
def test_events_sent_again_change_no_timeline(log, data):
    repeats = data.draw(st.lists(st.sampled_from(log))) if log else []

    assert timeline(fold(log + repeats).facts) == timeline(fold(log).facts)


@given(logs())
def test_annulling_the_last_event_gives_back_the_timeline_before_it(log):
    if not log:
        return
    annulment = fact(99, ANNULLED, undoes=log[-1].event_id.int)

    assert timeline(fold([*log, annulment]).facts) == timeline(fold(log[:-1]).facts)


@given(logs())
def test_an_event_is_void_exactly_when_a_later_one_that_stands_names_it(log):
    undone = voided_by(log)

    for number, event in enumerate(log):
        named = [later for later in log[number + 1 :] if later.previous_event_id == event.event_id]
        assert (event.event_id in undone) == any(later.event_id not in undone for later in named)
