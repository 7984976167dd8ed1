"""The story: a list of steps, and the last page that adds up."""

from collections.abc import Callable

from deploy.demo.scene import Scene
from deploy.demo.steps.audit import auditor_replays_the_log, tampering_is_found
from deploy.demo.steps.benefit import citizen_asks_for_the_benefit, office_grants_the_benefit
from deploy.demo.steps.error import wrong_death_is_undone
from deploy.demo.steps.joining import agencies_have_databases, agencies_publish, views_catch_up, views_say_the_truth
from deploy.demo.steps.poison import poison_is_put_aside
from deploy.demo.steps.rates import rates_are_told
from deploy.demo.steps.rights import (
    citizen_sees_who_looked,
    half_a_right_is_half_an_answer,
    harvester_is_stopped,
    stranger_is_denied,
    what_is_not_read_yet_is_stale,
)
from deploy.demo.steps.share import share_is_told

Step = Callable[[Scene], None]

STORY: tuple[Step, ...] = (
    agencies_have_databases,
    agencies_publish,
    views_catch_up,
    views_say_the_truth,
    citizen_asks_for_the_benefit,
    office_grants_the_benefit,
    wrong_death_is_undone,
    stranger_is_denied,
    half_a_right_is_half_an_answer,
    what_is_not_read_yet_is_stale,
    harvester_is_stopped,
    poison_is_put_aside,
    citizen_sees_who_looked,
    auditor_replays_the_log,
    tampering_is_found,
    share_is_told,
    rates_are_told,
)


def tell(scene: Scene) -> None:
    """Takes every step, in order."""
    for step in STORY:
        step(scene)
