"""What the run measured."""

from deploy.demo.scene import Scene
from deploy.demo.stage import Stopwatch
from deploy.demo.steps.benefit import OFFICE, PROCEDURE

ASKED_IN_A_ROW = 200


def rates_are_told(scene: Scene) -> None:
    """How much went how fast, on this machine, in this run."""
    stage = scene.stage
    stage.chapter("What this run measured")
    persons = [person.national_id for person in scene.population.nation.adults()][:ASKED_IN_A_ROW]
    watch = Stopwatch()
    answers = [scene.ask(OFFICE, PROCEDURE, person) for person in persons]
    stage.measure("one office asks, one request after another", len(answers), "answers", watch.seconds)
    stage.expect("every request is answered", holds=all(answer.status == 200 for answer in answers), seen=len(answers))
    stage.table(
        "Rates",
        ["what", "how many", "unit", "seconds", "a second"],
        [[one.what, one.count, one.unit, one.seconds, int(one.per_second)] for one in stage.measures],
    )
