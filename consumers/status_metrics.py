"""How things stand, for Prometheus: what the views' tables and the ends of the log say when they are asked for.

| metric | labels |
| --- | --- |
| `yekbar_status_up` | |
| `yekbar_view_read_events`, `yekbar_view_log_events`, `yekbar_view_lag_events` | record type |
| `yekbar_view_complete_timestamp_seconds` | record type |
| `yekbar_source_missing_events`, `yekbar_source_complete_timestamp_seconds` | record type, source |
| `yekbar_quarantine_waiting_events` | record type, reason |
| `yekbar_quality_open_findings` | agency, record type, rule |
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import psycopg
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from psycopg import Connection

from bus.kafka import KafkaConnection, admin
from bus.topics import records_topic
from consumers.status_reading import read_ends, read_sources
from consumers.views import statement
from registry.contracts import Catalogue

CONNECT_TIMEOUT_S = 5  # a scrape must not hang


class StatusCollector(Collector):
    """Reads positions, sources, quarantine and findings at each scrape; counts no rows."""

    def __init__(self, catalogue: Catalogue, *, kafka: KafkaConnection, database_url: str) -> None:
        self._catalogue = catalogue
        self._admin = admin({**kafka, "log_level": 0})
        self._database_url = database_url

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; without the database only that it does not answer."""
        try:
            with psycopg.connect(self._database_url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
                found = [*self._views(connection), *_troubles(connection)]
        except psycopg.Error:
            found = []
        up = GaugeMetricFamily("yekbar_status_up", "Whether the database says how things stand.", value=bool(found))
        yield from [up, *found]

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing: the names are known when they are asked for."""
        return ()

    def _views(self, connection: Connection[Any]) -> Sequence[GaugeMetricFamily]:
        read, log, lag = (
            GaugeMetricFamily(f"yekbar_view_{name}_events", meaning, labels=["record_type"])
            for name, meaning in (
                ("read", "Events of the log that the view has read."),
                ("log", "Events of the log."),
                ("lag", "Events of the log that the view has not read."),
            )
        )
        complete = GaugeMetricFamily(
            "yekbar_view_complete_timestamp_seconds",
            "All that the log held at this time is in the view.",
            labels=["record_type"],
        )
        positions: dict[str, list[tuple[int, Any]]] = {}
        for view, _, position, caught_up_at in connection.execute(statement("status_positions.sql")):
            positions.setdefault(view, []).append((position, caught_up_at))
        ends = read_ends(self._admin, self._catalogue) or {}
        for view in self._catalogue.record_types:
            known = positions.get(view, [])
            position, end = sum(one for one, _ in known), ends.get(records_topic(view))
            read.add_metric([view], position)
            if end is not None:
                log.add_metric([view], end)
                lag.add_metric([view], max(end - position, 0))
            if known and all(at is not None for _, at in known):
                complete.add_metric([view], min(at for _, at in known).timestamp())
        return [read, log, lag, complete]


def _troubles(connection: Connection[Any]) -> Sequence[GaugeMetricFamily]:
    missing = GaugeMetricFamily(
        "yekbar_source_missing_events",
        "Events that a source numbered and the view has not received.",
        labels=["record_type", "source"],
    )
    whole = GaugeMetricFamily(
        "yekbar_source_complete_timestamp_seconds",
        "All that the source had sent until this time is in the view.",
        labels=["record_type", "source"],
    )
    for one in read_sources(connection):
        missing.add_metric([one.view, one.source], one.missing)
        if one.whole_until is not None:
            whole.add_metric([one.view, one.source], one.whole_until.timestamp())
    waiting = GaugeMetricFamily(
        "yekbar_quarantine_waiting_events", "Events that wait in quarantine.", labels=["record_type", "reason"]
    )
    for view, reason, count in connection.execute(statement("status_quarantine.sql")):
        waiting.add_metric([view, reason], count)
    findings = GaugeMetricFamily(
        "yekbar_quality_open_findings", "Findings that are open.", labels=["agency", "record_type", "rule"]
    )
    for *rule, count in connection.execute(statement("status_findings.sql")):
        findings.add_metric(rule, count)
    return [missing, whole, waiting, findings]
