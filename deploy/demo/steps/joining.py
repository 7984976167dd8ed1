"""Nine agencies with their own databases publish what they know, and the views take it."""

from collections import Counter
from itertools import groupby
from uuid import UUID

import psycopg

from deploy.demo.databases import make_database
from deploy.demo.offices import Tally
from deploy.demo.scene import Scene, now
from deploy.demo.stage import Stopwatch
from deploy.demo.truth_check import compare_with_truth
from deploy.local.part import start_together


def agencies_have_databases(scene: Scene) -> None:
    """Each agency's database is made and filled as its clerks would have."""
    stage, registers = scene.stage, scene.population.registers
    stage.chapter("Nine agencies, each with the database that it has anyway")
    total = sum(len(register.journal) + len(register.spoilt) for register in registers.values())
    url, contracts = scene.wiring.settings.database_url, scene.wiring.catalogue.record_types
    watch = Stopwatch()
    rows = []
    with stage.bar("filling the agencies' databases", total) as bar:
        for system in scene.systems:
            lines = make_database(url, system, scene.population, contracts, bar.advance)
            rows.append([system.agency, system.database, len(system.tables), lines, system.peculiarity])
    stage.measure("agencies' clerks write", total, "lines", watch.seconds)
    stage.table("Agencies", ["agency", "database", "tables", "lines", "what is peculiar"], rows)
    blemishes = Counter(entry.change_kind.value for register in registers.values() for entry in register.journal)
    stage.say(
        f"Among the lines: {blemishes['corrected']:,} corrections, {blemishes['annulled']:,} annulments, "
        f"{blemishes['ceased']:,} ends told later, {_sent_twice(scene):,} sent twice, "
        f"{sum(len(one.spoilt) for one in registers.values()):,} that no desk may take."
    )


def agencies_publish(scene: Scene) -> None:
    """Every agency publishes through its on-ramp; what is wrong is refused at its desk."""
    stage, registers = scene.stage, scene.population.registers
    stage.chapter("They publish, once")
    total = sum(len(register.journal) + len(register.spoilt) for register in registers.values())
    tallies: list[Tally] = []
    watch = Stopwatch()
    with stage.bar("publishing", total) as bar:
        for office in scene.offices.values():
            tally = office.publish_new()
            tallies.append(tally)
            bar.advance(tally.published + len(tally.refused))
    published = sum(tally.published for tally in tallies)
    stage.measure("agencies publish", published, "events", watch.seconds)
    columns = ["agency", "on-ramp", "record types", "events", "refused", "seconds", "events/s"]
    stage.table("Published", columns, _by_agency(scene, tallies))
    stage.expect(
        "every good line is acknowledged by the log",
        holds=published == sum(len(register.journal) for register in registers.values()),
        seen=published,
    )
    refused = {tally.record_type: Counter(tally.refused) for tally in tallies}
    planted = {name: Counter(str(reason) for _, reason in one.spoilt) for name, one in registers.items()}
    reasons = sum(refused.values(), Counter())
    stage.expect(
        "every bad line is refused at its agency's desk, for the right reason",
        holds=refused == planted,
        seen=", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items())),
    )


def _by_agency(scene: Scene, tallies: list[Tally]) -> list[list[object]]:
    on_ramps = {system.agency: system.on_ramp.value for system in scene.systems}
    rows = []
    for agency, group in groupby(tallies, lambda tally: tally.record_type.partition(".")[0]):
        told = list(group)
        published, seconds = sum(one.published for one in told), sum(one.seconds for one in told)
        refused = sum(len(one.refused) for one in told)
        rows.append([agency, on_ramps[agency], len(told), published, refused, seconds, int(published / seconds)])
    return rows


def views_catch_up(scene: Scene) -> None:
    """The materializer reads the log from its start, and goes on reading while the story is told."""
    stage = scene.stage
    stage.chapter("The views take what was published")
    watch = Stopwatch()
    start_together((scene.views,))
    with stage.bar("materializing") as bar:
        progress = scene.views.wait_until_caught_up(lambda so_far: bar.set(so_far.done, so_far.known))
    stage.measure("the views take events", progress.done, "events", watch.seconds)
    scene.views.wait_until_read_to(now())
    facts, quarantined = _counts(scene)
    distinct = sum(len({entry.event_id for entry in one.journal}) for one in scene.population.registers.values())
    stage.expect("the views are level with the log", holds=progress.lag == 0, seen=f"{progress.done:,} events")
    stage.expect("what was sent twice is there once", holds=facts == distinct, seen=f"{facts:,} facts")
    marked, doubtful = _marked(scene), _doubtful(scene)
    stage.expect(
        "what is doubtful but allowed is taken, and its field marked as under investigation",
        holds=marked == doubtful,
        seen=f"{len(marked)} events",
    )
    stage.expect("nothing had to be put aside", holds=quarantined == 0, seen=f"{quarantined} in quarantine")


def views_say_the_truth(scene: Scene) -> None:
    """Whatever the registers told on the way, the views now say what is true of every person."""
    stage = scene.stage
    watch = Stopwatch()
    with stage.bar("comparing every record with the truth", len(scene.population.registers)) as bar:
        compared = [compare_with_truth(scene, record_type, bar) for record_type in scene.population.registers]
    records = sum(one.records for one in compared)
    differing = [one for one in compared if one.differences]
    stage.measure("records compared with the truth", records, "records", watch.seconds)
    stage.expect(
        "of every person the views say what is true today, in every field",
        holds=not differing,
        seen=", ".join(f"{one.record_type}: {one.differences} differ" for one in differing)
        or f"{records:,} records that hold",
    )


def _counts(scene: Scene) -> tuple[int, int]:
    """How many facts all views have, and how many events are in quarantine."""
    with scene.wiring.database() as connection:
        facts = sum(_count(connection, f'"{name}".facts') for name in scene.population.registers)
        return facts, _count(connection, "yekbar.quarantine")


def _marked(scene: Scene) -> dict[UUID, list[str]]:
    """The events with fields under investigation, in all views."""
    found: dict[UUID, list[str]] = {}
    with scene.wiring.database() as connection:
        for name in scene.population.registers:
            query = f"""SELECT event_id, under_investigation FROM "{name}".facts WHERE under_investigation <> '{{}}'"""
            found |= dict(connection.execute(query.encode()).fetchall())
    return found


def _doubtful(scene: Scene) -> dict[UUID, list[str]]:
    """The events that must have them."""
    registers = scene.population.registers.values()
    return {event_id: [field] for register in registers for event_id, field in register.doubtful.items()}


def _count(connection: psycopg.Connection[tuple[int]], table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return row[0]


def _sent_twice(scene: Scene) -> int:
    return sum(
        len(one.journal) - len({entry.event_id for entry in one.journal}) for one in scene.population.registers.values()
    )
