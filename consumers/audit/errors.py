"""Errors of the audit. A difference or a finding is a result, never an error.

ConsumerError
└── AuditError
    ├── UnreadableLogError   the log does not reach as far as was asked, or does not answer
    └── ScratchError         a replay cannot be kept under the name that was asked
"""

from consumers.errors import ConsumerError


class AuditError(ConsumerError):
    """The audit cannot be made, and says nothing about the views."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h: 1 means that the audit found something


class UnreadableLogError(AuditError):
    """The log does not reach as far as was asked, or does not answer."""

    exit_code = 66  # EX_NOINPUT of sysexits.h


class ScratchError(AuditError):
    """A replay cannot be kept under the name that was asked."""

    exit_code = 64  # EX_USAGE of sysexits.h
