"""Errors of the bus. The class tells the loop what to do; the message says what failed, the remedy what to do next.

BusError
├── SettingError      a wrong setting: stop, one line
├── TransientError    the broker or a service is away: wait and go on
├── RefusedError      bad input, refused before the send, with a reason code
└── (NationalIdError) in bus.national_id
"""


class BusError(Exception):
    """Anything that the bus reports to its callers."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class SettingError(BusError):
    """A setting is missing or wrong."""

    exit_code = 2


class TransientError(BusError):
    """Something outside is away; the same call may go through later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class RefusedError(BusError):
    """Bad input, refused with a reason code and the field at fault; never with the value."""

    exit_code = 65  # EX_DATAERR of sysexits.h

    def __init__(self, message: str, *, reason: str, field: str = "", rule: str = "", remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.reason = reason
        self.field = field
        self.rule = rule
