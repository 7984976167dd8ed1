"""Compares a view with the truth that the registers' journals were made from, record by record."""

from dataclasses import dataclass
from typing import Any

from psycopg import sql

from deploy.demo.scene import Scene
from deploy.demo.stage import Bar
from deploy.demo.truth import holding, midnight


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How many records hold in truth, and of how many the view says something else, or nothing, or too much."""

    record_type: str
    records: int
    differences: int


def compare_with_truth(scene: Scene, record_type: str, bar: Bar) -> Compared:
    """Compares what holds as today begins."""
    today = scene.population.nation.today
    subjects = scene.subjects
    names = [field["name"] for field in scene.wiring.record_type(record_type).body["fields"]]
    true: dict[Any, Any] = {
        (subjects[national_id], key): (midnight(spell.effective_from), *(spell.body[name] for name in names))
        for (_, national_id, key), spell in holding(scene.population.registers[record_type].spells, today).items()
    }
    query = sql.SQL(
        "SELECT subject, record_key, effective_from, {} FROM {} WHERE effective_from <= %(at)s"
        " AND (effective_to IS NULL OR effective_to > %(at)s) AND NOT ceased"
    ).format(sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(record_type, "timeline"))
    with scene.wiring.database() as connection:
        said = {(row[0], row[1]): row[2:] for row in connection.execute(query, {"at": midnight(today)})}
    bar.advance(1)
    differing = sum(true.get(record) != said.get(record) for record in true.keys() | said.keys())
    return Compared(record_type=record_type, records=len(true), differences=differing)
