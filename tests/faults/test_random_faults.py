import random
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from faults import RANDOM_FAULTS
from hostile_stack import hostile_stack
from ordeal import Ordeal

SEED = 1404
pytestmark = pytest.mark.local_stack


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Of its own, for it is killed."""
    with hostile_stack(tmp_path_factory.mktemp("hostile")) as running:
        yield running


@pytest.fixture
def ordeal(hostile):
    name = f"test_{uuid4().hex}"
    with psycopg.connect(hostile.endpoints.database_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = urlsplit(hostile.endpoints.database_url)._replace(path=f"/{name}").geturl()
    undergone = Ordeal(hostile.endpoints.kafka_bootstrap, url, random.Random(SEED), reach=hostile.reach(url))
    yield undergone
    undergone.close()


# A crash of the broker waits out sessions of its own, long on a busy machine: `make torture` has it.
IN_THE_SUITE = [fault for fault in RANDOM_FAULTS if fault.__name__ != "broker_crash"]


@pytest.mark.parametrize("fault", IN_THE_SUITE, ids=lambda fault: fault.__name__)
def test_nothing_is_lost_or_doubled_by(fault, ordeal, hostile):
    fault(ordeal, hostile)

    assert ordeal.judge().is_clean
    ordeal.bus.catch_up()
    assert ordeal.judge().is_clean
    assert ordeal.bus.actual_rows() == ordeal.bus.expected_rows()
