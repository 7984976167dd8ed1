"""The broker's class archive: loaded classes in a form that a Java machine maps at start, made once for each machine.

The archive is made beside the first broker, out of what that broker has loaded (the diagnostic command VM.cds), so the
first start waits for nothing. Java itself refuses an archive that does not fit, and then starts without.
"""

import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from deploy.local.process import ChildProcess, birth_of

UNUSED_DAYS_MAX = 30  # an archive has 65 MB; that of an older Java or Kafka is not kept for ever
_MAKE = '"$1" -m jdk.jcmd/sun.tools.jcmd.JCmd "$2" VM.cds static_dump "$3" && mv "$3" "$4"'


class ClassArchive:
    """The archive for one Java, one list of options and one list of jars, in a folder of the cache."""

    def __init__(self, folder: Path, java: Path, options: Iterable[str], jars: Iterable[Path]) -> None:
        self._java = java
        stamps = [f"{place} {place.stat().st_size} {place.stat().st_mtime_ns}" for place in (java.resolve(), *jars)]
        key = hashlib.sha256("\n".join([*stamps, *options]).encode()).hexdigest()[:16]
        self._place = folder / f"kafka-{key}.jsa"
        self._making: ChildProcess | None = None
        self._partial = self._place.with_name(f"{self._place.name}.{os.getpid()}.part")

    @property
    def exists(self) -> bool:
        """Whether it was made."""
        return self._place.exists()

    def java_options(self) -> list[str]:
        """What tells Java to use the archive; nothing while there is none."""
        if not self.exists:
            return []
        os.utime(self._place)
        return ["-Xshare:auto", f"-XX:SharedArchiveFile={self._place}"]

    def make_from(self, broker: ChildProcess) -> None:
        """Starts the making, from the classes of a broker that runs; nothing waits for it, and it may fail."""
        self._tidy()
        self._making = ChildProcess(
            "the class archive",
            ["sh", "-c", _MAKE, "sh", self._java, str(broker.pid), self._partial, self._place],
            log=broker.log.with_name("class-archive.log"),
        )

    def stop_making(self) -> None:
        """Gives up what is not complete, before its broker stops."""
        if self._making is not None:
            self._making.kill()
            self._remove_partial()

    def remove(self) -> None:
        """Removes an archive that no Java can use."""
        self._place.unlink(missing_ok=True)

    def _remove_partial(self) -> None:
        for place in self._partial.parent.glob(f"{self._partial.name}*"):  # with the list of classes beside it
            place.unlink(missing_ok=True)

    def _tidy(self) -> None:
        oldest = time.time() - UNUSED_DAYS_MAX * 24 * 3600
        for place in self._place.parent.glob("kafka-*.jsa"):
            if place.stat().st_mtime < oldest:
                place.unlink(missing_ok=True)
        for partial in self._place.parent.glob("kafka-*.jsa.*.part*"):
            if birth_of(int(partial.name.split(".")[2])) is None:
                partial.unlink(missing_ok=True)
