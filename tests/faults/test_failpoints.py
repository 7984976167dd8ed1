import random

import pytest
from ordeal import Ordeal

from bus.failpoints import EXIT_CODE

STEPS = [
    "materializer.consumed",
    "materializer.checked",
    "materializer.encoded",
    "materializer.advanced",
    "materializer.applied",
    "materializer.committing",
    "materializer.committed",
    "materializer.announcing",
    "quarantine.announced",
    "materializer.hinting",
]
OCCURRENCES = [1, 2, 10]


@pytest.fixture
def ordeal(stack, database_url):
    undergone = Ordeal(stack.endpoints.kafka_bootstrap, database_url, random.Random(1404))
    yield undergone
    undergone.close()


def test_a_worker_that_dies_at_any_step_leaves_positions_that_its_rows_match_and_the_next_one_catches_up(ordeal):
    for place, step in enumerate(STEPS):
        occurrence = OCCURRENCES[place % len(OCCURRENCES)]  # `make torture` runs every occurrence of every step
        ordeal.load(300)

        worker = ordeal.start(f"{step}={occurrence}")

        assert worker.wait(60) == EXIT_CODE, (step, worker.log.read_text())
        assert ordeal.judge().is_clean, step
    ordeal.bus.catch_up()
    assert ordeal.judge().is_clean
    assert ordeal.bus.actual_rows() == ordeal.bus.expected_rows()
