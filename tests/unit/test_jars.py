import hashlib

import pytest

from deploy.local.errors import StackError
from deploy.local.jars import Jar, fetch_jars, locked_jars


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("YEKBAR_MAVEN_URL", folder.as_uri())
    return folder


def jar_of(content, name="a.jar"):
    return Jar(path=name, sha256=hashlib.sha256(content).hexdigest())


def test_the_lock_names_each_jar_once_with_a_whole_checksum():
    jars = locked_jars()

    assert len({jar.name for jar in jars}) == len(jars)
    assert {len(jar.sha256) for jar in jars} == {64}
    assert any(jar.name == "kafka_2.13-4.3.1.jar" for jar in jars)


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


def test_a_missing_jar_is_reported_with_its_url_and_the_setting_for_mirrors(mirror, tmp_path):
    assert list(mirror.iterdir()) == []

    with pytest.raises(StackError, match=r"a\.jar.*YEKBAR_MAVEN_URL"):
        fetch_jars([jar_of(b"jar")], tmp_path / "cache")
