"""National ids as agencies' files have them: how long they are, and those that lost their leading zeros."""

from bus.national_id import SCHEMES, NationalIdError, canonical_national_id

ZEROS_LOST_MAX = 2  # more than two leading zeros no id has


def id_width(scheme: str) -> int | None:
    """How many digits every id of a scheme has; None when that varies."""
    lengths, _ = SCHEMES[scheme]
    return lengths.start if len(lengths) == 1 else None


def is_national_id(text: str, scheme: str) -> bool:
    """Whether a text is a national id."""
    try:
        canonical_national_id(text, scheme)
    except NationalIdError:
        return False
    return True


def lacks_zeros(text: object, scheme: str) -> bool:
    """Whether a text is no national id, but would be one with leading zeros."""
    width = id_width(scheme)
    if width is None or not isinstance(text, str) or not text.strip().isdigit():
        return False
    digits = text.strip()
    return width - ZEROS_LOST_MAX <= len(digits) < width and is_national_id(digits.zfill(width), scheme)
