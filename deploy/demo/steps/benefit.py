"""One citizen's whole way through a public service, without one upload."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from deploy.demo.scene import Answer, Scene, now

PROCEDURE = "unemployment-benefit"
OFFICE = "labour-relations"
BENEFIT = "labour-relations.unemployment-benefit"
SHOWN_CHARS = 60


def citizen_asks_for_the_benefit(scene: Scene) -> None:
    """The office's one call finds every piece of evidence that the benefit requires."""
    stage, hero = scene.stage, scene.population.hero
    procedure = scene.wiring.catalogue.procedures[PROCEDURE]  # type: ignore[index]  # a name of the profile
    stage.chapter(f"{hero.latin_name} ({hero.full_name}) asks for the unemployment benefit")
    stage.say(
        "Her mill has closed. She goes to the labour office with nothing but her national id; "
        f"the office asks once, on the ground of the {procedure.legal_basis}."
    )
    answer = scene.ask(OFFICE, PROCEDURE)
    show(scene, answer)
    providers = {piece["provider"] for piece in answer.pieces}
    stage.expect("every requirement is met", holds=answer.is_complete, seen=f"{answer.seconds * 1000:.0f} ms over HTTP")
    stage.expect(
        "each piece of evidence has a source, and stands under an agreement",
        holds=all(piece["provider"] and piece["agreement"] and piece["events"] for piece in answer.pieces),
        seen=f"{len(answer.pieces)} pieces from {len(providers)} agencies",
    )
    stage.expect("the evidence is hers, and right", holds=_claims(answer) == _true_claims(scene))
    stage.say("She uploaded nothing: the request holds her id, the procedure and the office's own case number.")


def office_grants_the_benefit(scene: Scene) -> None:
    """The decision itself is published once, and is there for the next who needs it."""
    stage = scene.stage
    scene.act("grant-benefit", BENEFIT)
    seconds = scene.publish_and_wait(BENEFIT)
    with scene.wiring.database() as connection:
        granted = connection.execute(
            'SELECT status, months_granted FROM "labour-relations.unemployment-benefit".timeline WHERE subject = %s',
            (scene.hero,),
        ).fetchall()
    stage.expect(
        "the office grants it, and its decision is a record that others can rely on",
        holds=granted == [("granted", 12)],
        seen=f"published and in the view after {seconds:.1f} s",
    )


def show(scene: Scene, answer: Answer) -> None:
    """A table of an answer: each requirement with its evidence, its source and its age."""
    rows: list[list[Any]] = []
    for one in answer.body["requirements"]:
        status = one["status"] if one["reason"] is None else f"{one['status']}: {one['reason']}"
        for place, piece in enumerate(one["evidence"]):
            first = [one["title"], status] if place == 0 else ["", ""]
            rows.append([*first, _told(piece["claims"]), piece["provider"], _age(piece), piece["freshness"]["lag_s"]])
        if not one["evidence"]:
            tried = dict.fromkeys(tried["provider"] for tried in one["tried"])
            rows.append([one["title"], status, None, ", ".join(tried), None, None])
    title = str(answer.body.get("title", ""))
    columns = ["requirement", "status", "evidence", "source", "age of the fact", "lag (s)"]
    scene.stage.table(title, columns, rows)


def _told(claims: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {str(value)[:SHOWN_CHARS]}" for name, value in claims.items())


def _age(piece: Mapping[str, Any]) -> str | None:
    """For how long the fact has held."""
    since = piece["effective_from"]
    if since is None:
        return None
    days = (now() - datetime.fromisoformat(since)).days
    return f"{days / 365.25:.1f} years" if days > 700 else f"{days} days"


def _claims(answer: Answer) -> dict[str, Any]:
    """All claims of an answer, by name."""
    return {name: value for piece in answer.pieces for name, value in piece["claims"].items()}


def _true_claims(scene: Scene) -> dict[str, Any]:
    """What the claims must be, from what is true of the hero."""
    spells = scene.population.hero.spells

    def last(record_type: str) -> Mapping[str, Any]:
        return max((one for one in spells if one.record_type == record_type), key=lambda one: one.effective_from).body

    identity, job = last("civil-registry.identity"), last("labour-relations.employment")
    tax, address = last("tax-administration.tax-status"), last("post.registered-address")
    coverage = last("social-security.insurance-coverage")
    return {
        "full_name": scene.population.hero.full_name,
        "birth_date": str(identity["birth_date"]),
        "sex": identity["sex"],
        "alive": True,
        "employer_name": job["employer_name"],
        "ended_on": str(job["ended_on"]),
        "end_reason": job["end_reason"],
        "is_unemployed": True,
        "coverage_kind": coverage["coverage_kind"],
        "premium_months": coverage["premium_months"],
        "cleared": True,
        "as_of": str(tax["assessed_on"]),
        "province": address["province"],
        "city": address["city"],
        "postal_code": address["postal_code"],
    }
