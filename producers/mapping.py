"""Mappings: which column of an agency's file or table says which field of a change, and how it is written there.

A mapping is data that the agency keeps (YAML). Without one, a column says the field of its own name.
"""

from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from producers.errors import MappingError


class Calendar(StrEnum):
    """How years, months and days are counted in a column."""

    GREGORIAN = "gregorian"
    JALALI = "jalali"


def _as_text(value: Any) -> Any:
    """A scalar of YAML as an agency's file would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, int | float) else value


Model = TypeVar("Model", bound=BaseModel)
Text = Annotated[str, BeforeValidator(_as_text)]


class FieldSource(BaseModel):
    """Where one field comes from: a column or a constant, and how the column's text is to be read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    constant: Text | None = None
    values: dict[Text, Text] | None = None
    format: str | None = None
    calendar: Calendar = Calendar.GREGORIAN
    width: int | None = Field(default=None, ge=1, le=64)
    separator: str = Field(default="|", min_length=1)

    @model_validator(mode="after")
    def _says_one_thing(self) -> "FieldSource":
        if (self.column is None) == (self.constant is None):
            raise ValueError("say either 'column' or 'constant'")
        if self.format is not None and self.calendar is Calendar.JALALI:
            raise ValueError("jalali days are read as year, month, day: leave 'format' out")
        return self


def _from_column(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class FieldMapping(BaseModel):
    """A whole mapping. Times without a zone are in `time_zone`; columns that no field names are a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record_type: str | None = None
    time_zone: str = "UTC"
    fields: dict[str, Annotated[FieldSource, BeforeValidator(_from_column)]] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    ignore_others: bool = False

    @model_validator(mode="after")
    def _knows_its_zone(self) -> "FieldMapping":
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"there is no time zone '{self.time_zone}'") from None
        return self


def read_mapping(path: Path) -> FieldMapping:
    """The mapping that a file says. Raises MappingError naming the key at fault."""
    return parsed_mapping(read_yaml(path), FieldMapping, place=str(path))


def read_yaml(path: Path) -> Any:
    """The document of a YAML file. Raises MappingError."""
    try:
        # Every scalar as it is written: a column may be called NO, and a code may be 01.
        return yaml.load(path.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise MappingError(f"the mapping '{path}' cannot be read: {exc}") from exc


def parsed_mapping(document: Any, model: type[Model], *, place: str) -> Model:
    """A document as a mapping. Raises MappingError naming the key at fault."""
    try:
        return model.model_validate(document)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the document"
        told = first["msg"].removeprefix("Value error, ")
        raise MappingError(
            f"the mapping '{place}' is wrong at '{key}': {told[0].lower()}{told[1:]}", remedy="correct it and run again"
        ) from None
