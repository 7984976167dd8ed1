"""The systems that agencies have anyway: each a PostgreSQL database of its own, with tables as its people made them.

`agencies/<agency>/<record type>.sql` has three statements for a record type: `table` makes the agency's table, `fill`
puts the journal of its clerks into it, `changes` reads it as the changes of the contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import yaml

_FOLDER = "agencies"
_MARK = "-- :"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What an agency keeps for one record type."""

    record_type: str
    table: str
    fill: str
    changes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """An agency's system: its database, what is peculiar about it, and its tables."""

    agency: str
    database: str
    peculiarity: str
    tables: tuple[Table, ...]


def load_systems() -> tuple[System, ...]:
    """The systems of all agencies."""
    said: Mapping[str, Any] = yaml.safe_load(_text("agencies.yaml"))
    return tuple(
        System(
            agency=agency,
            database=system["database"],
            peculiarity=system["system"],
            tables=tuple(_tables(agency)),
        )
        for agency, system in said.items()
    )


def _tables(agency: str) -> list[Table]:
    folder = files("deploy.demo").joinpath(_FOLDER, agency)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [_table(f"{agency}.{name.removesuffix('.sql')}", _text(agency, name)) for name in names]


def _table(record_type: str, text: str) -> Table:
    """The statements of a file, each after a line that names it."""
    parts = dict(part.split("\n", 1) for part in text.split(_MARK)[1:])
    return Table(record_type=record_type, **{name.strip(): statement.strip() for name, statement in parts.items()})


def _text(*path: str) -> str:
    return files("deploy.demo").joinpath(_FOLDER, *path).read_text(encoding="utf-8")
