"""National ids: the digits of any script fold to one canonical id, and its check digit is verified.

The scheme is data of the catalogue; a nation chooses one by name. A message never holds the id it speaks of.
"""

import unicodedata
from collections.abc import Callable, Mapping
from enum import StrEnum

from bus.errors import BusError

INPUT_CHARS_MAX = 64  # far above any scheme with separators; folding stays linear in something small


class IdFault(StrEnum):
    """Why a text is no national id; safe to log, for it says nothing of the digits."""

    NOT_DIGITS = "not-digits"
    WRONG_LENGTH = "wrong-length"
    WRONG_CHECK_DIGIT = "wrong-check-digit"


class NationalIdError(BusError):
    """A text that is not a national id under the scheme; `fault` says why, the text itself is never kept."""

    def __init__(self, fault: IdFault, scheme: str) -> None:
        super().__init__(
            f"the national id is refused: {fault.value} under scheme '{scheme}'",
            remedy="check the id at the source; leading zeros are part of it",
        )
        self.fault = fault


def fold_digits(text: str) -> str:
    """The ASCII digits of `text`, whatever script they are in; spaces, hyphens and invisible marks are dropped.

    Raises ValueError for any other character. Digit values are those of Unicode's `Nd` category (UAX #44).
    """
    if len(text) > INPUT_CHARS_MAX:
        raise ValueError("too long")
    if text.isascii() and text.isdigit():
        return text
    digits = []
    for char in text:
        if char.isspace() or char in "-‐‑–" or unicodedata.category(char) == "Cf":
            continue
        digits.append(str(unicodedata.decimal(char)))
    return "".join(digits)


def iran_check_digit(first_nine: str) -> int:
    """Iran's mod-11 rule: weights 10 to 2 over the first nine digits, remainder below 2 stands, else 11 less it."""
    remainder = sum(int(digit) * weight for digit, weight in zip(first_nine, range(10, 1, -1), strict=True)) % 11
    return remainder if remainder < 2 else 11 - remainder


def _is_iran_id(digits: str) -> bool:
    # Ten equal digits satisfy the sum but are issued to nobody.
    return len(set(digits)) > 1 and iran_check_digit(digits[:9]) == int(digits[9])


def _is_luhn_id(digits: str) -> bool:
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


SCHEMES: Mapping[str, tuple[range, Callable[[str], bool]]] = {
    "iran": (range(10, 11), _is_iran_id),
    "luhn": (range(6, 20), _is_luhn_id),
    "digits": (range(4, 20), lambda _: True),
}


def canonical_national_id(text: str, scheme: str) -> str:
    """The canonical ASCII form of `text`. Raises NationalIdError."""
    lengths, is_valid = SCHEMES[scheme]
    try:
        digits = fold_digits(text)
    except ValueError:
        raise NationalIdError(IdFault.NOT_DIGITS, scheme) from None
    if len(digits) not in lengths:
        raise NationalIdError(IdFault.WRONG_LENGTH, scheme)
    if not is_valid(digits):
        raise NationalIdError(IdFault.WRONG_CHECK_DIGIT, scheme)
    return digits
