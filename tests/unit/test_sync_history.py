from hypothesis import given
from hypothesis import strategies as st

from bus.envelope import ChangeKind
from producers.sync.history import ENTRIES_MAX, Entry, Identity, Teller, packed, unpacked

HERE, ELSEWHERE = Identity(b"a" * 16, ""), Identity(b"b" * 16, "")
TIMES = st.integers(min_value=0, max_value=6)


class Row:
    """One row, all that was told of it, and what it said last."""

    def __init__(self):
        self.log = []
        self.history = ()
        self.identity = HERE

    def change(self, tell):
        def next_id(place):
            return (len(self.log) + place).to_bytes(16, "big")

        told = tell(Teller(self.history, self.identity, next_id))
        self.log += told.tellings
        self.history = unpacked(packed(told.history))

    def timeline(self, identity=HERE):
        """The plain fold: from when on which event holds; those that say that nothing holds are None."""
        events = [one for one in self.log if one.identity == identity]
        void = set()
        for one in reversed(events):
            if one.previous_event_id is not None and one.event_id not in void:
                void.add(one.previous_event_id)
        holding = {}
        for one in events:
            if one.event_id not in void and one.change_kind is not ChangeKind.ANNULLED:
                holding[one.effective_from] = one.event_id if one.tells_row else None
        return dict(sorted(holding.items()))


@given(st.lists(st.one_of(TIMES, st.none()), max_size=12))
def test_the_last_fact_of_a_state_is_what_the_row_says_whatever_it_said_before(changes):
    row = Row()
    told = None
    for number, since in enumerate(changes):
        if since is not None:
            row.change(lambda teller, since=since: teller.state(HERE, since))
            told = (since, row.log[-1].event_id)
        elif told is not None:
            now = 10 + number
            row.change(lambda teller, now=now: teller.ceased(now))
            told = (now, None)

    timeline = row.timeline()

    assert (list(timeline.items())[-1] if timeline else None) == told


@given(st.lists(st.one_of(st.tuples(TIMES, st.sampled_from([HERE, ELSEWHERE])), st.none()), max_size=12))
def test_a_fact_is_one_and_all_that_was_told_of_it_before_is_taken_back(changes):
    row = Row()
    told = {}
    for change in changes:
        if change is not None:
            since, identity = change
            row.change(lambda teller, since=since, identity=identity: teller.fact(identity, since))
            row.identity = identity
            told = {identity: {since: row.log[-1].event_id}}
        else:
            row.change(lambda teller: teller.annulled())
            told = {}

    for identity in (HERE, ELSEWHERE):
        assert row.timeline(identity) == told.get(identity, {})


def test_a_later_date_is_a_new_fact_and_the_same_one_a_correction():
    row = Row()

    for since in (1, 1, 2):
        row.change(lambda teller, since=since: teller.state(HERE, since))

    assert [one.change_kind for one in row.log] == [ChangeKind.CREATED, ChangeKind.CORRECTED, ChangeKind.CREATED]


def test_a_history_keeps_its_newest_facts():
    row = Row()

    for since in range(ENTRIES_MAX + 10):
        row.change(lambda teller, since=since: teller.state(HERE, since))

    assert len(row.history) == ENTRIES_MAX
    assert row.history[-1] == Entry(row.log[-1].event_id, ENTRIES_MAX + 9, False)
