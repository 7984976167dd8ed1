"""Languages: which one a caller reads, and a label in it."""

from functools import lru_cache

from registry.contracts import Labels

LANGUAGES = (b"fa", b"en")
DEFAULT = "en"
TEXTS_MAX = 1_000  # callers send few; each is read once
_TAGS_MAX = 10  # whoever lists more reads one of the first
_BYTES_MAX = 200


def language(accept_language: bytes) -> str:
    """The language of ours that `Accept-Language` prefers (RFC 9110, 12.5.4), the first of equals; else English."""
    return _preferred(accept_language[:_BYTES_MAX])


@lru_cache(TEXTS_MAX)
def _preferred(accept_language: bytes) -> str:
    best, chosen = 0.0, DEFAULT
    for part in accept_language.lower().split(b",")[:_TAGS_MAX]:
        tag, _, weight = part.partition(b";")
        name = tag.strip().partition(b"-")[0]
        quality = _quality(weight.strip())
        if name in LANGUAGES and quality > best:
            best, chosen = quality, name.decode()
    return chosen


def _quality(weight: bytes) -> float:
    """How much a language is preferred; 1 where nothing is said, and nothing where nonsense is."""
    if not weight:
        return 1.0
    try:
        quality = float(weight.removeprefix(b"q="))
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0


def in_language(labels: Labels, tongue: str) -> str:
    """A label in a language; in English where it has no other."""
    return labels.get(tongue) or labels.get(DEFAULT, "")
