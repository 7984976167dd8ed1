"""What a worker has done, and how long it took: added up for its caller, and counted for Prometheus.

| metric | labels |
| --- | --- |
| `yekbar_materializer_events_total` | record type; applied, duplicate or quarantined |
| `yekbar_materializer_findings_total` | record type |
| `yekbar_materializer_batch_events` | |
| `yekbar_materializer_event_age_seconds` | record type |
| `yekbar_materializer_step_duration_seconds` | step |
| `yekbar_materializer_joins_total` | the error that made it join anew |
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.metrics import counter, histogram

BATCH_EVENTS = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)
AGE_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3_600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a batch's events of one record type; the oldest of them was that old when it was committed."""

    record_type: str
    events: int
    applied: int
    duplicates: int
    quarantined: int
    findings: int
    age_s: float | None = None


@dataclass(slots=True)
class Tally:
    """What a worker has done since it began."""

    events: int = 0
    applied: int = 0
    duplicates: int = 0
    quarantined: int = 0
    findings: int = 0
    batches: int = 0
    seconds_by_step: dict[str, float] = field(default_factory=dict)

    def spend(self, step: str, seconds: float) -> None:
        """Adds to the time that a step has taken."""
        self.seconds_by_step[step] = self.seconds_by_step.get(step, 0.0) + seconds
        steps = histogram("yekbar_materializer_step_duration_seconds", "Time that a batch's step took.", "step")
        steps.labels(step).observe(seconds)

    def commit(self, outcomes: Sequence[Outcome]) -> None:
        """Adds a batch that is committed."""
        self.batches += 1
        for one in outcomes:
            self.events += one.events
            self.applied += one.applied
            self.duplicates += one.duplicates
            self.quarantined += one.quarantined
            self.findings += one.findings
            _count(one)
        sizes = histogram("yekbar_materializer_batch_events", "Events of a batch.", buckets=BATCH_EVENTS)
        sizes.observe(sum(one.events for one in outcomes))

    def join_anew(self, because: str) -> None:
        """Counts a failure that waiting may mend."""
        counter("yekbar_materializer_joins", "Failures after which the worker joined anew.", "because").labels(
            because
        ).inc()


def _count(one: Outcome) -> None:
    events = counter("yekbar_materializer_events", "Events by what became of them.", "record_type", "outcome")
    for outcome, count in (
        ("applied", one.applied),
        ("duplicate", one.duplicates),
        ("quarantined", one.quarantined),
    ):
        if count:
            events.labels(one.record_type, outcome).inc(count)
    if one.findings:
        counter("yekbar_materializer_findings", "Findings of quality rules.", "record_type").labels(
            one.record_type
        ).inc(one.findings)
    if one.age_s is not None:
        histogram(
            "yekbar_materializer_event_age_seconds",
            "From the log's append of a batch's oldest event to its commit.",
            "record_type",
            buckets=AGE_SECONDS,
        ).labels(one.record_type).observe(one.age_s)
