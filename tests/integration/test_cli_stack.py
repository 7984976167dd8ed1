import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from bus.kafka import admin, kafka_connection
from deploy.local.process import birth_of
from deploy.local.registry import answers
from deploy.local.running import find_running

pytestmark = pytest.mark.local_stack

YEKBAR = [sys.executable, "-m", "deploy.cli.main"]
TIMEOUT_S = 90


class Terminal:
    """A person's terminal: commands over one data folder, and a mark by which every process of theirs is found."""

    def __init__(self, folder):
        self.folder = folder
        self.mark = f"TERMINAL={uuid4().hex}"
        ours = ("KAFKA_BOOTSTRAP", "DATABASE_URL", "SCHEMA_REGISTRY_URL", "YEKBAR_DOMAIN_KEY", "YEKBAR_CATALOGUE")
        name, _, value = self.mark.partition("=")
        self.environment = {key: value for key, value in os.environ.items() if key not in ours}
        self.environment |= {name: value, "YEKBAR_DATA": str(folder)}
        self._started = []

    def run(self, *words, **settings):
        return subprocess.run(
            [*YEKBAR, *words],
            env={**self.environment, **settings},
            capture_output=True,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            check=False,
        )

    def start(self, *words):
        started = subprocess.Popen(
            [*YEKBAR, *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )
        self._started.append(started)
        return started

    def close(self):
        self.run("down")
        for one in self._started:
            one.communicate(timeout=TIMEOUT_S)

    def ready(self):
        return until(lambda: (found := find_running(self.folder)) and found.is_ready and found)

    def processes(self):
        """The ids of all processes that were started from here and live."""
        found = []
        for place in Path("/proc").glob("[0-9]*/environ"):
            try:
                if self.mark.encode() in place.read_bytes().split(b"\0") and birth_of(int(place.parent.name)):
                    found.append(int(place.parent.name))
            except OSError:
                continue
        return found


def until(is_so):
    deadline = time.monotonic() + TIMEOUT_S
    while not (answer := is_so()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)
    return answer


def pid_of(running, name):
    return next(part.pid for part in running.parts if part.name == name)


@pytest.fixture
def terminal(data_folder):
    opened = Terminal(data_folder)
    yield opened
    opened.close()
    assert opened.processes() == []


def test_a_detached_stack_serves_every_shell_until_it_is_put_down(terminal):
    first = terminal.run("up", "--detach", "--json")
    assert first.returncode == 0, first.stderr

    second = terminal.run("up")
    shell = (
        'eval "$("$@" env)"; printf "%s\\n" "$DATABASE_URL" "$KAFKA_BOOTSTRAP" "$SCHEMA_REGISTRY_URL" "$YEKBAR_DATA"'
    )
    exported = subprocess.check_output(["sh", "-c", shell, "sh", *YEKBAR], env=terminal.environment, encoding="utf-8")
    database_url, bootstrap, registry_url, folder = exported.splitlines()

    assert second.returncode == 0, second.stderr
    assert {part["name"] for part in json.loads(first.stdout)["parts"]} == {"Kafka", "PostgreSQL", "schema registry"}
    assert "already runs" in second.stderr
    assert folder == str(terminal.folder)
    if shutil.which("kcat"):
        listing = 'eval "$("$@" env)"; kcat -b "$KAFKA_BOOTSTRAP" -L'
        listed = subprocess.run(["sh", "-c", listing, "sh", *YEKBAR], env=terminal.environment, capture_output=True)
        assert b"records.post.registered-address" in listed.stdout, listed.stderr
    topics = admin(kafka_connection(bootstrap))
    assert any(name.startswith("records.") for name in topics.list_topics(timeout=10).topics)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM yekbar.positions").fetchone() == (0,)
    assert answers(registry_url)
    status = json.loads(terminal.run("status", "--json").stdout)
    assert {one["lag_events"] for one in status["views"]} == {0}
    assert status["document_free"]["procedures"] == 0
    secret = json.loads(terminal.run("env", "--json").stdout)["YEKBAR_DOMAIN_KEY"]
    assert secret not in first.stdout + second.stdout + second.stderr

    assert terminal.run("down").returncode == 0
    assert terminal.processes() == []
    gone, idle = terminal.run("env"), terminal.run("down")
    assert (gone.returncode, idle.returncode) == (1, 0)
    assert "yekbar up" in gone.stderr
    assert "Nothing runs" in idle.stderr


def test_ctrl_c_stops_everything_and_the_next_start_keeps_the_ports_that_are_free(terminal):
    running = terminal.start("up")
    before = terminal.ready()
    os.killpg(running.pid, signal.SIGINT)
    told = running.communicate(timeout=TIMEOUT_S)

    assert running.returncode == 0, told
    assert terminal.processes() == []

    taken = int(before.environment["SCHEMA_REGISTRY_URL"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", taken)):
        # A shell that still has the settings of before names parts of ours, not parts that were given.
        again = terminal.run("up", "--detach", KAFKA_BOOTSTRAP=before.environment["KAFKA_BOOTSTRAP"])
        after = find_running(terminal.folder)

    assert again.returncode == 0, again.stderr
    kept = ("KAFKA_BOOTSTRAP", "DATABASE_URL", "YEKBAR_DOMAIN_KEY")
    assert {name: after.environment[name] for name in kept} == {name: before.environment[name] for name in kept}
    assert after.environment["SCHEMA_REGISTRY_URL"] != before.environment["SCHEMA_REGISTRY_URL"]

    os.kill(after.pid, signal.SIGKILL)  # nobody is left to stop the parts
    until(lambda: find_running(terminal.folder) is None)
    left = terminal.run("down")

    assert "broker, postgres, registry" in left.stderr
    assert terminal.processes() == []


def test_a_part_that_dies_ends_the_stack_with_the_last_lines_of_its_log(terminal):
    running = terminal.start("up")
    os.kill(pid_of(terminal.ready(), "Kafka"), signal.SIGKILL)

    _, told = running.communicate(timeout=TIMEOUT_S)

    assert running.returncode == 1
    assert "the Kafka broker was killed by SIGKILL" in told
    assert (terminal.folder / "kafka" / "broker.log").read_text().splitlines()[-1] in told
    assert terminal.processes() == []


def test_ctrl_c_while_it_starts_leaves_no_process(terminal):
    running = terminal.start("up")
    until(lambda: (terminal.folder / "kafka" / "broker.pid").exists())
    os.killpg(running.pid, signal.SIGINT)

    _, told = running.communicate(timeout=TIMEOUT_S)

    assert running.returncode == 128 + signal.SIGINT
    assert "no process is left" in told
    assert terminal.processes() == []


def test_parts_that_are_given_are_used_and_not_stopped(terminal, stack, database_url):
    given = {"KAFKA_BOOTSTRAP": stack.endpoints.kafka_bootstrap, "DATABASE_URL": database_url}

    started = terminal.run("up", "--detach", "--json", **given)
    settings = find_running(terminal.folder).environment
    terminal.run("down")

    assert started.returncode == 0, started.stderr
    assert [part["name"] for part in json.loads(started.stdout)["parts"] if part["pid"]] == ["schema registry"]
    assert {name: settings[name] for name in given} == given
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT to_regclass('yekbar.positions') IS NOT NULL").fetchone() == (True,)


def test_a_given_part_that_does_not_answer_is_named_and_its_password_is_not(terminal):
    url = "postgresql://someone:hidden-password@127.0.0.1:1/views"

    told = terminal.run("up", "--detach", DATABASE_URL=url)

    assert told.returncode == 1
    assert "DATABASE_URL" in told.stderr
    assert "hidden-password" not in told.stderr
