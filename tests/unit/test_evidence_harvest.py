import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.evidence.harvest import REGISTERS, Sketch, Walk


def subjects(count, seed=1):
    draw = random.Random(seed)
    return [UUID(int=draw.getrandbits(128)).bytes for _ in range(count)]


@pytest.mark.parametrize("count", [0, 1, 10, 500, 5_000, 100_000])
def test_a_sketch_counts_persons_within_a_few_percent(count):
    sketch = Sketch()

    for subject in subjects(count):
        sketch.add(subject)
        sketch.add(subject)

    assert abs(sketch.count() - count) <= max(0.08 * count, 1)


@given(st.sets(st.integers(0, 2**64 - 1), max_size=200), st.sets(st.integers(0, 2**64 - 1), max_size=200))
def test_sketches_of_two_instances_merge_to_the_sketch_of_all(one, other):
    merged, whole, second = Sketch(), Sketch(), Sketch()

    for number in one:
        merged.add(number.to_bytes(8))
    for number in other:
        second.add(number.to_bytes(8))
    merged.merge(bytes(second))

    for number in one | other:
        whole.add(number.to_bytes(8))
    assert bytes(merged) == bytes(whole)
    assert len(bytes(merged)) == REGISTERS


def stopped_after(numbers):
    """How many persons are asked about before a walk is seen; None when it never is."""
    walk = Walk()
    for count, number in enumerate(numbers, 1):
        if walk.is_walk(number):
            return count
    return None


def hidden(block, others_for_each):
    draw = random.Random(5)
    for number in block:
        yield number
        yield from (draw.randrange(10**9) for _ in range(others_for_each))


BLOCK = list(range(400_000_000, 400_001_000))


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(BLOCK, id="forwards"),
        pytest.param(BLOCK[::-1], id="backwards"),
        pytest.param(random.Random(1).sample(BLOCK, 1_000), id="shuffled"),
        pytest.param(BLOCK[::4], id="one instance of four"),
        pytest.param(list(hidden(BLOCK, 3)), id="one among three others"),
    ],
)
def test_a_walk_through_the_numbers_is_seen_within_a_thousand_persons(numbers):
    assert stopped_after(numbers) <= 1_000


@pytest.mark.parametrize("population", [5_000, 100_000, 80_000_000])
def test_persons_as_they_come_are_no_walk(population):
    draw = random.Random(population)

    assert stopped_after(400_000_000 + draw.randrange(population) for _ in range(20_000)) is None


def test_asking_about_a_few_persons_again_and_again_is_no_walk():
    assert stopped_after(400_000_000 + number % 50 for number in range(10_000)) is None


def test_families_with_neighbouring_numbers_are_no_walk():
    draw = random.Random(3)
    families = (draw.randrange(10**9) for _ in range(2_000))

    assert stopped_after(first + member for first in families for member in range(5)) is None
