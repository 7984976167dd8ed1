import subprocess
import sys

import pytest

from bus.errors import SettingError
from bus.failpoints import EXIT_CODE, read_failpoints

DEVELOPMENT = {"YEKBAR_MODE": "development"}
PASSES = (
    "from bus.failpoints import failpoint\nfor number in range(4):\n    failpoint('a.step'); print(number, flush=True)"
)


def passing(environment):
    return subprocess.run([sys.executable, "-c", PASSES], env=environment, capture_output=True, text=True, check=False)


def test_a_process_dies_at_the_occurrence_of_the_step_that_is_armed():
    ended = passing(DEVELOPMENT | {"YEKBAR_FAILPOINTS": "other.step=1,a.step=3"})

    assert (ended.returncode, ended.stdout.split()) == (EXIT_CODE, ["0", "1"])


def test_nothing_happens_where_nothing_is_armed():
    assert passing({}).stdout.split() == ["0", "1", "2", "3"]


def test_production_refuses_failpoints():
    with pytest.raises(SettingError, match="refused in production"):
        read_failpoints({"YEKBAR_FAILPOINTS": "a.step=1"})


@pytest.mark.parametrize("written", ["a.step", "a.step=0", "a.step=x", "=1", "a.step=1:burn"])
def test_what_cannot_be_read_is_an_error(written):
    with pytest.raises(SettingError, match="cannot be read"):
        read_failpoints(DEVELOPMENT | {"YEKBAR_FAILPOINTS": written})
