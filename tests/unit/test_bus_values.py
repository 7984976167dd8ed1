from unittest.mock import patch

import pytest

from bus.envelope import EventIdMaker
from bus.errors import SettingError
from bus.framing import frame, schema_id_of
from bus.settings import read_settings
from bus.topics import quarantine_topic, record_type_of, records_topic

COMPLETE = {
    "KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "DATABASE_URL": "postgresql://u@127.0.0.1/d",
    "SCHEMA_REGISTRY_URL": "http://127.0.0.1:8081",
    "YEKBAR_DOMAIN_KEY": "ab" * 32,
}


def test_event_ids_rise_strictly_also_when_the_clock_jumps_back():
    make = EventIdMaker()
    clock = iter([2_000_000_000_000] * 5000 + [1_000_000_000_000] * 5000)

    with patch("bus.envelope.time.time_ns", lambda: next(clock)):
        ids = [make() for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}


@pytest.mark.parametrize("schema_id", [1, 2**31 - 1])
def test_a_frame_gives_its_schema_id_back(schema_id):
    assert schema_id_of(frame(schema_id) + b"payload") == schema_id


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0", b"\1\0\0\0\1payload"])
def test_what_is_not_framed_has_no_schema_id(value):
    assert schema_id_of(value) is None


def test_only_a_records_topic_names_a_record_type():
    assert record_type_of(records_topic("a.b")) == "a.b"
    assert record_type_of(quarantine_topic("a.b")) is None


@pytest.mark.parametrize("name", sorted(COMPLETE))
def test_a_missing_setting_is_named(name):
    with pytest.raises(SettingError, match=name):
        read_settings({k: v for k, v in COMPLETE.items() if k != name})


def test_a_wrong_setting_is_named_but_never_shown():
    with pytest.raises(SettingError) as caught:
        read_settings(COMPLETE | {"YEKBAR_DOMAIN_KEY": "secret-but-short"})

    assert "YEKBAR_DOMAIN_KEY" in str(caught.value)
    assert "secret-but-short" not in str(caught.value)


def test_an_unknown_setting_under_our_prefix_is_an_error():
    with pytest.raises(SettingError, match="YEKBAR_CATALOG"):
        read_settings(COMPLETE | {"YEKBAR_CATALOG": "/tmp"})


def test_production_is_the_default_mode():
    assert read_settings(COMPLETE).mode == "production"
