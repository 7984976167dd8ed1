"""Messages that no schema can read, straight to a topic: they wait in quarantine, and others go on."""

import os

from bus.framing import frame
from bus.kafka import REQUEST_TIMEOUT_S, producer
from bus.topics import event_subject_name, records_topic
from consumers.quarantine import list_entries
from deploy.demo.scene import Scene
from deploy.demo.steps.benefit import OFFICE, PROCEDURE
from registry.composition import event_schema

ADDRESS = "post.registered-address"
EXPECTED = {"unknown-magic-byte", "malformed-payload", "null-value"}


def poison_is_put_aside(scene: Scene) -> None:
    """Broken bytes before and after a good event, in the same partition as it."""
    stage = scene.stage
    stage.chapter("Poison on the bus")
    stage.say("A broken client writes to a topic past every desk: no frame, half a payload, no value at all.")
    _send_poison(scene)
    scene.act("move", ADDRESS)
    seconds = scene.publish_and_wait(ADDRESS)
    _send_poison(scene)
    scene.views.wait_until_caught_up()
    with scene.wiring.database() as connection:
        entries = list_entries(connection, view=ADDRESS)
    stage.table(
        "yekbar quarantine list",
        ["entry", "record type", "partition", "position", "reason", "state"],
        [[one.entry, one.view, one.partition, one.position, one.reason, one.state] for one in entries],
    )
    stage.expect(
        "each broken message waits in quarantine, with its reason and its bytes",
        holds=len(entries) == 2 * len(EXPECTED) and {one.reason for one in entries} == EXPECTED,
        seen=f"{len(entries)} entries",
    )
    residence = scene.ask(OFFICE, PROCEDURE).requirement("residence")["evidence"]
    stage.expect(
        "the good event between them is in the view",
        holds=[piece["claims"]["postal_code"] for piece in residence] == ["8134917366"],
        seen=f"the citizen's new address, after {seconds:.1f} s",
    )


def _send_poison(scene: Scene) -> None:
    topic, contract = records_topic(ADDRESS), scene.wiring.record_type(ADDRESS)
    schema_id = scene.wiring.registry.register(event_subject_name(topic), event_schema(contract))
    sender = producer(scene.wiring.kafka)
    for value in (b"\xffno frame", frame(schema_id) + os.urandom(11), None):
        sender.produce(topic, key=scene.hero.bytes, value=value)
    sender.flush(REQUEST_TIMEOUT_S)
