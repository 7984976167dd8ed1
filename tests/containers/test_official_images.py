from uuid import uuid4

import psycopg
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewTopic

from bus.kafka import admin, consumer, kafka_connection, producer


def test_a_message_and_a_row_pass_through_the_official_images(containers):
    topic = f"kept-{uuid4().hex}"
    connection = kafka_connection(containers.endpoints.kafka_bootstrap, {})
    topics = admin(connection)
    topics.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)

    sender = producer(connection)
    sender.produce(topic, "یک‌بار".encode())
    assert sender.flush(30) == 0
    reader = consumer(connection, group=topic)
    reader.assign([TopicPartition(topic, 0, 0)])
    message = reader.poll(30)
    reader.close()

    with psycopg.connect(containers.endpoints.database_url) as database:
        version, word = database.execute(
            "SELECT current_setting('server_version_num')::int / 10000, %s", (message.value().decode(),)
        ).fetchone()
    assert (version, word) == (18, "یک‌بار")
