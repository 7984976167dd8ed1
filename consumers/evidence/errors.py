"""Errors of the evidence API; each knows the problem that its caller is told.

EvidenceError
└── UnavailableError  the database is away, or an access cannot be recorded: no data, the same call may go through later
    └── BusyError     more requests wait than can be answered soon
"""

from consumers.errors import ConsumerError

NOTHING_DISCLOSED = "nothing was disclosed"


class EvidenceError(ConsumerError):
    """Anything that the evidence API reports to its callers."""


class UnavailableError(EvidenceError):
    """No answer can be given now; nothing was disclosed."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class BusyError(UnavailableError):
    """More requests wait than can be answered soon."""

    def __init__(self) -> None:
        super().__init__("too many requests wait", remedy="come again in a second")
