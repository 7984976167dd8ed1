"""What a running stack says of itself: a lock that its supervisor holds while it lives, and its settings beside it."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from bus.client_file import CLIENT_FILE
from deploy.local.errors import AlreadyRunningError

DATA_VARIABLE = "YEKBAR_DATA"
DATA_DEFAULT = ".yekbar"
# What the settings of a running stack fill in; who names all of it himself works with no local stack.
PLACES = ("KAFKA_BOOTSTRAP", "DATABASE_URL", "SCHEMA_REGISTRY_URL", "YEKBAR_DOMAIN_KEY")

_STATE = "running.json"
_LOCK = "running.lock"
_LOCK_WAIT_S = 0.5  # a reader holds the lock for an instant
_POLL_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPart:
    """One part of a stack: a child process with its log, or a service that was given (pid None)."""

    name: str
    place: str
    pid: int | None = None
    log: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The state of a stack; it holds secrets. `is_ready` once every part answers and the catalogue is in force.

    `pid` is the supervisor's process, `birth` tells it from a later one with the same number.
    """

    pid: int
    birth: str
    folder: str
    parts: tuple[RunningPart, ...]
    environment: Mapping[str, str]
    is_ready: bool


def data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where a stack keeps its data: YEKBAR_DATA, else .yekbar in the working folder."""
    return Path(environment.get(DATA_VARIABLE) or DATA_DEFAULT).absolute()


def running_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The settings of the running local stack; empty when none runs, or when the environment names every place."""
    if all(environment.get(name) for name in PLACES):
        return {}
    running = find_running(data_folder(environment))
    if running is None or not running.is_ready:
        return {}
    is_other = environment.get("KAFKA_BOOTSTRAP") not in (None, "", running.environment.get("KAFKA_BOOTSTRAP"))
    # What opens our broker is not shown to another one.
    return {name: value for name, value in running.environment.items() if not (is_other and name == CLIENT_FILE)}


def find_running(folder: Path) -> Running | None:
    """The stack that runs over a data folder now, or starts; None when its supervisor does not live."""
    lock = folder / _LOCK
    if not lock.exists() or not _is_held(lock):
        return None
    return read_state(folder)


def read_state(folder: Path) -> Running | None:
    """What was written last, whether or not it still runs. A file of another user is not believed."""
    place = folder / _STATE
    try:
        if place.stat().st_uid != os.geteuid():
            return None
        said = json.loads(place.read_text(encoding="utf-8"))
        return Running(parts=tuple(RunningPart(**part) for part in said.pop("parts")), **said)
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # the last three: another version wrote it
        return None


def write_state(running: Running) -> None:
    """Writes the state, whole or not at all, for the owner's eyes only."""
    place = Path(running.folder) / _STATE
    partial = place.with_name(f"{_STATE}.{os.getpid()}.part")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(asdict(running), ensure_ascii=False, indent=2), encoding="utf-8")
    partial.replace(place)


def forget_state(folder: Path) -> None:
    """Removes the state of a stack that has stopped."""
    (folder / _STATE).unlink(missing_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The data folder as ours alone until the block ends, or this process. Raises AlreadyRunningError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("ab") as lock:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while not _locks(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise AlreadyRunningError(f"a stack already runs over '{folder}'", remedy="see 'yekbar status'")
            time.sleep(_POLL_S)
        yield


def _is_held(lock: Path) -> bool:
    with lock.open("rb") as opened:
        return not _locks(opened, fcntl.LOCK_SH)


def _locks(opened: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(opened, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
