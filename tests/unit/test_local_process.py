import signal
import socket
import subprocess
import sys
from threading import Event

import pytest

from deploy.local.errors import PartDiedError, StackError, StartCancelledError
from deploy.local.part import start_together, stop_all
from deploy.local.ports import chosen_ports
from deploy.local.process import ChildProcess, birth_of, end_leftovers, end_process, free_ports, is_free, last_lines

FOR_EVER = [sys.executable, "-c", "import time; print('it runs', flush=True); time.sleep(600)"]
WITH_A_CHILD = [
    sys.executable,
    "-c",
    "import subprocess, time; print(subprocess.Popen(['sleep', '600']).pid, flush=True); time.sleep(600)",
]


@pytest.fixture
def log(tmp_path):
    (tmp_path / "part").mkdir()
    return tmp_path / "part" / "part.log"


def started(log, command=FOR_EVER):
    child = ChildProcess("a part", command, log=log)
    child.wait_until(lambda: log.read_text().endswith("\n"), timeout_s=30)
    return child


def test_a_stopped_process_takes_what_it_has_started_with_it(log):
    child = started(log, WITH_A_CHILD)
    grandchild = int(log.read_text())
    assert birth_of(grandchild) is not None

    child.stop()

    assert birth_of(child.pid) is None
    assert birth_of(grandchild) is None
    assert list(log.parent.glob("*.pid")) == []


def test_a_process_that_ends_while_starting_is_reported_with_its_log(log):
    child = ChildProcess("a part", [sys.executable, "-c", "print('no disk'); raise SystemExit(3)"], log=log)

    with pytest.raises(PartDiedError, match=r"(?s)a part ended with code 3 while starting.*no disk"):
        child.wait_until(lambda: False, timeout_s=30)

    child.stop()


def test_a_start_can_be_cancelled(log):
    child = started(log)
    cancelled = Event()
    cancelled.set()

    with pytest.raises(StartCancelledError):
        child.wait_until(lambda: False, timeout_s=30, cancelled=cancelled)

    child.stop()


def test_what_a_killed_keeper_left_is_ended_by_the_next(log):
    keeper = "import sys; from pathlib import Path; from deploy.local.process import ChildProcess; "
    keeper += "print(ChildProcess('a part', sys.argv[2:], log=Path(sys.argv[1])).pid); sys.stdout.flush(); "
    keeper += "import os; os.kill(os.getpid(), 9)"
    left = int(subprocess.run([sys.executable, "-c", keeper, log, *FOR_EVER], stdout=subprocess.PIPE).stdout)
    assert birth_of(left) is not None

    ended = end_leftovers(log.parents[1])

    assert ended == ["part"]
    assert birth_of(left) is None
    assert end_leftovers(log.parents[1]) == []


def test_another_process_with_the_same_number_is_left_alone(log):
    child = started(log)

    end_process(child.pid, "an earlier birth", with_signal=signal.SIGKILL, timeout_s=1)

    assert child.is_running
    child.stop()


def test_errors_in_a_log_are_quoted_before_its_last_lines(tmp_path):
    log = tmp_path / "log"
    log.write_text("fine\nERROR the disk is full\nshutting down\n")

    assert last_lines(log) == "ERROR the disk is full"
    assert last_lines(tmp_path / "none") == "(no log)"


def test_ports_are_kept_while_they_are_free_and_chosen_anew_when_they_are_taken(tmp_path):
    first = chosen_ports(tmp_path / "ports.json", ["a", "b"])

    assert chosen_ports(tmp_path / "ports.json", ["a", "b"]) == first
    with socket.create_server(("127.0.0.1", first["a"])):
        second = chosen_ports(tmp_path / "ports.json", ["a", "b"])
    assert second["b"] == first["b"]
    assert second["a"] != first["a"]
    assert chosen_ports(tmp_path / "ports.json", ["a", "b"]) == second


def test_free_ports_are_all_different_and_free():
    ports = free_ports(50)

    assert len(set(ports)) == 50
    assert all(is_free(port) for port in ports)


class FakePart:
    """A part that fails, or waits until it is told that another one has."""

    process = None
    place = ""

    def __init__(self, name, fails):
        self.name = name
        self.fails = fails
        self.is_stopped = False

    def start(self, cancelled):
        if self.fails:
            raise StackError(f"{self.name} fails")
        assert cancelled.wait(30)
        raise StartCancelledError(f"{self.name} was cancelled")

    def stop(self):
        self.is_stopped = True
        if self.fails:
            raise StackError("it fails to stop, too")


def test_when_one_part_fails_the_others_give_up_and_all_are_stopped():
    parts = [FakePart("waits", fails=False), FakePart("first", fails=True)]

    with pytest.raises(StackError, match="first fails"):
        start_together(parts)
    with pytest.raises(StackError, match="too"):
        stop_all(parts)

    assert [part.is_stopped for part in parts] == [True, True]
