"""Logs: events with facts as keys, one a line, on standard error; for a machine as JSON, for a person in columns."""

import logging
import sys
from typing import Any

import structlog


def configure_logging() -> None:
    """Called once, where a process begins; standard output is for facts alone."""
    renderer: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
