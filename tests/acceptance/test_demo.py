import json
import os
import signal
import subprocess
import sys
import time

import pytest

from deploy.demo.play import MARK, fresh_folder
from deploy.local.process import ChildProcess
from deploy.local.running import find_running

DEMO = [sys.executable, "-m", "deploy.cli.main", "demo", "--persons", "300"]
TIMEOUT_S = 240


@pytest.fixture
def environment():
    return {name: value for name, value in os.environ.items() if not name.startswith(("YEKBAR_TOKEN", "DATABASE_URL"))}


def test_the_demonstration_ends_by_itself_and_everything_that_it_expects_holds(tmp_path, environment):
    folder = tmp_path / "demo"

    done = subprocess.run(
        [*DEMO, "--json", "--data", str(folder)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-8000:]
    facts = json.loads(done.stdout)
    assert [one["what"] for one in facts["expectations"] if not one["holds"]] == []
    assert len(facts["expectations"]) > 20
    assert all(one["count"] > 0 and one["per_second"] > 0 for one in facts["measures"])
    assert find_running(folder) is None
    logs = [done.stderr, *(path.read_text(errors="replace") for path in folder.glob("**/*.log"))]
    assert not any("9991204" in log for log in logs)  # the first digits of the hero's id


def test_an_interrupt_leaves_no_process(tmp_path, environment):
    folder = tmp_path / "demo"
    demo = subprocess.Popen([*DEMO, "--data", str(folder)], stdout=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + TIMEOUT_S
    assert demo.stdout is not None
    for line in demo.stdout:
        if "They publish" in line:
            break
        assert time.monotonic() < deadline

    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=TIMEOUT_S)

    assert demo.returncode == 128 + signal.SIGINT
    assert find_running(folder) is None
    assert processes_over(folder) == []


def test_what_a_killed_demonstration_left_is_ended_by_the_next(tmp_path):
    folder = tmp_path / "demo"
    fresh_folder(folder)
    (folder / "part").mkdir()
    left = ChildProcess("a part", ["sleep", "600"], log=folder / "part" / "part.log")

    fresh_folder(folder)

    assert not left.is_running
    assert [entry.name for entry in folder.iterdir()] == [MARK]


def processes_over(folder):
    """The commands of processes that name the folder."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if str(folder) in line and "ps -eo" not in line]
