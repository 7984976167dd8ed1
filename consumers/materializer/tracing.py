"""Traces one event's way through a worker: a log line for each step, at most one event a second.

A line says where the log has the event and how long the step took; never what the event says, nor about whom.
"""

import time
from typing import Any

import structlog

from consumers.materializer.check import Arrived

TRACE_EVERY_S = 1.0

log = structlog.get_logger()


class Trace:
    """One event that is followed; one that is not followed says nothing."""

    def __init__(self, topic: str = "", arrived: Arrived | None = None, row: int = -1) -> None:
        self._known_at_s = 0.0 if arrived is None else arrived.known_at_ms[row] / 1000
        self._facts = (
            {}
            if arrived is None
            else {"topic": topic, "partition": arrived.partitions[row], "position": arrived.positions[row]}
        )
        self.row = row
        self._last = time.perf_counter()

    def step(self, step: str, **facts: Any) -> None:
        """Tells that the event has passed a step."""
        if not self._facts:
            return
        now = time.perf_counter()
        log.info(
            "event_traced",
            step=step,
            **self._facts,
            step_ms=round(1000 * (now - self._last), 3),
            age_ms=round(1000 * (time.time() - self._known_at_s), 1),
            **facts,
        )
        self._last = now


SILENT = Trace()


class Tracer:
    """Chooses the events that are followed."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on
        self._chosen_at = float("-inf")

    def choose(self, topic: str, arrived: Arrived) -> Trace:
        """The batch's last event, now and then."""
        now = time.monotonic()
        if not self._is_on or not arrived.values or now - self._chosen_at < TRACE_EVERY_S:
            return SILENT
        self._chosen_at = now
        trace = Trace(topic, arrived, len(arrived.values) - 1)
        trace.step("consumed", batch_events=len(arrived.values))
        return trace
