"""A program that works in a fork of itself, as often as it is told: a kill at any moment costs no import."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

SUPPORT = Path(__file__).parent


class Forks:
    """The program `name` beside this file; `said` is what it is told of its work."""

    def __init__(self, name, endpoints, **said):
        names = ("kafka_bootstrap", "kafka_client_file", "domain_key")
        said["endpoints"] = {one: getattr(endpoints, one) for one in names}
        self.process = subprocess.Popen(
            [sys.executable, str(SUPPORT / name), json.dumps(said)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )

    def run(self, *, killed_after_s=None):
        """How one piece of work ended, and its seconds."""
        began = time.monotonic()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        fork = int(self.process.stdout.readline())
        if killed_after_s is not None:
            time.sleep(killed_after_s)
            with suppress(ProcessLookupError):
                os.kill(fork, signal.SIGKILL)
        return int(self.process.stdout.readline()), time.monotonic() - began

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
