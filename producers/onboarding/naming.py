"""Names of fields and their labels, made from the names of columns."""

import re
from collections.abc import Iterable, Mapping

from producers.onboarding.words import has_persian, words_of
from registry.composition import BODY_FIELD, RESERVED, envelope_fields

NAME_CHARS_MAX = 56
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def field_names(columns: Iterable[str], said: Mapping[str, str]) -> dict[str, str]:
    """A body field's name for each column: what the agency says, or the column's in lower-case snake form."""
    taken = {one["name"] for one in envelope_fields()} | RESERVED | {BODY_FIELD, "national_id"}
    names: dict[str, str] = {}
    for place, column in enumerate(columns, start=1):
        name = said.get(column) or _snake(column) or f"field_{place}"
        if name in taken:
            name = f"{name}_value"
        while name in names.values():
            name = f"{name}_{place}"
        names[column] = name[:NAME_CHARS_MAX].rstrip("_")
    return names


def labels_of(column: str, comment: str, said: str | None) -> dict[str, str]:
    """The English and the Persian label: as the agency says ("English/فارسی"), by the comment, or by the name."""
    words = " ".join(words_of(column)) or column
    english, persian = words[:1].upper() + words[1:], column
    if has_persian(comment):
        persian = comment
    elif comment:
        english = comment
    if said is not None:
        english, _, after = said.partition("/")
        persian = after or english
    return {"en": english.strip(), "fa": persian.strip()}


def are_symbols(choices: Iterable[str]) -> bool:
    """Whether values can be the symbols of an Avro enum as they are."""
    return all(_SYMBOL.fullmatch(choice) for choice in choices)


def _snake(column: str) -> str:
    words = words_of(column)
    if words and words[0][0].isdigit():
        words = ["field", *words]
    return "_".join(words)
