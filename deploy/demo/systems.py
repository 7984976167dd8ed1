"""The systems that agencies have anyway: each a PostgreSQL database of its own, with tables as its people made them.

`agencies/<agency>/<record type>.sql` has three statements for a record type: `table` makes the agency's table, `fill`
puts the journal of its clerks into it, `changes` reads it. Where there is a `.yaml` beside it, what is read is in the
agency's words and this is its mapping; else the columns are named as in the contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

import yaml


class OnRamp(StrEnum):
    """How an agency's changes get onto the bus."""

    SDK = "sdk"
    FILE = "file"
    OUTBOX = "outbox"
    GATEWAY = "gateway"


_FOLDER = "agencies"
_MARK = "-- :"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What an agency keeps for one record type."""

    record_type: str
    table: str
    fill: str
    changes: str
    mapping: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """An agency's system: its database, what is peculiar about it, its tables, and its on-ramp to the bus."""

    agency: str
    database: str
    on_ramp: OnRamp
    peculiarity: str
    tables: tuple[Table, ...]


def load_systems() -> tuple[System, ...]:
    """The systems of all agencies."""
    said: Mapping[str, Any] = yaml.safe_load(_text("agencies.yaml"))
    return tuple(
        System(
            agency=agency,
            database=system["database"],
            on_ramp=OnRamp(system["on_ramp"]),
            peculiarity=system["system"],
            tables=tuple(_tables(agency)),
        )
        for agency, system in said.items()
    )


def _tables(agency: str) -> list[Table]:
    folder = files("deploy.demo").joinpath(_FOLDER, agency)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [_table(agency, name.removesuffix(".sql")) for name in names]


def _table(agency: str, kind: str) -> Table:
    """The statements of a file, each after a line that names it."""
    parts = dict(part.split("\n", 1) for part in _text(agency, f"{kind}.sql").split(_MARK)[1:])
    mapping = files("deploy.demo").joinpath(_FOLDER, agency, f"{kind}.yaml")
    return Table(
        record_type=f"{agency}.{kind}",
        mapping=mapping.read_text(encoding="utf-8") if mapping.is_file() else None,
        **{name.strip(): statement.strip() for name, statement in parts.items()},
    )


def _text(*path: str) -> str:
    return files("deploy.demo").joinpath(_FOLDER, *path).read_text(encoding="utf-8")
