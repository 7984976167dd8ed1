"""Errors of the registry.

RegistryError
└── ContractError    a contract's schema cannot be composed or read in columns
"""


class RegistryError(Exception):
    """Anything that the registry reports to its callers."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class ContractError(RegistryError):
    """A body schema holds a type that a contract may not use; the message names the field."""

    exit_code = 65  # EX_DATAERR of sysexits.h
