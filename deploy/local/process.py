"""Child processes of the stack: started in their own session, stopped for sure, and quoted when they die."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.local.errors import StackError

LOG_LINES_QUOTED = 12
LOG_LINES_READ = 400  # a Java trace and what it shuts down afterwards
_TELLING = re.compile(r"\b(ERROR|FATAL|Caused by)\b")
POLL_S = 0.05


def free_port() -> int:
    """A port of the loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def last_lines(log: Path) -> str:
    """What the end of a log says, for an error message: its errors, or else its last lines."""
    if not log.exists():
        return "(no log)"
    lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_READ:]
    telling = [line for line in lines if _TELLING.search(line)]
    return "\n".join((telling or lines)[-LOG_LINES_QUOTED:])


class ChildProcess:
    """A long-running part: its output goes to a log, and it ends with `stop` at the latest."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        user: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
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
                cwd="/",
                env={**os.environ, **environment} if environment else None,
            )

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def wait_until(self, is_ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Returns when the part answers. Raises StackError with its last log lines when it dies or takes too long."""
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if not self.is_running:
                raise StackError(
                    f"{self.name} ended with code {self._process.returncode} while starting:\n{last_lines(self.log)}",
                    remedy=f"the whole log is {self.log}",
                )
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} does not answer after {timeout_s:.0f} s:\n{last_lines(self.log)}")
            time.sleep(POLL_S)

    def stop(self, *, with_signal: signal.Signals = signal.SIGTERM, timeout_s: float = 20) -> None:
        """Ends the process: asked first, killed after the timeout."""
        if self.is_running:
            self._process.send_signal(with_signal)
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """Ends the process at once, as a crash would."""
        self._process.kill()
        self._process.wait()
