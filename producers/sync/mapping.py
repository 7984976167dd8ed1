"""What a sync mapping says beside its fields: which table, which key, what a change and a missing row mean."""

import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from producers.errors import MappingError
from producers.mapping import FieldMapping, FieldSource, parsed_mapping, read_yaml

MADE_HERE = ("change_kind", "previous_event_id", "event_id")  # what a sync finds out, and no table says
NOTICED_AT = "noticed_at"  # a column that every table has here: when the round read it
OVERLAP_DEFAULT = timedelta(minutes=10)  # longer than an agency's transactions last, and clocks differ
OVERLAP_NUMBERS_DEFAULT = 1_000
GONE_SHARE_MAX_DEFAULT = 0.2
_DURATION = re.compile(r"(?P<number>\d+)\s*(?P<unit>ms|s|m|h|d)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


class Meaning(StrEnum):
    """What one row of the table is."""

    STATE = "state"  # how a record stands now, the only row of it: with a later date a new fact, else a correction
    FACT = "fact"  # one fact of a record's history: a changed row corrects it


class Gone(StrEnum):
    """What it means when a row is no longer there."""

    CEASED = "ceased"
    ANNULLED = "annulled"
    KEPT = "kept"


def duration(text: str) -> timedelta:
    """A length of time as people write it: 30s, 5m, 12h, 1d. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not int(match["number"]):
        raise ValueError(f"'{text}' is no length of time: write 30s, 5m, 12h or 1d")
    return int(match["number"]) * _UNITS[match["unit"]]


def _length(value: Any) -> Any:
    return duration(value) if isinstance(value, str) else value


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _number_or_length(value: Any) -> Any:
    return value if isinstance(value, str) and value.isdecimal() else _length(value)


Length = Annotated[timedelta, BeforeValidator(_length)]
Columns = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]


class SyncMapping(FieldMapping):
    """A mapping of a table. Facts are told apart by `key`, states by whose record they are, and which."""

    record_type: str
    source: str | None = None
    database: str | None = None
    table: str | None = None
    query: str | None = None
    key: Columns = ()
    changed_by: str | None = None
    overlap: Annotated[timedelta | int | None, BeforeValidator(_number_or_length)] = None
    row: Meaning = Meaning.STATE
    gone: Gone | None = None
    gone_share_max: float = Field(default=GONE_SHARE_MAX_DEFAULT, gt=0, le=1)
    full_every: Length = timedelta(days=1)

    @model_validator(mode="after")
    def _says_where(self) -> "SyncMapping":
        if (self.table is None) == (self.query is None):
            raise ValueError("say either 'table' or 'query'")
        if self.query is not None and self.row is Meaning.FACT and not self.key:
            raise ValueError("say with 'key' which columns of the query tell its rows apart")
        for name in self.fields:
            if name in MADE_HERE:
                raise ValueError(f"a sync finds '{name}' out by itself: leave it out")
        return self

    @property
    def source_name(self) -> str:
        """The stream at the agency."""
        return self.source or f"{self.record_type}/sync"

    @property
    def when_gone(self) -> Gone:
        """What a row that is gone means: a state has ceased, a fact should never have been there."""
        return self.gone or (Gone.CEASED if self.row is Meaning.STATE else Gone.ANNULLED)

    def changes(self, columns: Sequence[str], fields: Sequence[str]) -> FieldMapping:
        """The mapping of the table's columns to changes; a column of a field's name says that field."""
        said = dict(self.fields)
        said |= {name: FieldSource(column=name) for name in fields if name in columns and name not in said}
        said["change_kind"] = FieldSource(constant="created")
        return FieldMapping(
            record_type=self.record_type, time_zone=self.time_zone, fields=said, ignore=self.ignore, ignore_others=True
        )


def read_sync_mapping(path: Path) -> SyncMapping:
    """The sync mapping that a file says. Raises MappingError naming the key at fault."""
    document = read_yaml(path)
    if isinstance(document, dict) and "record_type" not in document:
        raise MappingError(
            f"the mapping '{path}' names no record type", remedy="add a line 'record_type: AGENCY.RECORD_TYPE'"
        )
    return parsed_mapping(document, SyncMapping, place=str(path))
