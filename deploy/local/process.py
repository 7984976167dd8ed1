"""Child processes of the stack: started in their own session, stopped for sure, and quoted when they die."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event

from deploy.local.errors import PartDiedError, StackError, StartCancelledError

LOG_LINES_QUOTED = 12
LOG_LINES_READ = 400  # a Java trace and what it shuts down afterwards
_TELLING = re.compile(r"\b(ERROR|FATAL|Caused by)\b")
POLL_S = 0.05
GROUP_POLL_S = 0.002
GROUP_WAIT_S = 1  # where nobody reaps orphans, a group is never empty
STOP_TIMEOUT_S = 20
KILLED_WAIT_S = 5  # a killed process ends at once, unless its disk hangs

_PROC = Path("/proc")
_PID_SUFFIX = ".pid"


def free_ports(count: int) -> list[int]:
    """As many ports of the loopback that nothing listens on now, no two the same."""
    with ExitStack() as opened:
        probes = [opened.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def free_port() -> int:
    """A port of the loopback that nothing listens on now."""
    return free_ports(1)[0]


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of the loopback now; connections that are closing do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def birth_of(pid: int) -> str | None:
    """When a process started, in words of this machine, so that another one with the same id is told apart.

    None when no such process lives. The words are compared, never read.
    """
    if not (_PROC / "self").exists():
        said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return said.stdout.strip() or None
    try:
        state, *fields = (_PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return None if state == "Z" else f"{boot} {fields[18]}"  # field 22 of proc_pid_stat(5): start time


def end_process(pid: int, birth: str, *, with_signal: signal.Signals, timeout_s: float) -> None:
    """Ends a process that is no child of ours, if it is still the one that was born then: asked first, then killed."""
    for asked, wait_s in ((with_signal, timeout_s), (signal.SIGKILL, KILLED_WAIT_S)):
        deadline = time.monotonic() + wait_s
        if birth_of(pid) == birth:
            with suppress(ProcessLookupError):
                os.kill(pid, asked)
        while birth_of(pid) == birth and time.monotonic() < deadline:
            time.sleep(POLL_S)


def end_leftovers(folder: Path) -> list[str]:
    """Ends parts whose keeper was killed before it could stop them, and says which; `folder` must be held."""
    ended = []
    for place in sorted(folder.glob(f"*/*{_PID_SUFFIX}")):
        pid, number, birth = place.read_text().split(maxsplit=2)
        if birth_of(int(pid)) == birth:
            end_process(int(pid), birth, with_signal=signal.Signals(int(number)), timeout_s=STOP_TIMEOUT_S)
            ended.append(place.name.removesuffix(_PID_SUFFIX))
        place.unlink()
    return ended


def last_lines(log: Path) -> str:
    """What the end of a log says, for an error message: its errors, or else its last lines."""
    if not log.exists():
        return "(no log)"
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_READ:]
    telling = [line for line in lines if _TELLING.search(line)]
    return "\n".join((telling or lines)[-LOG_LINES_QUOTED:])


class ChildProcess:
    """A long-running part: its output goes to a log, and it ends with `stop` at the latest.

    While it lives, a file beside the log says which process it is, for a keeper that finds it left over.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        user: int | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path = Path("/"),
        ends_with: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = name
        self.log = log
        self._ends_with = ends_with
        self._is_tidy = False
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone: we stop the parts in order
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                cwd=folder,
                env={**os.environ, **environment} if environment else None,
            )
        self.pid = self._process.pid
        self._pid_file = log.with_suffix(_PID_SUFFIX)
        self._pid_file.write_text(f"{self.pid} {int(ends_with)} {birth_of(self.pid)}")

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def check_alive(self, while_doing: str = "") -> None:
        """Returns when the process lives. Raises PartDiedError with the last lines of its log."""
        code = self._process.poll()
        if code is None:
            return
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        raise PartDiedError(
            f"{self.name} {how}{while_doing}:\n{last_lines(self.log)}",
            was_killed=code < 0,
            remedy=f"the whole log is '{self.log}'",
        )

    def wait_until(self, is_ready: Callable[[], bool], *, timeout_s: float, cancelled: Event | None = None) -> None:
        """Returns when the part answers. Raises StackError with its last log lines when it dies or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            self.check_alive(" while starting")
            if cancelled is not None and cancelled.is_set():
                raise StartCancelledError(f"the start of {self.name} was cancelled")
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} does not answer after {timeout_s:.0f} s:\n{last_lines(self.log)}")
            time.sleep(POLL_S)
        self.check_alive(" while starting")  # what answered may be another server on the same port

    def stop(self, *, with_signal: signal.Signals | None = None, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Ends the process: asked first, killed after the timeout, and whatever it has started with it."""
        if self.is_running:
            self._process.send_signal(with_signal or self._ends_with)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._tidy()

    def kill(self) -> None:
        """Ends the process at once, as a crash would."""
        self._process.kill()
        self._process.wait()
        self._tidy()

    def _tidy(self) -> None:
        if self._is_tidy:
            return  # later the group's number may be another's
        deadline = time.monotonic() + GROUP_WAIT_S
        with suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < deadline:  # until the group is empty
                os.killpg(self.pid, signal.SIGKILL)
                time.sleep(GROUP_POLL_S)
        self._pid_file.unlink(missing_ok=True)
        self._is_tidy = True
