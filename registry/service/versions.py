"""Rules over the versions of a subject name: which one is meant, and which number comes next."""

from collections.abc import Sequence

from registry.service.errors import invalid_version, not_permitted, subject_not_found, version_not_found
from registry.service.store import Version

LATEST = -1
NUMBER_MAX = 2**31 - 1


def parsed_number(text: str) -> int:
    """The number that a version's name means, LATEST for `latest`. Raises ApiError."""
    word = text.strip()
    if word.lower() in ("latest", "-1"):
        return LATEST
    if not (word.isascii() and word.isdigit()) or not 0 < int(word[:11]) <= NUMBER_MAX:
        raise invalid_version(text)
    return int(word)


def alive(versions: Sequence[Version]) -> tuple[Version, ...]:
    """The versions that are not deleted."""
    return tuple(version for version in versions if not version.is_deleted)


def chosen(versions: Sequence[Version], subject: str, number: int, *, with_deleted: bool) -> Version:
    """The version that is meant, among all of a subject name; the latest is never a deleted one. Raises ApiError."""
    counted = versions if with_deleted else alive(versions)
    if not counted:
        raise subject_not_found(subject)
    for version in reversed(alive(versions)) if number == LATEST else counted:
        if number in (LATEST, version.number):
            return version
    raise version_not_found(number)


def next_number(versions: Sequence[Version]) -> int:
    """The number of the version that follows these. Raises ApiError when none is left."""
    number = versions[-1].number + 1 if versions else 1
    if number > NUMBER_MAX:
        raise not_permitted(f"No version number is left: {NUMBER_MAX} was imported")
    return number
