"""Kafka's jars, fetched once from a Maven repository into a cache of the user, each by its pinned SHA-256."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from threading import Event

from deploy.local.errors import StackError, StartCancelledError

MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
PARALLEL_FETCHES = 8  # a mirror's per-connection rate is the limit, not the line
FETCH_TIMEOUT_S = 60
ATTEMPTS = 3
RETRY_AFTER_S = 1.0
CHUNK_BYTES = 1 << 18
CLIENT_ERRORS = range(400, 500)  # asking again changes nothing


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar: its path in a Maven repository, and the SHA-256 and number of its bytes."""

    path: str
    sha256: str
    size_bytes: int

    @property
    def name(self) -> str:
        """The file's name, unique within the lock."""
        return self.path.rpartition("/")[2]


def locked_jars() -> tuple[Jar, ...]:
    """The jars of the stack's lock file."""
    return read_lock(files("deploy.local").joinpath("jars.lock"))


def read_lock(place: Traversable) -> tuple[Jar, ...]:
    """The jars of a lock file: on each line SHA-256, bytes, and the path in a Maven repository."""
    lines = place.read_text(encoding="utf-8").splitlines()
    columns = (line.split() for line in lines if not line.startswith("#"))
    return tuple(Jar(path=path, sha256=digest, size_bytes=int(size)) for digest, size, path in columns)


def cache_folder() -> Path:
    """Where fetched parts are kept: YEKBAR_CACHE, else the user's cache folder (XDG base directories)."""
    named = os.environ.get("YEKBAR_CACHE")
    if named:
        return Path(named).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yekbar"


def jar_folder() -> Path:
    """Where Kafka's jars are kept."""
    return cache_folder() / "kafka"


def missing_jars(jars: Iterable[Jar], folder: Path) -> tuple[Jar, ...]:
    """Those that have not arrived in `folder` yet, told by their sizes alone."""
    there = {place.name: place.stat().st_size for place in folder.glob("*.jar")}
    return tuple(jar for jar in jars if there.get(jar.name) != jar.size_bytes)


def fetch_jars(
    jars: Iterable[Jar],
    folder: Path,
    on_bytes: Callable[[int], None] = lambda _: None,
    cancelled: Event | None = None,
) -> list[Path]:
    """The jars in `folder`, fetched where they are missing or broken; what arrived before stays. Raises StackError.

    `on_bytes` hears of each piece that has arrived, from several threads.
    """
    base = os.environ.get("YEKBAR_MAVEN_URL", MAVEN_CENTRAL).rstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    stop = cancelled or Event()

    def ensure(jar: Jar) -> Path:
        if not _is_there(jar, folder):
            _fetch(jar, f"{base}/{jar.path}", folder / jar.name, on_bytes, stop)
        return folder / jar.name

    with ThreadPoolExecutor(PARALLEL_FETCHES) as pool:
        try:
            return list(pool.map(ensure, jars))
        except BaseException:
            stop.set()  # the others leave what they are at: the first failure is told at once
            raise


def _is_there(jar: Jar, folder: Path) -> bool:
    place = folder / jar.name
    return place.exists() and hashlib.sha256(place.read_bytes()).hexdigest() == jar.sha256


def _fetch(jar: Jar, url: str, place: Path, on_bytes: Callable[[int], None], stop: Event) -> None:
    content = _patient_download(jar, url, on_bytes, stop)
    digest = hashlib.sha256(content).hexdigest()
    if digest != jar.sha256:
        raise StackError(
            f"{url} has SHA-256 {digest}, the lock says {jar.sha256}",
            remedy="the mirror serves other bytes: use another in YEKBAR_MAVEN_URL",
        )
    partial = place.with_name(f"{place.name}.{os.getpid()}.part")
    partial.write_bytes(content)
    partial.replace(place)  # whole or not at all, also when two processes fetch


def _patient_download(jar: Jar, url: str, on_bytes: Callable[[int], None], stop: Event) -> bytes:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _download(jar, url, on_bytes, stop)
        except (OSError, HTTPException) as exc:  # URLError and TimeoutError are OSErrors
            if attempt == ATTEMPTS or _is_final(exc):
                raise StackError(
                    f"cannot fetch {url}: {exc}",
                    remedy="check the network, or name a mirror in YEKBAR_MAVEN_URL; what has arrived is kept",
                ) from exc
            stop.wait(RETRY_AFTER_S * attempt)
    raise AssertionError("the last attempt returns or raises")


def _is_final(exc: Exception) -> bool:
    if isinstance(exc, urllib.error.HTTPError):
        return exc.code in CLIENT_ERRORS
    return isinstance(exc, urllib.error.URLError) and isinstance(exc.reason, FileNotFoundError)


def _download(jar: Jar, url: str, on_bytes: Callable[[int], None], stop: Event) -> bytes:
    """The bytes that the lock expects, and one more where the server has more: a mirror cannot fill the memory."""
    content = bytearray()
    with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:
        announced = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(min(CHUNK_BYTES, jar.size_bytes + 1 - len(content))):
            content += piece
            on_bytes(len(piece))
            if stop.is_set():
                raise StartCancelledError("the fetching of Kafka's jars was cancelled")
    if len(content) < min(announced, jar.size_bytes):
        raise ConnectionError(f"the connection ended after {len(content)} of {announced} bytes")
    return bytes(content)
