"""Values of a catalogue's file, each with its place: a value of the wrong form is noted as a mistake, never raised.

A wrong or absent value reads as an empty one of its type, so that reading goes on and every mistake is found at once.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

import yaml

from registry.contracts import Labels
from registry.errors import Mistake

KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # the part of BCP 47 that labels need
LANGUAGES_NEEDED = ("en", "fa")
ID_CHARS_MAX = 56  # an id names a topic, a database schema (63 bytes) and, with a suffix, more of them

_DURATION = re.compile(r"P(?:(\d{1,5})W|(?:(\d{1,5})D)?(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,5})S)?)?)")
_STR, _INT, _BOOL, _NULL = (f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "null"))

Choice = TypeVar("Choice", bound=StrEnum)


def known(names: Iterable[str]) -> str:
    """The names as a message lists them."""
    listed = sorted(names)
    return "known are " + ", ".join(f"'{name}'" for name in listed) if listed else "there are none yet"


def meant(name: str, names: Iterable[str]) -> str:
    """What to write in place of an unknown name: the closest one, or all of them."""
    listed = sorted(names)
    close = get_close_matches(name, listed, n=1)
    return f"did you mean '{close[0]}'?" if close else known(listed)


class Entry:
    """One value with its file, line and dotted path; an absent value has no node and notes nothing more."""

    def __init__(self, found: list[Mistake], *, file: str, field: str, line: int, node: yaml.Node | None) -> None:
        self._found = found
        self._node = node
        self.file = file
        self.field = field
        self.line = line

    @property
    def is_absent(self) -> bool:
        """Whether the file has no such value; an empty one (`key:`) is absent too."""
        return self._node is None

    def mistake(self, message: str, *, line: int | None = None) -> None:
        """Notes a mistake here."""
        self._found.append(Mistake(file=self.file, line=line or self.line, field=self.field, message=message))

    def inner(self, key: str, node: yaml.Node | None) -> "Entry":
        """The entry of a part of this value."""
        field = f"{self.field}.{key}" if self.field else key
        line = self.line if node is None else node.start_mark.line + 1
        return Entry(self._found, file=self.file, field=field, line=line, node=node)

    def text(self) -> str:
        """A text that is not blank."""
        value = self._scalar(_STR, "text; write it in quotes")
        if value is not None and not value.strip():
            self.mistake("the text is blank; write one")
        return (value or "").strip()

    def name(self, form: re.Pattern[str] = KEBAB) -> str:
        """An id in lower-case kebab form, or a name of another form."""
        value = self._scalar(_STR, f"a name such as {_example(form)}; write it in quotes")
        if value is None or self.is_named(value, form):
            return value or ""
        return ""

    def is_named(self, name: str, form: re.Pattern[str] = KEBAB) -> bool:
        """Whether the name has the form and length of an id; notes a mistake when not."""
        if len(name) > ID_CHARS_MAX:
            self.mistake(f"the name '{name[:20]}…' has {len(name)} characters; write {ID_CHARS_MAX} at most")
        elif not form.fullmatch(name):
            self.mistake(f"'{name}' is no name of the form {_example(form)}; write it so")
        else:
            return True
        return False

    def boolean(self) -> bool:
        """True or false."""
        value = self._scalar(_BOOL, "true or false")
        if value is not None and value.lower() not in ("true", "false"):
            self.mistake(f"must be true or false, not '{value}'")
        return value is not None and value.lower() == "true"

    def positive(self) -> int:
        """A whole number above zero."""
        value = self._scalar(_INT, "a whole number")
        if value is None:
            return 0
        if not re.fullmatch(r"[1-9][0-9]{0,17}", value):
            self.mistake(f"must be a whole number above zero in plain digits, not '{value}'")
            return 0
        return int(value)

    def day(self) -> date:
        """A calendar day."""
        value = self._scalar(None, "a day such as 2026-01-31")
        if value is None:
            return date.min
        try:
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
                raise ValueError
            return date.fromisoformat(value)
        except ValueError:
            self.mistake(f"'{value}' is no day; write one such as 2026-01-31")
            return date.min

    def duration(self) -> timedelta:
        """An ISO 8601 duration above zero; years and months are refused, for their length varies."""
        value = self._scalar(None, "a duration such as PT15M or P1D")
        if value is None:
            return timedelta()
        parts = _DURATION.fullmatch(value)
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in parts.groups()) if parts else (0,) * 5
        length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        if not length:
            self.mistake(
                f"'{value}' is no duration above zero; write weeks, or days and time, as PT15M, P1D or P1DT12H"
            )
        return length

    def choice(self, choices: type[Choice]) -> Choice:
        """One of the choices; the first when there is none."""
        options = [str(choice) for choice in choices]
        value = self._scalar(None, f"one of {', '.join(options)}")
        if value is not None and value not in options:
            self.mistake(f"'{value}' is unknown; {meant(value, options)}")
        return choices(value) if value in options else next(iter(choices))

    def labels(self) -> Labels:
        """A text in each language, English and Persian at least."""
        parts = dict(self.pairs(LANGUAGE))
        if not self.is_absent:
            for language in LANGUAGES_NEEDED:
                if language not in parts:
                    self.mistake(f"the label in '{language}' is missing; write {{en: …, fa: …}}")
        return {language: entry.text() for language, entry in parts.items()}

    def items(self) -> list["Entry"]:
        """The members of a list that is not empty."""
        if not isinstance(self._node, yaml.SequenceNode):
            self._wrong("a list")
            return []
        if not self._node.value:
            self.mistake("the list is empty; write at least one")
        return [self.inner(str(place), node) for place, node in enumerate(self._node.value)]

    def pairs(self, form: re.Pattern[str] = KEBAB) -> Iterator[tuple[str, "Entry"]]:
        """The members of a mapping whose keys are names of a form; the first of equal keys."""
        for key, entry in self._mapping():
            if entry.is_named(key, form):
                yield key, entry

    def members(self, *needed: str, also: Iterable[str] = ()) -> Mapping[str, "Entry"]:
        """The values of a mapping whose keys are fixed; those that are needed must be there."""
        names = {*needed, *also}
        parts = {name: self.inner(name, None) for name in names}
        for key, entry in self._mapping():
            if key not in names:
                entry.mistake(f"unknown key '{key}'; {meant(key, names)}")
            else:
                parts[key] = entry
        if isinstance(self._node, yaml.MappingNode):
            for name in needed:
                if parts[name].is_absent:
                    parts[name].mistake("is missing; write it")
        return parts

    def _mapping(self) -> Iterator[tuple[str, "Entry"]]:
        if not isinstance(self._node, yaml.MappingNode):
            self._wrong("a mapping of keys to values")
            return
        seen: set[str] = set()
        for key_node, value in self._node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            entry = self.inner(key or "?", _present(value))
            entry.line = key_node.start_mark.line + 1
            if not key or key_node.tag != _STR:
                entry.mistake(f"the key '{key}' is no text; write it in quotes, or another one")
            elif key in seen:
                entry.mistake(f"the key '{key}' is there twice; leave one of them out")
            else:
                seen.add(key)
                yield key, entry

    def _scalar(self, tag: str | None, wanted: str) -> str | None:
        if isinstance(self._node, yaml.ScalarNode) and tag in (None, self._node.tag):
            return str(self._node.value)
        self._wrong(wanted)
        return None

    def _wrong(self, wanted: str) -> None:
        if isinstance(self._node, yaml.ScalarNode):
            self.mistake(f"must be {wanted}, not '{self._node.value}'")
        elif self._node is not None:
            kind = "a list" if isinstance(self._node, yaml.SequenceNode) else "a mapping"
            self.mistake(f"must be {wanted}, not {kind}")


def _present(node: yaml.Node) -> yaml.Node | None:
    return None if node.tag == _NULL else node


def _example(form: re.Pattern[str]) -> str:
    return {KEBAB: "'tax-status'", SNAKE: "'tax_status'", LANGUAGE: "'fa'"}.get(form, f"'{form.pattern}'")
