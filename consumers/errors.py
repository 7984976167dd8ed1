"""Errors of the consumers. The class tells the loop what to do.

ConsumerError
├── FencedError          another process has taken a partition over: drop what is in hand, join anew
├── LogAccidentError     the log is not the one that was read before: stop, and say so; never reset silently
└── NotFoundError        what a person named does not exist
"""


class ConsumerError(Exception):
    """Anything that the consumers report to their callers."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class FencedError(ConsumerError):
    """Another process has taken the partition over, or the batch is not the next one: apply nothing."""


class LogAccidentError(ConsumerError):
    """The position lies outside the log, or the topic was made anew: a person must decide how to go on."""

    exit_code = 78  # EX_CONFIG of sysexits.h: nothing that waiting would mend


class NotFoundError(ConsumerError):
    """What a person named does not exist."""

    exit_code = 66  # EX_NOINPUT of sysexits.h
