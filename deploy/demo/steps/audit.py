"""An auditor rebuilds every view from the log alone, and compares; then somebody tampers, and is found."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from deploy.demo.scene import Scene
from deploy.demo.stage import Stopwatch

TAMPERED = "vocational-training.skills-certificate"
DIFFERS = 1  # how 'yekbar audit diff' ends when it finds differences

Compared = Mapping[str, Any]  # what the command says of one record type


def auditor_replays_the_log(scene: Scene) -> None:
    """Every view, rebuilt by a fold that shares no code with the materializer, is equal to the live one."""
    stage = scene.stage
    stage.chapter("An auditor rebuilds everything from the log alone")
    messages = scene.views.wait_until_caught_up().done
    watch = Stopwatch()
    with stage.bar("replaying and comparing"):
        compared = _compared(scene)
    replayed = sum(one["replayed"]["messages"] for one in compared)
    stage.measure("an auditor replays and compares", replayed, "events", watch.seconds)
    stage.table(
        "yekbar audit diff",
        ["record type", "messages", "facts", "passed by", "differences"],
        [[*_counts(one["replayed"]), one["count"]] for one in compared],
    )
    stage.expect(
        "every live view says what its log says, row by row",
        holds=all(one["is_equal"] for one in compared) and replayed == messages,
        seen=f"{replayed:,} events replayed",
    )


def tampering_is_found(scene: Scene) -> None:
    """A row that somebody changed in the database is named."""
    stage = scene.stage
    stage.say("Somebody with the keys to the database gives the citizen a better grade.")
    with _tampered(scene):
        (found,) = _compared(scene, TAMPERED)
    named = ", ".join(
        f"partition {one['partition']} position {one['position']}: {', '.join(one['columns'])}"
        for one in found["differences"]
    )
    stage.expect("the auditor names the row and the column", holds=found["count"] == 1, seen=named)
    (mended,) = _compared(scene, TAMPERED)
    stage.expect("and finds nothing once the row says again what the log says", holds=mended["is_equal"])


@contextmanager
def _tampered(scene: Scene) -> Iterator[None]:
    statement = f'UPDATE "{TAMPERED}".facts SET grade = grade + %s WHERE subject = %s AND voided_by IS NULL'
    with scene.wiring.database() as connection:
        connection.execute(statement.encode(), (-1, scene.hero))
        try:
            yield
        finally:
            connection.execute(statement.encode(), (+1, scene.hero))


def _compared(scene: Scene, *record_types: str) -> list[Compared]:
    compared: list[Compared] = scene.commands.run("audit", "diff", *record_types, also_fine=[DIFFERS])
    return compared


def _counts(replayed: Mapping[str, Any]) -> list[Any]:
    passed_by = ", ".join(f"{reason} {count}" for reason, count in sorted(replayed["passed_by"].items()))
    return [replayed["record_type"], replayed["messages"], replayed["facts"], passed_by]
