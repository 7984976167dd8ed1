"""Errors of the producers. Input that is refused before the send is a `bus.errors.RefusedError`.

ProducerError
├── SourceBusyError      another process publishes as the source now
├── JournalError         the journal cannot be written or read: nothing goes out that it does not hold
├── WrongJournalError    the journal is that of another source or of another topic
├── TopicMissingError    the topic does not exist
├── DivergedError        the log holds another event under one of our sequences: two publish as one source
├── DeliveryError        the broker refuses an event for good; it stays in the journal
├── ClosedError          the publisher is closed
├── MappingError         a mapping file says what it may not, or names a column that is not there
├── NoOutboxError        the agency's database has no outbox under the name
├── SourceAwayError      an agency's database does not answer: nothing is lost, run again
├── MustDecideError      a sync found what a person must look at before anything is sent
├── ReportError          the report of refused rows cannot be written
└── UnreadableError      a file cannot be read at all: no such file, no known encoding, a broken quote
"""


class ProducerError(Exception):
    """Anything that the producers report to their callers."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class SourceBusyError(ProducerError):
    """Another process publishes as this source; one at a time may, for its sequence is one."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


class JournalError(ProducerError):
    """The journal cannot be written or read."""

    exit_code = 74  # EX_IOERR of sysexits.h


class WrongJournalError(ProducerError):
    """The journal belongs to another source, or to a topic that is no more."""

    exit_code = 78  # EX_CONFIG of sysexits.h


class TopicMissingError(ProducerError):
    """The record type's topic does not exist on the brokers."""

    exit_code = 78


class DivergedError(ProducerError):
    """The log holds an event of our source that our journal does not know under that sequence."""


class DeliveryError(ProducerError):
    """The broker refuses an event for good; it and what follows stay in the journal."""


class ClosedError(ProducerError):
    """The publisher is closed, or its sender has stopped."""


class MappingError(ProducerError):
    """A mapping is wrong, or does not fit what it maps; the message names the key or the column."""

    exit_code = 78


class ReportError(ProducerError):
    """The report of refused rows cannot be written; what was published stays published."""

    exit_code = 74


class UnreadableError(ProducerError):
    """A file cannot be read; the message says where it fails."""

    exit_code = 65


class NoOutboxError(ProducerError):
    """The agency's database has no outbox in the database schema that was named."""

    exit_code = 78


class SourceAwayError(ProducerError):
    """An agency's database does not answer, or broke off."""

    exit_code = 75


class MustDecideError(ProducerError):
    """What a sync found is so unlikely that a person must say that it is so."""

    exit_code = 78
