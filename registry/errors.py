"""Errors of the registry.

RegistryError
├── ContractError             a contract's schema cannot be composed or read in columns
├── CatalogueError            a catalogue has mistakes: each with file, line, field
├── IncompatibleError         a schema may not follow the earlier ones of its subject name
├── UnknownSchemaError        no schema has the id that was asked for
└── RegistryUnavailableError  the schema registry does not answer: wait and go on
"""

from dataclasses import dataclass


class RegistryError(Exception):
    """Anything that the registry reports to its callers."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class ContractError(RegistryError):
    """A body schema holds a type that a contract may not use; the message names the field."""

    exit_code = 65  # EX_DATAERR of sysexits.h


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Mistake:
    """One mistake in a catalogue; `line` counts from 1, `field` is a dotted path, empty for the whole file."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return f"{place}: {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class CatalogueError(RegistryError):
    """A catalogue cannot be used; `mistakes` names every one of them."""

    exit_code = 65

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        listed = "\n".join(f"  {mistake}" for mistake in mistakes)
        counted = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"the catalogue has {counted}:\n{listed}")
        self.mistakes = mistakes


class IncompatibleError(RegistryError):
    """A schema may not follow the earlier ones; the message names the field and the rule."""

    exit_code = 65


class UnknownSchemaError(RegistryError):
    """No schema has the id or the subject name that was asked for."""


class RegistryUnavailableError(RegistryError):
    """The schema registry does not answer; the same call may go through later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h
