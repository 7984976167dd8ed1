"""A wrong death is registered, believed, and undone."""

from deploy.demo.scene import Scene, now
from deploy.demo.steps.benefit import OFFICE, PROCEDURE

LIFE_STATUS = "civil-registry.life-status"


def wrong_death_is_undone(scene: Scene) -> None:
    """Evidence says what the registry says; an annulment makes it right again; what was believed stays known."""
    stage, hero = scene.stage, scene.population.hero
    stage.chapter("A wrong death, and its correction")
    stage.say(f"A clerk of the civil registry registers a death, and mistypes the id: it is {hero.latin_name}'s.")
    entry = scene.act("register-death", LIFE_STATUS)
    published_s = scene.publish_and_wait(LIFE_STATUS)
    wrong = scene.ask(OFFICE, PROCEDURE)
    believed_at = now()
    stage.expect(
        "the office is told that she is not alive",
        holds=not wrong.is_complete and wrong.requirement("alive")["status"] == "unmet",
        seen=f"{published_s:.1f} s after the clerk's entry",
    )
    stage.say("She complains. The clerk voids the entry: one line in the registry's own table, one event 'annulled'.")
    scene.act("annul-death", LIFE_STATUS, payam=entry)
    annulled_s = scene.publish_and_wait(LIFE_STATUS)
    right = scene.ask(OFFICE, PROCEDURE)
    stage.expect("the answer is right again", holds=right.is_complete, seen=f"{annulled_s:.1f} s after the annulment")
    scene.views.wait_until_read_to(believed_at)
    then = scene.ask(OFFICE, PROCEDURE, known_at=believed_at.isoformat())
    stage.expect(
        "what was believed in between can still be asked for",
        holds=then.requirement("alive")["status"] == "unmet",
        seen=f"known at {believed_at:%H:%M:%S}: alive is {then.requirement('alive')['status']}",
    )
    stage.table(
        "Is she alive?",
        ["asked", "as known", "requirement 'alive'", "benefit"],
        [
            ["after the wrong entry", "then", wrong.requirement("alive")["status"], _verdict(wrong.is_complete)],
            ["after the annulment", "now", right.requirement("alive")["status"], _verdict(right.is_complete)],
            ["after the annulment", "before it", then.requirement("alive")["status"], _verdict(then.is_complete)],
        ],
    )


def _verdict(is_complete: bool) -> str:
    return "every requirement met" if is_complete else "not every requirement met"
