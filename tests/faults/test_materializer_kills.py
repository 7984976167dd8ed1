import os
import random
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from raw_bus import DEADLINE_S, RawBus

from bus.envelope import ChangeKind

KILLS = 20
EVENTS_BETWEEN_KILLS = 1_500
SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture
def bus(stack, database_url):
    return RawBus(stack.endpoints.kafka_bootstrap, database_url)


def start_worker(bus):
    name = bus.record_type.agency.removeprefix("agency-")
    group = f"test-{uuid4()}"  # of its own, so that it takes over at once: the fence is not the group, but the database
    arguments = [bus.bootstrap, bus.database_url, group, name]
    return subprocess.Popen(
        [sys.executable, str(SUPPORT / "worker_process.py"), *arguments],
        env={**os.environ, "PYTHONPATH": f"{SUPPORT}:{SUPPORT.parents[1]}"},
        stdout=subprocess.DEVNULL,
    )


def send_mixed(bus, chance, sent):
    """Created, corrected and annulled events of few persons, one in twenty sent again."""
    for _ in range(EVENTS_BETWEEN_KILLS):
        kind = chance.choices(list(ChangeKind), [80, 5, 10, 5])[0]
        subject = UUID(int=chance.randrange(1, 400))
        undone = chance.choice(sent[subject]) if sent.get(subject) else None
        if kind in (ChangeKind.CORRECTED, ChangeKind.ANNULLED) and undone is None:
            kind = ChangeKind.CREATED
        undoes = kind in (ChangeKind.CORRECTED, ChangeKind.ANNULLED)
        event = bus.event(
            subject,
            change_kind=kind,
            previous_event_id=undone if undoes else None,
            **({"body": None} if kind is ChangeKind.ANNULLED else {}),
        )
        sent.setdefault(subject, []).append(event.event_id)
        bus.send(event)
        if chance.random() < 0.05:
            bus.send(event)


def applied(bus):
    return len(bus.rows("1"))


def test_a_worker_that_is_killed_at_twenty_random_points_leaves_a_view_that_is_the_fold_of_its_log(bus):
    chance = random.Random(1404)
    sent = {}
    worker = start_worker(bus)
    for _ in range(KILLS):
        before = applied(bus)
        send_mixed(bus, chance, sent)
        bus.producer.flush(DEADLINE_S)
        deadline = time.monotonic() + DEADLINE_S
        while applied(bus) == before:  # the kill must hit a worker that works
            assert worker.poll() is None
            assert time.monotonic() < deadline, "the worker applied nothing"
        time.sleep(chance.random() * 0.1)
        worker.kill()
        worker.wait()
        worker = start_worker(bus)
    worker.kill()
    worker.wait()

    bus.catch_up()

    assert bus.actual_rows() == bus.expected_rows()
    assert bus.reasons() == {}
