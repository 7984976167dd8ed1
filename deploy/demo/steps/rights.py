"""Who may ask, who may not, and who sees that."""

from collections.abc import Mapping
from typing import Any

from bus.national_id import iran_check_digit
from deploy.demo.scene import Answer, Scene
from deploy.demo.steps.benefit import PROCEDURE, show

STRANGER = "cooperatives"
FORBIDDEN = 403
NOBODY_S_NINE = "999999990"  # first digits that the demonstration gives to nobody


def stranger_is_denied(scene: Scene) -> None:
    """An agency without an agreement gets nothing, and learns not even whether the person exists."""
    stage = scene.stage
    stage.chapter("A request without a right")
    stage.say(f"The agency '{STRANGER}' asks for the same evidence; it has no agreement for this procedure.")
    denied = scene.ask(STRANGER, PROCEDURE)
    stage.expect("it is denied", holds=denied.status == FORBIDDEN, seen=f"HTTP {denied.status}")
    stage.expect("no evidence leaves", holds=not denied.pieces, seen=f"{len(denied.pieces)} pieces")
    nobody = NOBODY_S_NINE + str(iran_check_digit(NOBODY_S_NINE))
    unknown = scene.ask(STRANGER, PROCEDURE, nobody)
    stage.expect(
        "the denial is the same for a person who does not exist",
        holds=_without_id(denied) == _without_id(unknown) and unknown.status == denied.status,
    )


def half_a_right_is_half_an_answer(scene: Scene) -> None:
    """A procedure whose agreements are not all accepted gets what is permitted, and is told what is not."""
    stage = scene.stage
    stage.say("The training organization asks for its licence; two of its agreements are not accepted by both sides.")
    answer = scene.ask("vocational-training", "vocational-licence", acting_user="clerk-17")
    show(scene, answer)
    statuses = [one["status"] for one in answer.body["requirements"]]
    stage.expect(
        "what is permitted is given, what is not is told with its reason",
        holds=statuses.count("not_permitted") == 2 and statuses.count("met") == len(statuses) - 2,
        seen=f"{statuses.count('met')} met, {statuses.count('not_permitted')} not permitted",
    )


def citizen_sees_who_looked(scene: Scene) -> None:
    """Every access to the citizen's records is in the citizen's list, the denied ones too."""
    stage, hero = scene.stage, scene.population.hero
    stage.chapter(f"{hero.latin_name} sees who looked")
    with scene.wiring.database() as connection:
        rows = connection.execute(
            "SELECT access_id, at, requester, procedure, legal_basis, decision, evidence FROM yekbar.accesses"
            " WHERE subject = %s ORDER BY access_id DESC",
            (scene.hero,),
        ).fetchall()
    stage.table(
        f"Who asked about {hero.full_name}",
        ["when", "who", "for", "on what ground", "decision", "claims that left"],
        [
            [f"{at:%H:%M:%S}", requester, procedure, ground, decision, _claims(evidence)]
            for _, at, requester, procedure, ground, decision, evidence in rows
        ],
    )
    stage.expect(
        "every request about her is in the list, the denied one too, and no other",
        holds=sorted(row[0] for row in rows) == sorted(scene.asked_about_hero),
        seen=f"{len(rows)} accesses",
    )


def _claims(evidence: list[Mapping[str, Any]]) -> int:
    return sum(len(one["claims"]) for one in evidence)


def _without_id(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in answer.body.items() if name != "access_id"}
