"""`yekbar sync --from-topic`: a Debezium change topic in the place of the table."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bus.errors import TransientError
from deploy.wiring import Wiring
from producers.capture.capturing import Capture, source_of
from producers.capture.state import CaptureState
from producers.capture.topic import ChangeTopic
from producers.heartbeat import Heart
from producers.publisher import Publisher
from producers.sync.mapping import SyncMapping
from producers.sync.outcome import Accepted, Outcome, RefusedRow
from registry.contracts import RecordType

BROKER_AWAY_MAX_S = 120.0  # a broker that is away so long is told; the next run goes on there


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRun:
    """What the command was asked to do."""

    wiring: Wiring
    record_type: RecordType
    mapping: SyncMapping
    topic: str
    place: str
    state: Path
    accepted: Accepted

    def capture(
        self,
        must_stop: threading.Event,
        *,
        goes_on: bool,
        on_refused: Callable[[RefusedRow], None],
        on_progress: Callable[[Outcome], None],
    ) -> Outcome:
        """Reads the topic to its end as it is now, or until it must stop; returns when the log has all of it."""
        with self._opened(on_refused) as (capture, topic, publisher, heart):
            started = capture.begin(topic)
            ends = None if goes_on else topic.ends(started)
            while not must_stop.is_set() and not (ends is not None and capture.is_past(ends)):
                had_any = self._take(capture, topic, on_progress)
                if not had_any and publisher.is_idle:
                    self._beat(heart, publisher, capture.complete_until)
            publisher.flush()
            self._beat(heart, publisher, capture.complete_until)
            return capture.outcome

    def _take(self, capture: Capture, topic: ChangeTopic, on_progress: Callable[[Outcome], None]) -> bool:
        until = time.monotonic() + BROKER_AWAY_MAX_S
        while True:
            try:
                return capture.take(topic, on_progress=on_progress)
            except TransientError:
                if time.monotonic() > until:
                    raise

    def _beat(self, heart: Heart, publisher: Publisher, until: datetime | None) -> None:
        """How far the source has come: to the last commit that was read, for a connector may be behind or away."""
        if until is None:
            return
        heart.beat(
            self.record_type,
            source=source_of(self.mapping),
            last_sequence=publisher.last_sequence,
            complete_until=until,
        )

    @contextmanager
    def _opened(
        self, on_refused: Callable[[RefusedRow], None]
    ) -> Iterator[tuple[Capture, ChangeTopic, Publisher, Heart]]:
        wiring, state = self.wiring, CaptureState(self.state)
        publisher = Publisher(
            self.record_type,
            source=source_of(self.mapping),
            kafka=wiring.kafka,
            registry=wiring.registry,
            pseudonymizer=wiring.pseudonymizer,
            journal=state,
        )
        heart = Heart(kafka=wiring.kafka, registry=wiring.registry)
        try:
            with publisher, ChangeTopic(wiring.kafka, self.topic) as topic:
                capture = Capture(
                    self.record_type,
                    self.mapping,
                    publisher=publisher,
                    state=state,
                    registry=wiring.registry,
                    pseudonymizer=wiring.pseudonymizer,
                    place=self.place,
                    accepted=self.accepted,
                    on_refused=on_refused,
                )
                yield capture, topic, publisher, heart
        finally:
            heart.close()
