"""Kafka's jars, fetched once from a Maven repository into a cache of the user, each by its pinned SHA-256."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from deploy.local.errors import StackError

MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
PARALLEL_FETCHES = 8  # a mirror's per-connection rate is the limit, not the line
FETCH_TIMEOUT_S = 60
JAR_BYTES_MAX = 64 << 20  # the largest of the lock has 23 MB; a mirror cannot fill the disk


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar: its path in a Maven repository and the SHA-256 that its bytes must have."""

    path: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name, unique within the lock."""
        return self.path.rpartition("/")[2]


def locked_jars() -> tuple[Jar, ...]:
    """The jars of the lock file."""
    lines = files("deploy.local").joinpath("jars.lock").read_text().splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return tuple(Jar(path=path, sha256=digest) for digest, path in pairs)


def cache_folder() -> Path:
    """Where fetched parts are kept: YEKBAR_CACHE, else the user's cache folder (XDG base directories)."""
    named = os.environ.get("YEKBAR_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yekbar"


def fetch_jars(jars: Iterable[Jar], folder: Path, on_jar: Callable[[Jar], None] = lambda _: None) -> list[Path]:
    """The jars in `folder`, fetched where they are missing or broken; what arrived before stays. Raises StackError."""
    base = os.environ.get("YEKBAR_MAVEN_URL", MAVEN_CENTRAL).rstrip("/")
    folder.mkdir(parents=True, exist_ok=True)

    def ensure(jar: Jar) -> Path:
        place = folder / jar.name
        if not (place.exists() and hashlib.sha256(place.read_bytes()).hexdigest() == jar.sha256):
            _fetch(jar, f"{base}/{jar.path}", place)
        on_jar(jar)
        return place

    with ThreadPoolExecutor(PARALLEL_FETCHES) as pool:
        return list(pool.map(ensure, jars))


def _fetch(jar: Jar, url: str, place: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:
            content: bytes = answer.read(JAR_BYTES_MAX)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as exc:
        raise StackError(
            f"cannot fetch {url}: {exc}", remedy="check the network, or name a mirror in YEKBAR_MAVEN_URL"
        ) from exc
    digest = hashlib.sha256(content).hexdigest()
    if digest != jar.sha256:
        raise StackError(
            f"{url} has SHA-256 {digest}, the lock says {jar.sha256}",
            remedy="the mirror serves other bytes: use another in YEKBAR_MAVEN_URL",
        )
    partial = place.with_name(f"{place.name}.{os.getpid()}.part")
    partial.write_bytes(content)
    partial.replace(place)  # whole or not at all, also when two processes fetch
