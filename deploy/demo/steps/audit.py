"""An auditor rebuilds every view from the log alone, and compares; then somebody tampers, and is found."""

from collections.abc import Iterator
from contextlib import contextmanager

from consumers.audit.diff import Compared, diff
from consumers.audit.log import Log, Tell
from consumers.materializer.check import Checker
from deploy.demo.scene import Scene
from deploy.demo.stage import Stopwatch

TAMPERED = "vocational-training.skills-certificate"
LISTED_MAX = 5


def auditor_replays_the_log(scene: Scene) -> None:
    """Every view, rebuilt by a fold that shares no code with the materializer, is equal to the live one."""
    stage = scene.stage
    stage.chapter("An auditor rebuilds everything from the log alone")
    messages = scene.views.wait_until_caught_up().done
    watch = Stopwatch()
    with Log(scene.wiring.kafka) as log, stage.bar("replaying and comparing", messages) as bar:
        compared = [_compared(scene, log, name, bar.advance) for name in scene.population.registers]
    replayed = sum(one.replayed.messages for one in compared)
    stage.measure("an auditor replays and compares", replayed, "events", watch.seconds)
    stage.table(
        "The log against the live views",
        ["record type", "messages", "facts", "passed by", "differences"],
        [
            [one.replayed.record_type, one.replayed.messages, one.replayed.facts, _passed_by(one), one.count]
            for one in compared
        ],
    )
    stage.expect(
        "every live view says what its log says, row by row",
        holds=all(one.is_equal for one in compared) and replayed == messages,
        seen=f"{replayed:,} events replayed",
    )


def tampering_is_found(scene: Scene) -> None:
    """A row that somebody changed in the database is named."""
    stage = scene.stage
    stage.say("Somebody with the keys to the database gives the citizen a better grade.")
    with Log(scene.wiring.kafka) as log, _tampered(scene):
        found = _compared(scene, log, TAMPERED)
    named = ", ".join(
        f"{one.record_type} partition {one.partition} position {one.position}: {', '.join(one.columns)}"
        for one in found.differences
    )
    stage.expect("the auditor names the row and the column", holds=found.count == 1, seen=named)
    with Log(scene.wiring.kafka) as log:
        mended = _compared(scene, log, TAMPERED)
    stage.expect("and finds nothing once the row says again what the log says", holds=mended.is_equal)


@contextmanager
def _tampered(scene: Scene) -> Iterator[None]:
    statement = f'UPDATE "{TAMPERED}".facts SET grade = grade + %s WHERE subject = %s AND voided_by IS NULL'
    with scene.wiring.database() as connection:
        connection.execute(statement.encode(), (-1, scene.hero))
        try:
            yield
        finally:
            connection.execute(statement.encode(), (+1, scene.hero))


def _compared(scene: Scene, log: Log, record_type: str, tell: Tell | None = None) -> Compared:
    checker = Checker(scene.wiring.record_type(record_type), scene.wiring.registry)
    with scene.wiring.database() as connection:
        return diff(log, connection, checker, limit=LISTED_MAX, tell=tell)


def _passed_by(one: Compared) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(one.replayed.passed_by.items()))
