import dataclasses
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from confluent_kafka.admin import NewTopic

from bus.kafka import admin, kafka_connection, producer
from bus.topics import records_topic
from consumers.errors import NotFoundError
from consumers.materializer.positions import create_positions
from consumers.quality import create_findings
from consumers.quarantine import create_quarantine
from consumers.status_reading import read_ends, read_status
from consumers.views import create_views
from registry.catalogue import load_catalogue
from registry.contracts import Agency, AgencyId, Catalogue, RecordTypeId

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def catalogue():
    """A nation with one agency and one record type, whose id no other test uses."""
    shipped = load_catalogue(None).record_types["welfare.benefit"]
    agency = AgencyId(f"agency-{uuid4().hex}")
    record_type = dataclasses.replace(shipped, id=RecordTypeId(f"{agency}.benefit"), agency=agency)
    return Catalogue(
        national_id_scheme="iran",
        agencies={agency: Agency(id=agency, title={"en": "Agency"})},
        record_types={record_type.id: record_type},
        evidence_types={},
        procedures={},
        agreements={},
    )


def test_a_view_is_told_against_the_end_of_its_log_with_what_its_sources_sent_and_what_waits(
    catalogue, stack, database_url
):
    ((view, record_type),) = catalogue.record_types.items()
    kafka = kafka_connection(stack.endpoints.kafka_bootstrap)
    topics = admin(kafka)
    topics.create_topics([NewTopic(records_topic(view), 2, 1)])[records_topic(view)].result(30)
    sender = producer(kafka)
    for partition in (0, 1, 1):
        sender.produce(records_topic(view), b"event", partition=partition)
    assert sender.flush(30) == 0
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_positions(connection)
        create_quarantine(connection)
        create_views(connection, record_type)
        create_findings(connection)
        connection.execute(
            "INSERT INTO quality.findings (agency, record_type, rule, field, subject, event_id, partition, position,"
            " known_at, undone_at) SELECT %s, %s, 'rule', 'field', gen_random_uuid(), gen_random_uuid(), 0, n, now(),"
            " CASE WHEN n > 2 THEN now() END FROM generate_series(1, 5) AS n",
            (record_type.agency, view),
        )
        connection.execute(
            "INSERT INTO yekbar.positions (view, partition, topic, topic_id, generation, next_position, caught_up_at)"
            " VALUES (%(view)s, 0, 't', 'i', 1, 1, %(now)s), (%(view)s, 1, 't', 'i', 1, 1, NULL)",
            {"view": view, "now": NOW},
        )
        connection.execute(
            "INSERT INTO yekbar.sources VALUES (%(view)s, 's', 0, 3, 1, %(now)s, %(now)s),"
            " (%(view)s, 's', 1, 4, 2, %(now)s, %(now)s)",
            {"view": view, "now": NOW},
        )
        connection.execute(
            "INSERT INTO yekbar.heartbeats (view, source, last_sequence, complete_until, heard_at, whole_until)"
            " VALUES (%(view)s, 's', 5, %(now)s, %(now)s, NULL), (%(view)s, 'quiet', 0, %(now)s, %(now)s, %(now)s)",
            {"view": view, "now": NOW},
        )
        connection.execute(
            "INSERT INTO yekbar.quarantine (view, topic, partition, position, reason, detail, known_at, headers)"
            " VALUES (%s, 't', 0, 0, 'truncated', '', %s, '[]')",
            (view, NOW),
        )

        found = read_status(connection, read_ends(topics, catalogue), catalogue, NOW)

    (told,) = found.views
    assert (told.rows, told.position, told.end_of_log, told.lag_events, told.as_of) == (0, 2, 3, 1, None)
    sources = [(one.source, one.highest_sequence, one.received, one.missing, one.whole_until) for one in found.sources]
    assert sources == [("quiet", 0, 0, 0, NOW), ("s", 5, 3, 2, None)]
    assert [(one.reason, one.waiting) for one in found.quarantine] == [("truncated", 1)]
    assert [one.open_findings for one in found.agencies] == [2]


def test_without_kafka_the_views_are_told_all_the_same(catalogue, database_url):
    ((_, record_type),) = catalogue.record_types.items()
    away = admin({**kafka_connection("127.0.0.1:1"), "log_level": 0})

    with psycopg.connect(database_url, autocommit=True) as connection:
        create_positions(connection)
        create_quarantine(connection)
        create_views(connection, record_type)
        create_findings(connection)
        ends = read_ends(away, catalogue)
        found = read_status(connection, ends, catalogue, NOW)

    assert ends is None
    assert [(one.rows, one.lag_events) for one in found.views] == [(0, None)]


def test_a_database_without_views_says_what_to_do(catalogue, database_url):
    with psycopg.connect(database_url) as connection, pytest.raises(NotFoundError, match="catalogue apply"):
        read_status(connection, None, catalogue, NOW)
