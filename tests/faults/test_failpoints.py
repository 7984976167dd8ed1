import random

import pytest
from faults import OCCURRENCES, STEPS, death_at_a_step
from ordeal import Ordeal


@pytest.fixture
def ordeal(stack, database_url):
    undergone = Ordeal(stack.endpoints.kafka_bootstrap, database_url, random.Random(1404))
    yield undergone
    undergone.close()


def test_a_worker_that_dies_at_any_step_leaves_positions_that_its_rows_match_and_the_next_one_catches_up(ordeal):
    for place, step in enumerate(STEPS):
        occurrence = OCCURRENCES[place % len(OCCURRENCES)]  # `make torture` runs every occurrence of every step

        death_at_a_step(ordeal, step, occurrence)

        assert ordeal.judge().is_clean, step
    ordeal.bus.catch_up()
    assert ordeal.judge().is_clean
    assert ordeal.bus.actual_rows() == ordeal.bus.expected_rows()
