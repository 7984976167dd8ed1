"""Errors of the local stack."""


class StackError(Exception):
    """A part of the local stack cannot start or has stopped; the message ends with what its log says."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class AlreadyRunningError(StackError):
    """Another process holds the data folder."""

    exit_code = 3
