"""Named steps at which a test lets a process die or freeze, to show that nothing is lost or doubled when it does.

Off unless the environment variable YEKBAR_FAILPOINTS names steps: `step=2` dies when the step is reached for the second
time, `step=2:stop` freezes there, as a machine that hangs would; several are parted by commas.
"""

import os
import signal
from collections.abc import Mapping
from enum import StrEnum
from functools import cache

from bus.errors import SettingError
from bus.settings import Mode

VARIABLE = "YEKBAR_FAILPOINTS"
EXIT_CODE = 137  # what a shell says of a process that was killed with SIGKILL


class Action(StrEnum):
    """What happens to a process at a step."""

    DIE = "die"
    STOP = "stop"


class Armed:
    """A step that is waited for, and how often it is still passed by."""

    def __init__(self, occurrence: int, action: Action) -> None:
        self.left = occurrence
        self.action = action


def failpoint(step: str) -> None:
    """Marks a step; returns at once unless it is armed. Raises SettingError when the variable is wrong."""
    if armed := _armed():
        _reach(armed.get(step))


def read_failpoints(environment: Mapping[str, str]) -> dict[str, Armed]:
    """The steps that the environment arms. Raises SettingError in production mode, and for what cannot be read."""
    written = environment.get(VARIABLE, "")
    if not written:
        return {}
    if environment.get("YEKBAR_MODE", Mode.PRODUCTION) != Mode.DEVELOPMENT:
        raise SettingError(f"{VARIABLE} is refused in production", remedy="unset it; it kills processes, for tests")
    return dict(_read_one(one) for one in written.split(","))


def _read_one(written: str) -> tuple[str, Armed]:
    step, _, rest = written.partition("=")
    occurrence, _, action = rest.partition(":")
    try:
        armed = Armed(int(occurrence), Action(action or Action.DIE))
    except ValueError:
        armed = None
    if armed is None or not step or armed.left < 1:
        raise SettingError(f"'{written}' in {VARIABLE} cannot be read", remedy="write 'step=2' or 'step=2:stop'")
    return step, armed


@cache
def _armed() -> dict[str, Armed]:
    return read_failpoints(os.environ)


def _reach(armed: Armed | None) -> None:
    if armed is None:
        return
    armed.left -= 1
    if armed.left:
        return
    if armed.action is Action.STOP:
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        os._exit(EXIT_CODE)
