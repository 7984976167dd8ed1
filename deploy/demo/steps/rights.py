"""Who may ask, who may not, and who sees that."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from bus.national_id import iran_check_digit
from consumers.agreements.changes import WATCH, Change, ChangeKind
from consumers.agreements.store import make, new_change, read_changes
from deploy.demo.scene import Answer, Scene, now
from deploy.demo.stage import Stopwatch
from deploy.demo.steps.benefit import OFFICE, PROCEDURE, show

STRANGER = "cooperatives"
HARVESTER, HARVESTED = "property-registry", "housing-loan"
HARVEST_MAX = 1_000
OK, FORBIDDEN, DIFFERS = 200, 403, 1
LIST_MAX = 200
PATIENCE_S, PAUSE_S = 5.0, 0.05
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


def what_is_not_read_yet_is_stale(scene: Scene) -> None:
    """Asked for what was known at this very instant, a view that has not read that far says so, and guesses nothing."""
    stage = scene.stage
    stage.chapter("An answer that would be too old")
    stage.say("The labour office asks what the bus knew at this very instant; the views have not read that far.")
    stale = _until_stale(scene)
    reasons = {one["reason"] for one in stale.body["requirements"] if one["status"] == "stale"}
    stage.expect("it is stale, with its reason", holds=reasons == {"not-yet-read-to-known-at"}, seen=", ".join(reasons))
    stage.expect("nothing old is told in its place", holds=not stale.is_complete, seen=f"{len(stale.pieces)} pieces")
    later = scene.ask(OFFICE, PROCEDURE)
    stage.expect("a moment later it is answered", holds=later.status == OK and not later.is_stale)


def harvester_is_stopped(scene: Scene) -> None:
    """Who walks through the numbers is stopped early, and the agreements are suspended until their providers look."""
    stage, first = scene.stage, int(scene.population.hero.national_id[:9])
    stage.chapter("A harvest")
    stage.say(f"A clerk of '{HARVESTER}' asks about one person after the other, as their numbers go.")
    last = None
    for asked in range(HARVEST_MAX):
        nine = f"{first + asked:09}"
        person = None if asked == 0 else nine + str(iran_check_digit(nine))
        last = scene.ask_once(HARVESTER, HARVESTED, person)
        if last.status == FORBIDDEN:
            break
    reasons = {one["reason"] for one in last.body["requirements"]} if last else set()
    stage.expect(
        "it is stopped, and every agreement that was used is suspended",
        holds=last is not None and last.status == FORBIDDEN and reasons == {"suspended"},
        seen=f"after {asked:,} persons",
    )
    stage.expect("whoever asks as people come is served on", holds=scene.ask(OFFICE, PROCEDURE).is_complete)
    with scene.wiring.database() as connection:
        alarms = _until(lambda: [one for one in read_changes(connection) if one.agency == WATCH])
        for one in alarms:
            provider = scene.wiring.catalogue.agreements[one.agreement].provider
            let_go_on = new_change(one.agreement, ChangeKind.RESUMED, agency=provider, reason="the clerk was dismissed")
            make(connection, scene.wiring.catalogue, let_go_on)
    stage.expect(
        "each suspension is an alarm that its provider answers",
        holds=bool(alarms) and {one.kind for one in alarms} == {ChangeKind.SUSPENDED},
        seen=f"{len(alarms)} agreements",
    )


def citizen_sees_who_looked(scene: Scene) -> None:
    """Every access to the citizen's records is in the citizen's list: granted, denied, stale and harvested ones."""
    stage, hero = scene.stage, scene.population.hero
    stage.chapter(f"{hero.latin_name} sees who looked")
    rows = scene.api.own_list(hero.national_id, limit=LIST_MAX)
    stage.table(
        f"Who asked about {hero.full_name}",
        ["when", "who", "for", "on what ground", "decision", "claims that left"],
        [
            [
                f"{datetime.fromisoformat(one['at']):%H:%M:%S}",
                one["requester"],
                one["procedure"],
                one["legal_basis"],
                _decision(one),
                sum(len(entry["claims"]) for entry in one["evidence"]),
            ]
            for one in rows
        ],
    )
    stage.expect(
        "every request about her is in the list, the denied one too, and no other",
        holds=sorted(UUID(one["access_id"]) for one in rows) == sorted(scene.asked_about_hero),
        seen=f"{len(rows)} accesses",
    )
    checked = scene.commands.run("audit", "accesses", "--check", also_fine=[DIFFERS])
    stage.expect(
        "the log of accesses says the same as the table, row by row",
        holds=checked["is_equal"],
        seen=f"{checked['in_topic']:,} accesses",
    )


def _until_stale(scene: Scene) -> Answer:
    """The answer to what was known just now; it is asked again should the views have been quicker than the question."""
    stale = scene.ask_once(OFFICE, PROCEDURE, known_at=now().isoformat())
    while not stale.is_stale:
        stale = scene.ask_once(OFFICE, PROCEDURE, known_at=now().isoformat())
    return stale


def _until(found: Callable[[], list[Change]]) -> list[Change]:
    """What is found, once it is there; what an instance has stopped it writes down within a second."""
    watch = Stopwatch()
    while not (there := found()) and watch.seconds < PATIENCE_S:
        time.sleep(PAUSE_S)
    return there


def _decision(one: Mapping[str, Any]) -> str:
    stale = any(entry["status"] == "stale" for entry in one["evidence"])
    return f"{one['decision']}: {one['reason']}" if one["reason"] else f"{one['decision']}{', stale' if stale else ''}"


def _without_id(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in answer.body.items() if name != "access_id"}
