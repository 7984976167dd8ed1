"""Subject names: which there may be, and what their prefixes mean."""

import unicodedata

from registry.service.errors import invalid_subject

BYTES_MAX = 2_000  # so that a name with its version fits in an index row (2,704 bytes)
SHOWN_MAX = 100  # characters of a wrong one in the message
CONTEXT = ":."  # what begins a name in a context
UNREACHABLE = ("", ".", "..")  # what HTTP clients take out of a path
DEFAULT_CONTEXT = ":.:"  # before a name it says nothing; other contexts are not kept
ALL_CONTEXTS = ":*:"


def subject_name(text: str) -> str:
    """The subject name. Raises ApiError when it cannot be one: empty, long, of a context, with control characters."""
    name = text.removeprefix(DEFAULT_CONTEXT)
    if name in UNREACHABLE or len(name.encode()) > BYTES_MAX or name.startswith(CONTEXT) or _has_controls(name):
        raise invalid_subject(text[:SHOWN_MAX])
    return name


def subject_prefix(text: str) -> str:
    """What the names start with that are asked for, maybe nothing. Raises ApiError when no name can start so."""
    start = text.removeprefix(ALL_CONTEXTS).removeprefix(DEFAULT_CONTEXT)
    return subject_name(start) if start else ""


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(letter) == "Cc" for letter in text)
