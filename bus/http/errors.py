"""Errors of an HTTP door."""

import traceback
from enum import StrEnum

from bus.errors import BusError


class TokenFault(StrEnum):
    """Why a token is refused; safe to tell, for it says nothing of the token's content."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    WRONG_ALGORITHM = "wrong-algorithm"
    WRONG_ISSUER = "wrong-issuer"
    WRONG_AUDIENCE = "wrong-audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    WRONG_CERTIFICATE = "wrong-certificate"
    NOT_BOUND = "not-bound-to-a-certificate"
    REVOKED = "revoked"
    MISSING_CLAIM = "missing-claim"
    KEYS_UNAVAILABLE = "keys-unavailable"


class TokenError(BusError):
    """A token is refused; the message never holds the token."""

    def __init__(self, fault: TokenFault) -> None:
        super().__init__(f"the token is refused: {fault.value}", remedy="ask the token's issuer for a new one")
        self.fault = fault


def place_of(exc: BaseException) -> str:
    """Where an error came from, for the log: its message may hold what a caller sent, and is left out."""
    frames = traceback.extract_tb(exc.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
