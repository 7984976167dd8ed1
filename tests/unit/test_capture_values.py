from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from producers.capture.values import of_avro, reader, type_name
from producers.errors import MappingError

NOON = datetime.fromisoformat("2026-01-01T12:00:00")  # as a column without a zone has it
CONNECT, DEBEZIUM = "org.apache.kafka.connect.data", "io.debezium"


@pytest.mark.parametrize(
    ("schema", "value", "read"),
    [
        ({"type": "int32", "name": f"{DEBEZIUM}.time.Date"}, 20454, date(2026, 1, 1)),
        ({"type": "int32", "name": f"{DEBEZIUM}.time.Date"}, -7181, date(1950, 5, 5)),
        ({"type": "int32", "name": f"{CONNECT}.Date"}, date(2026, 1, 1), date(2026, 1, 1)),
        (
            {"type": "int64", "name": f"{DEBEZIUM}.time.Timestamp"},
            1767268800123,
            NOON.replace(microsecond=123000),
        ),
        (
            {"type": "int64", "name": f"{DEBEZIUM}.time.MicroTimestamp"},
            1767268800123456,
            NOON.replace(microsecond=123456),
        ),
        (
            {"type": "int64", "name": f"{DEBEZIUM}.time.NanoTimestamp"},
            1767268800123456789,
            NOON.replace(microsecond=123456),
        ),
        (
            {"type": "string", "name": f"{DEBEZIUM}.time.ZonedTimestamp"},
            "2026-01-01T12:00:00.5Z",
            datetime(2026, 1, 1, 12, 0, 0, 500000, tzinfo=UTC),
        ),
        ({"type": "int64", "name": f"{DEBEZIUM}.time.MicroTime"}, 36672000000, "10:11:12"),
        ({"type": "bytes", "name": f"{CONNECT}.Decimal", "parameters": {"scale": "2"}}, "BOI=", Decimal("12.50")),
        ({"type": "bytes", "name": f"{CONNECT}.Decimal", "parameters": {"scale": "0"}}, "/w==", Decimal(-1)),
        (
            {"type": "struct", "name": f"{DEBEZIUM}.data.VariableScaleDecimal"},
            {"scale": 1, "value": "fQ=="},
            Decimal("12.5"),
        ),
        ({"type": "bytes"}, "AQI=", b"\x01\x02"),
        ({"type": "string", "name": f"{DEBEZIUM}.data.Uuid"}, "6f1d", "6f1d"),
        ({"type": "boolean"}, True, True),
        ({"type": "int32", "name": f"{DEBEZIUM}.time.Date"}, None, None),
    ],
)
def test_a_value_is_read_as_a_driver_would_hand_it_out(schema, value, read):
    assert reader(schema)(value) == read


def test_a_value_that_is_none_of_its_type_is_told_by_its_column_and_never_by_itself():
    with pytest.raises(MappingError, match="'born_on'") as refused:
        reader({"type": "int32", "name": f"{DEBEZIUM}.time.Date", "field": "born_on"})("tomorrow")

    assert "tomorrow" not in str(refused.value)


@pytest.mark.parametrize(
    ("avro", "name"),
    [
        ({"type": "int", "connect.name": f"{DEBEZIUM}.time.Date"}, f"{DEBEZIUM}.time.Date"),
        (["null", {"type": "int", "logicalType": "date"}], f"{CONNECT}.Date"),
        ({"type": "bytes", "logicalType": "decimal", "scale": 2}, f"{CONNECT}.Decimal"),
        (["null", "string"], "string"),
    ],
)
def test_an_avro_field_is_known_by_the_name_that_connect_gave_it(avro, name):
    assert type_name(of_avro({"name": "field", "type": avro})) == name
