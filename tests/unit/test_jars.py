import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from deploy.local.errors import StackError
from deploy.local.jars import Jar, fetch_jars, locked_jars, missing_jars


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("YEKBAR_MAVEN_URL", folder.as_uri())
    return folder


def jar_of(content, name="a.jar"):
    return Jar(path=name, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def test_the_lock_names_each_jar_once_with_a_whole_checksum():
    jars = locked_jars()

    assert len({jar.name for jar in jars}) == len(jars)
    assert {len(jar.sha256) for jar in jars} == {64}
    assert any(jar.name == "kafka_2.13-4.3.1.jar" for jar in jars)
    assert 40_000_000 < sum(jar.size_bytes for jar in jars) < 50_000_000


def test_a_fetched_jar_is_not_fetched_again(mirror, tmp_path):
    (mirror / "a.jar").write_bytes(b"jar")
    jar = jar_of(b"jar")
    fetch_jars([jar], tmp_path / "cache")
    (mirror / "a.jar").unlink()

    (place,) = fetch_jars([jar], tmp_path / "cache")

    assert place.read_bytes() == b"jar"


def test_a_jar_that_broke_in_the_cache_is_fetched_again(mirror, tmp_path):
    (mirror / "a.jar").write_bytes(b"jar")
    (place,) = fetch_jars([jar_of(b"jar")], tmp_path / "cache")
    place.write_bytes(b"torn")

    fetch_jars([jar_of(b"jar")], tmp_path / "cache")

    assert place.read_bytes() == b"jar"


def test_other_bytes_than_the_lock_says_are_refused_and_not_kept(mirror, tmp_path):
    (mirror / "a.jar").write_bytes(b"something else")

    with pytest.raises(StackError, match="the lock says"):
        fetch_jars([jar_of(b"jar")], tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_a_mirror_that_sends_without_end_is_cut_off(mirror, tmp_path):
    (mirror / "a.jar").write_bytes(b"x" * 1_000_000)
    arrived = []

    with pytest.raises(StackError, match="the lock says"):
        fetch_jars([jar_of(b"jar")], tmp_path / "cache", arrived.append)

    assert sum(arrived) == len(b"jar") + 1


def test_each_piece_that_arrives_is_told_and_a_jar_in_the_cache_is_none(mirror, tmp_path):
    (mirror / "a.jar").write_bytes(b"jar")
    (mirror / "b.jar").write_bytes(b"second")
    first, second = jar_of(b"jar"), jar_of(b"second", name="b.jar")
    fetch_jars([first], tmp_path / "cache")
    arrived = []

    fetch_jars([first, second], tmp_path / "cache", arrived.append)

    assert sum(arrived) == second.size_bytes


def test_what_arrived_before_a_failure_is_not_fetched_again(mirror, tmp_path):
    (mirror / "a.jar").write_bytes(b"jar")
    first, second = jar_of(b"jar"), jar_of(b"second", name="b.jar")
    with pytest.raises(StackError):
        fetch_jars([first, second], tmp_path / "cache")

    assert missing_jars([first, second], tmp_path / "cache") == (second,)


class Flaky(BaseHTTPRequestHandler):
    """A mirror that answers 503, then cuts the connection off, then serves."""

    answers = 0

    def do_GET(self):
        type(self).answers += 1
        self.send_response(503 if self.answers == 1 else 200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ja" if self.answers == 2 else b"jar")

    def log_message(self, *_):
        """Says nothing."""


def test_a_server_that_fails_for_a_moment_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr("deploy.local.jars.RETRY_AFTER_S", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Flaky) as server:
        monkeypatch.setenv("YEKBAR_MAVEN_URL", f"http://127.0.0.1:{server.server_port}")
        Thread(target=server.serve_forever, daemon=True).start()

        (place,) = fetch_jars([jar_of(b"jar")], tmp_path / "cache")

        server.shutdown()
    assert place.read_bytes() == b"jar"
    assert Flaky.answers == 3


def test_a_missing_jar_is_reported_with_its_url_and_the_setting_for_mirrors(mirror, tmp_path):
    assert list(mirror.iterdir()) == []

    with pytest.raises(StackError, match=r"a\.jar.*YEKBAR_MAVEN_URL"):
        fetch_jars([jar_of(b"jar")], tmp_path / "cache")
