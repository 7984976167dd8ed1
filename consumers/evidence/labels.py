"""Languages: which one a caller reads, and a label in it."""

from registry.contracts import Labels

LANGUAGES = (b"fa", b"en")
DEFAULT = "en"
_TAGS_MAX = 10  # whoever lists more reads one of the first


def language(accept_language: bytes) -> str:
    """The first language of ours that `Accept-Language` names, else English; callers list the one they prefer first."""
    for part in accept_language.lower().split(b",")[:_TAGS_MAX]:
        tag = part.partition(b";")[0].strip()[:2]
        if tag in LANGUAGES:
            return tag.decode()
    return DEFAULT


def in_language(labels: Labels, tongue: str) -> str:
    """A label in a language; in English where it has no other."""
    return labels.get(tongue) or labels.get(DEFAULT, "")
