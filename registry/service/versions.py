"""Rules over the versions of a subject name: which one is meant, and which number comes next."""

from collections.abc import Sequence

from registry.service.errors import invalid_version, subject_not_found, version_not_found
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


def chosen(versions: Sequence[Version], subject: str, number: int, *, with_deleted: bool) -> Version:
    """The version that is meant, among all of a subject name. Raises ApiError."""
    counted = [version for version in versions if with_deleted or not version.is_deleted]
    if not counted:
        raise subject_not_found(subject)
    if number == LATEST:
        return next((version for version in reversed(counted) if not version.is_deleted), counted[-1])
    for version in counted:
        if version.number == number:
            return version
    raise version_not_found(number)


def next_number(versions: Sequence[Version]) -> int:
    """The number of the version that follows these."""
    return versions[-1].number + 1 if versions else 1
