"""Ids of persons go everywhere, and are then looked for wherever they must not be: logs, metrics, segments."""

import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx2
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition

from bus.kafka import kafka_connection
from bus.national_id import iran_check_digit
from deploy.local.process import free_port
from deploy.local.whole import WholeStack

pytestmark = pytest.mark.local_stack

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
TIMEOUT_S = 120
SCRIPTS = ("0123456789", "۰۱۲۳۴۵۶۷۸۹", "٠١٢٣٤٥٦٧٨٩")


def canaries():
    """Three persons, and one whose check digit is wrong."""
    chance = random.Random()
    firsts = ["".join(chance.choice("123456789") for _ in range(9)) for _ in range(4)]
    *good, bad = [first + str(iran_check_digit(first)) for first in firsts]
    return good, bad[:-1] + str((int(bad[-1]) + 1) % 10)


def written(one, script):
    return one.translate(str.maketrans(SCRIPTS[0], script))


def forms(ids):
    """Every id as bytes in each script, also as a URL and as JSON would have it."""
    for one in ids:
        for script in SCRIPTS:
            said = written(one, script)
            yield said.encode()
            yield "".join(f"%{byte:02X}" for byte in said.encode()).encode()
            yield said.encode("unicode_escape")
            yield said.encode("utf-16-le")


def found(ids, places):
    """Which places hold an id."""
    wanted = tuple(forms(ids))
    return [name for name, content in places if any(form in content for form in wanted)]


def files(folder):
    for place in sorted(folder.rglob("*")):
        if place.is_file():
            yield str(place.relative_to(folder)), place.read_bytes()


def messages(kafka):
    """Every message of the broker, as its consumers see it: in segments they are compressed."""
    reader = Consumer({**kafka, "group.id": "canaries", "enable.partition.eof": True, "auto.offset.reset": "earliest"})
    topics = reader.list_topics(timeout=30).topics
    parts = [TopicPartition(name, number, 0) for name, topic in topics.items() for number in topic.partitions]
    reader.assign(parts)
    ended = 0
    while ended < len(parts):
        message = reader.poll(30)
        assert message is not None
        if message.error():
            ended += 1
        else:
            headers = b"".join(name.encode() + (value or b"") for name, value in message.headers() or ())
            yield message.topic(), (message.key() or b"") + (message.value() or b"") + headers
    reader.close()


class Terminal:
    """Runs commands, and keeps all that they say."""

    def __init__(self, environment, folder):
        self.environment = environment
        self._folder = folder
        self._started = 0

    def run(self, *words, stdin="", also_fine=()):
        with self._log(words) as log:
            done = subprocess.run(
                [*YEKBAR, *map(str, words)],
                env=self.environment,
                input=stdin.encode(),
                stdout=log,
                stderr=log,
                timeout=TIMEOUT_S,
                check=False,
            )
        assert done.returncode in {0, *also_fine}, (words, (self._folder / log.name).read_text())

    @contextmanager
    def running(self, *words):
        with self._log(words) as log:
            process = subprocess.Popen([*YEKBAR, *map(str, words)], env=self.environment, stdout=log, stderr=log)
            try:
                yield
            finally:
                process.terminate()
                process.wait(TIMEOUT_S)

    def _log(self, words):
        self._started += 1
        return (self._folder / f"{self._started}-{words[0]}.log").open("xb")


def until(is_so):
    deadline = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.2)


def answers(url):
    try:
        return httpx2.get(f"{url}/healthz").status_code == 200
    except httpx2.HTTPError:
        return False


def publish(terminal, folder, good, bad):
    rows = "".join(
        f"{written(one, script)},created,2026-01-01,7134567890,فارس,شیراز\n"
        for one, script in zip((*good, bad), (*SCRIPTS, SCRIPTS[0]), strict=True)
    )
    place = folder / "addresses.csv"
    place.write_text(f"national_id,change_kind,effective_from,postal_code,province,city\n{rows}", encoding="utf-8")
    terminal.run("publish", "post.registered-address", place, also_fine=(65,))


def ask(terminal, url, good, bad):
    """By the command and by hand, rightly and in every wrong way."""
    for one, script in zip(good, SCRIPTS, strict=True):
        terminal.run(
            *("evidence", "unemployment-benefit", "-", "--case-reference", "1405-17", "--json"),
            stdin=written(one, script),
            also_fine=range(1, 100),
        )
    terminal.run("evidence", "unemployment-benefit", "-", stdin=bad, also_fine=range(1, 100))
    token = subprocess.check_output([*YEKBAR, "token", "labour-relations"], env=terminal.environment, encoding="utf-8")
    headers = {"authorization": f"Bearer {token.strip()}"}
    told = []
    with httpx2.Client(base_url=url, headers=headers) as client:
        for one in (*good, bad):
            told += [
                client.get(f"/v1/evidence/{one}"),
                client.get(f"/v1/procedures/{written(one, SCRIPTS[1])}"),
                client.get("/v1/me/accesses", params={"national_id": one, "before": one}),
                client.post("/v1/evidence", json={"procedure": one, "national_id": one, one: one}),
                client.post("/v1/evidence", json={"procedure": "unemployment-benefit", "national_id": f"{one}0"}),
                client.post(
                    "/v1/evidence", content=f'{{"national_id": {one}', headers={"content-type": "application/json"}
                ),
                client.post(f"/{one}", headers={"authorization": f"Bearer {one}"}),
            ]
    assert {one.status_code for one in told} <= {400, 401, 403, 404, 405, 415, 422}
    return [("a refusal", one.content) for one in told]


def test_no_id_of_a_person_is_in_any_log_metric_or_segment(data_folder, tmp_path):
    good, bad = canaries()
    ids = (*good, bad)
    said, agency = tmp_path / "said", tmp_path / "agency"
    said.mkdir()
    agency.mkdir()
    url, watched = f"http://127.0.0.1:{free_port()}", free_port()
    with WholeStack(data_folder, {}) as whole:
        others = ("YEKBAR_", "KAFKA_", "DATABASE_URL", "SCHEMA_REGISTRY_URL")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        terminal = Terminal({**clean, **whole.environment, "YEKBAR_EVIDENCE_URL": url}, said)
        with (
            terminal.running("materialize", "--metrics-port", watched),
            terminal.running("serve", "--port", url.rpartition(":")[2]),
            psycopg.connect(whole.environment["DATABASE_URL"], autocommit=True) as views,
        ):
            publish(terminal, agency, good, bad)
            until(lambda: count(views, '"post.registered-address".facts') == len(good))
            until(lambda: answers(url))
            refusals = ask(terminal, url, good, bad)
            until(lambda: count(views, "yekbar.relays WHERE topic LIKE '%audit.access' AND sequence > 0") == 1)
            metrics = [
                (f"metrics of {at}", httpx2.get(f"{at}/metrics").content) for at in (url, f"http://127.0.0.1:{watched}")
            ]
            asked = count(views, "yekbar.accesses")
        terminal.run("audit", "diff", "post.registered-address")
        terminal.run("status")
        log = list(messages(kafka_connection(whole.environment["KAFKA_BOOTSTRAP"], whole.environment)))

    assert asked >= len(good)
    assert all(content for _, content in metrics)
    assert len(log) > len(good)
    assert found(ids, files(agency))[0] == "addresses.csv"  # so the search does find them
    assert found(ids, [*files(said), *metrics, *log, *refusals]) == []
    assert found(ids, files(data_folder)) == []


def count(views, table):
    return views.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
