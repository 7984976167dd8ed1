"""Compatibility levels and modes: what is set for a subject name, and what holds for it."""

from enum import StrEnum

from registry.compatibility import CompatibilityLevel
from registry.service.errors import invalid_compatibility, invalid_mode, not_permitted
from registry.service.store import GLOBAL, Tables

DEFAULT_LEVEL = CompatibilityLevel.BACKWARD


class Mode(StrEnum):
    """What may be written under a subject name."""

    READWRITE = "READWRITE"
    READONLY = "READONLY"
    READONLY_OVERRIDE = "READONLY_OVERRIDE"  # set globally, it holds for every subject name
    IMPORT = "IMPORT"  # schemas come with their ids, and nothing is compared

    def check_write(self, subject: str) -> None:
        """Raises ApiError where nothing may be written."""
        if self in (Mode.READONLY, Mode.READONLY_OVERRIDE):
            raise not_permitted(f"Subject {subject} is in read-only mode")

    def check_register(self, subject: str, *, is_import: bool) -> None:
        """Raises ApiError where a schema may not be registered, or not in this way."""
        self.check_write(subject)
        if is_import and self is not Mode.IMPORT:
            raise not_permitted(f"Subject {subject} is not in import mode")
        if not is_import and self is Mode.IMPORT:
            raise not_permitted(f"Subject {subject} is not in read-write mode")


def level_of(tables: Tables, subject: str) -> CompatibilityLevel:
    """The compatibility level that holds for a subject name."""
    own = tables.setting(subject).compatibility or tables.setting(GLOBAL).compatibility
    return CompatibilityLevel(own) if own else DEFAULT_LEVEL


def is_normalizing(tables: Tables, subject: str) -> bool:
    """Whether schemas under a subject name are kept in the spelling that equal ones share."""
    own = tables.setting(subject).normalize
    return bool(tables.setting(GLOBAL).normalize if own is None else own)


def mode_of(tables: Tables, subject: str) -> Mode:
    """The mode that holds for a subject name."""
    everywhere = tables.setting(GLOBAL).mode
    if everywhere == Mode.READONLY_OVERRIDE:
        return Mode.READONLY_OVERRIDE
    return Mode(tables.setting(subject).mode or everywhere or Mode.READWRITE)


def level_named(name: str) -> CompatibilityLevel:
    """The level of a name in any letters. Raises ApiError."""
    try:
        return CompatibilityLevel(name.upper())
    except ValueError:
        raise invalid_compatibility(", ".join(level.lower() for level in CompatibilityLevel)) from None


def mode_named(name: str) -> Mode:
    """The mode of a name in any letters. Raises ApiError."""
    try:
        return Mode(name.upper())
    except ValueError:
        raise invalid_mode(", ".join(Mode)) from None
