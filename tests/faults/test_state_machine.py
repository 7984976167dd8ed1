import random
from datetime import timedelta
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from ordeal import Ordeal
from raw_bus import DEADLINE_S, START

from bus.envelope import ChangeKind
from bus.failpoints import EXIT_CODE

EXAMPLES = 4
STEPS = 10
SUBJECT_NUMBERS = st.integers(1, 3)
DAYS = st.integers(0, 5)
SOURCES = st.sampled_from(["agency/one", "agency/two"])


def test_after_any_history_the_timeline_is_the_fold_of_the_log(stack, database_url):
    class History(RuleBasedStateMachine):
        def __init__(self):
            super().__init__()
            self.ordeal = Ordeal(stack.endpoints.kafka_bootstrap, database_url, random.Random(0))
            self.bus = self.ordeal.bus
            self.sent = []
            self.waiting = 0

        def send(self, event):
            self.bus.send(event)
            self.sent.append(event)
            self.waiting += 1

        @rule(number=SUBJECT_NUMBERS, day=DAYS, source=SOURCES, ceases=st.booleans())
        def publish(self, number, day, source, ceases):
            changes = {"change_kind": ChangeKind.CEASED, "body": None} if ceases else {}
            subject = UUID(int=number)
            self.send(self.bus.event(subject, source=source, effective_from=START + timedelta(days=day), **changes))

        @precondition(lambda self: self.sent)
        @rule(data=st.data(), day=DAYS, source=SOURCES, annuls=st.booleans())
        def correct_or_annul(self, data, day, source, annuls):
            """What it names may be a correction or an annulment itself, or void already."""
            named = data.draw(st.sampled_from(self.sent))
            kind = (
                {"change_kind": ChangeKind.ANNULLED, "body": None} if annuls else {"change_kind": ChangeKind.CORRECTED}
            )
            start = START + timedelta(days=day)
            changes = {"source": source, "effective_from": start, "previous_event_id": named.event_id, **kind}
            self.send(self.bus.event(named.subject, **changes))

        @precondition(lambda self: self.sent)
        @rule(data=st.data())
        def repeat(self, data):
            self.send(data.draw(st.sampled_from(self.sent)))

        @precondition(lambda self: self.waiting)
        @rule(step=st.sampled_from(["materializer.applied", "materializer.committed"]))
        def die(self, step):
            assert self.bus.producer.flush(DEADLINE_S) == 0
            worker = self.ordeal.start(f"{step}=1")
            assert worker.wait(DEADLINE_S) == EXIT_CODE, worker.log.read_text()
            if step == "materializer.committed":
                self.waiting = 0  # perhaps all of it: the next death needs an event that was not applied

        @rule()
        def catch_up(self):
            self.bus.catch_up()
            self.waiting = 0
            self.compare()

        @rule()
        def rebuild(self):
            with psycopg.connect(database_url) as connection:
                connection.execute(f'TRUNCATE "{self.bus.record_type.id}".facts')
                connection.execute("TRUNCATE yekbar.positions, yekbar.sources, yekbar.quarantine")
            self.catch_up()

        def compare(self):
            with psycopg.connect(database_url) as connection:
                found = connection.execute(
                    "SELECT subject, effective_from, effective_to, ceased, event_id"
                    f' FROM "{self.bus.record_type.id}".timeline'
                ).fetchall()
            assert self.ordeal.judge().is_clean
            assert set(found) == self.bus.periods

        def teardown(self):
            self.catch_up()
            self.ordeal.close()
            with psycopg.connect(database_url) as connection:
                connection.execute("TRUNCATE yekbar.positions, yekbar.sources, yekbar.quarantine")

    run_state_machine_as_test(
        History,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
