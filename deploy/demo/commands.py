"""The command `yekbar` as people type it: a child process with the demonstration's settings and nobody else's."""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

YEKBAR = (sys.executable, "-m", "deploy.cli.main")
TIMEOUT_S = 300
_OTHERS = ("YEKBAR_", "KAFKA_", "DATABASE_URL", "SCHEMA_REGISTRY_URL")


class CommandFailedError(Exception):
    """A command ended as it should not; the message is its own."""

    exit_code = 1


class Commands:
    """Runs commands against one stack; what they write to stderr is kept in a log."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        others = (name for name in os.environ if name.startswith(_OTHERS))
        self.environment: Mapping[str, str] = {**dict.fromkeys(others, ""), **environment}
        self._log = log

    def run(self, *words: str, also_fine: Collection[int] = ()) -> Any:
        """The facts that a command prints as JSON. Raises CommandFailedError when its exit code is not fine."""
        with self._log.open("ab") as log:
            began = log.tell()
            done = subprocess.run(
                [*YEKBAR, *words, "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                timeout=TIMEOUT_S,
                env={**os.environ, **self.environment},
                check=False,
            )
        if done.returncode not in {0, *also_fine} or not done.stdout:
            said = self._log.read_bytes()[began:].decode(errors="replace").strip()
            raise CommandFailedError(f"'yekbar {words[0]}' ended with code {done.returncode}: {said}")
        return json.loads(done.stdout)
