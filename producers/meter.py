"""What a publisher's desk says, counted for Prometheus.

| metric | labels |
| --- | --- |
| `yekbar_desk_accepted_events_total` | record type |
| `yekbar_desk_refused_changes_total` | record type, reason |
| `yekbar_desk_flagged_events_total` | record type, rule |
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from bus.metrics import counter


class DeskMeter:
    """Counts for one record type."""

    def __init__(self, record_type: str) -> None:
        self._record_type = record_type
        self._accepted = counter("yekbar_desk_accepted_events", "Events promised to the log.", "record_type").labels(
            record_type
        )
        self._refused = counter("yekbar_desk_refused_changes", "Changes refused.", "record_type", "reason")
        self._flagged = counter("yekbar_desk_flagged_events", "Events that a rule doubts.", "record_type", "rule")

    def accept(self, events: int, flagged: Mapping[str, int]) -> None:
        """Counts events that are on their way, and those that each rule doubts."""
        self._accepted.inc(events)
        for rule, count in flagged.items():
            self._flagged.labels(self._record_type, rule).inc(count)

    def refuse(self, reasons: Iterable[str]) -> None:
        """Counts changes that are not."""
        for reason, count in Counter(reasons).items():
            self._refused.labels(self._record_type, reason).inc(count)
