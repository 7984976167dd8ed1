"""Errors of the evidence API; each knows the problem that its caller is told.

EvidenceError
├── UnavailableError  the database is away, or an access cannot be recorded: no data, the same call may go through later
│   └── BusyError     more requests wait than can be answered soon
└── TokenError        the caller's token is refused
"""

import traceback
from enum import StrEnum

from consumers.errors import ConsumerError


class EvidenceError(ConsumerError):
    """Anything that the evidence API reports to its callers."""


class UnavailableError(EvidenceError):
    """No answer can be given now; nothing was disclosed."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class BusyError(UnavailableError):
    """More requests wait than can be answered soon."""

    def __init__(self) -> None:
        super().__init__("too many requests wait", remedy="come again in a second")


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
    MISSING_CLAIM = "missing-claim"
    KEYS_UNAVAILABLE = "keys-unavailable"


class TokenError(EvidenceError):
    """A token is refused; the message never holds the token."""

    def __init__(self, fault: TokenFault) -> None:
        super().__init__(f"the token is refused: {fault.value}", remedy="ask the token's issuer for a new one")
        self.fault = fault


def place_of(exc: BaseException) -> str:
    """Where an error came from, for the log: its message may hold what a caller sent, and is left out."""
    frames = traceback.extract_tb(exc.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
