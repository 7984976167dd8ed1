"""Errors of the local stack.

StackError
├── PartDiedError         a part's process has ended by itself; the message quotes its log
├── StartCancelledError   somebody asked to stop while the part was starting
└── AlreadyRunningError   another process holds the data folder
"""


class StackError(Exception):
    """A part of the local stack cannot start or has stopped; the message ends with what its log says."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class PartDiedError(StackError):
    """A part's process has ended by itself; `was_killed` by a signal, as a Java machine that crashes is."""

    def __init__(self, message: str, *, was_killed: bool, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.was_killed = was_killed


class StartCancelledError(StackError):
    """Somebody asked to stop while the part was starting."""


class AlreadyRunningError(StackError):
    """Another process holds the data folder."""

    exit_code = 3
