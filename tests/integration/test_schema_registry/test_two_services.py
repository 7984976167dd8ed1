"""Two services over one database decide as one."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

THREADS = 8


@pytest.fixture
def pair(service, database_url, serve):
    with serve(database_url) as second:
        yield service, second


def at_once(calls):
    """Runs calls in threads that start together."""
    barrier = threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(run, call) for call in calls]]


def test_an_equal_schema_gets_one_id_whoever_registers_it(pair, schema):
    def register(turn, n):
        return pair[n % 2].register(f"subject-{n % 3}-{turn}", schema((f"field_{turn}", "int")))

    for turn in range(10):
        ids = at_once([partial(register, turn, n) for n in range(THREADS)])

        assert len(set(ids)) == 1


def test_different_schemas_under_one_name_get_versions_without_gaps(pair, schema):
    texts = [schema((f"field_{n}", "int", n)) for n in range(THREADS)]

    ids = at_once([partial(pair[n % 2].register, "deeds", text) for n, text in enumerate(texts)])

    assert len(set(ids)) == THREADS
    assert pair[0].ask("GET", "/subjects/deeds/versions") == (200, list(range(1, THREADS + 1)))


def test_of_two_schemas_that_exclude_each_other_one_is_registered(pair, schema):
    bodies = [{"schema": schema(("number", kind))} for kind in ("int", "string")]

    answers = at_once(
        [
            lambda s=s, body=body: s.ask("POST", "/subjects/deeds/versions", body)
            for s, body in zip(pair, bodies, strict=True)
        ]
    )

    assert sorted(status for status, _ in answers) == [200, 409]


def test_what_one_writes_the_other_answers(pair, schema):
    first, second = pair

    registered = first.register("deeds", schema(("number", "int")))

    assert second.ask("GET", f"/schemas/ids/{registered}")[0] == 200
    first.ask("PUT", "/config", {"compatibility": "NONE"})
    assert second.ask("GET", "/config") == (200, {"compatibilityLevel": "NONE"})
    second.erase("deeds")
    assert second.error("GET", f"/schemas/ids/{registered}") == (404, 40403)
    assert first.error("GET", "/subjects/deeds/versions") == (404, 40401)


def test_tables_are_made_once_by_services_that_start_together(database_url, serve, schema):
    with serve(database_url) as first, serve(database_url) as second:
        ids = at_once([partial(s.register, "deeds", schema(("number", "int"))) for s in (first, second) * 2])

    assert set(ids) == {1}


def test_many_readers_are_answered_while_others_write(pair, schema):
    first, second = pair
    registered = first.register("deeds", schema(("number", "int")))

    def read():
        return {json.dumps(second.ask("GET", f"/schemas/ids/{registered}")) for _ in range(50)}

    def write(n):
        return first.register(f"subject-{n}", schema((f"field_{n}", "int")))

    answers = at_once([read, read, *[partial(write, n) for n in range(4)]])

    assert answers[0] == answers[1]
    assert len(answers[0]) == 1
    assert len(set(answers[2:])) == 4
