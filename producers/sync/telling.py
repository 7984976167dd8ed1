"""From compared rows to events: what is new is created in columns, what changed or is gone as its history demands."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import polars as pl

from bus.columns import HAS_BODY
from bus.envelope import ChangeKind
from producers.columns import series_of
from producers.desk import INSTANT, NATIONAL_ID, SUBJECT
from producers.subjects import Subjects
from producers.sync.digests import Digests
from producers.sync.history import Entry, Identity, Teller, Telling, Told, packed, unpacked
from producers.sync.mapping import Gone, Meaning
from producers.sync.state import RowState
from registry.contracts import RecordType

EVENTS_TOGETHER_MAX = 5_000  # of changed rows; all events of a row go out in one promise
_GONE = b"gone"
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events for a publisher; `rows` says by the last event of each row what is known of it then.

    `places` says which of the compared rows each event tells; gone rows have none. Of `silent` rows nothing is told.
    """

    frame: pl.DataFrame
    rows: Mapping[bytes, RowState]
    places: pl.Series | None = None
    silent: Sequence[RowState] = ()


class RowTeller:
    """Makes the events of one record type's rows."""

    def __init__(self, record_type: RecordType, *, digests: Digests, subjects: Subjects, meaning: Meaning) -> None:
        self._body = tuple(field["name"] for field in record_type.body["fields"])
        self._key_field = record_type.record_key_field
        self._digests = digests
        self._subjects = subjects
        self._meaning = meaning

    def identified(self, changes: pl.DataFrame, *, noticed_at: datetime) -> pl.DataFrame:
        """The rows with subject and record key, each as a created fact."""
        recorded = [pl.col("recorded_at").fill_null(noticed_at)] if "recorded_at" in changes.columns else []
        key = pl.lit("") if self._key_field is None else pl.col(self._key_field)
        return changes.drop(NATIONAL_ID).with_columns(
            self._subjects.of_column(changes[NATIONAL_ID]).subjects.alias(SUBJECT),
            *(recorded or [pl.lit(noticed_at).cast(INSTANT).alias("recorded_at")]),
            pl.col("record_key") if "record_key" in changes.columns else key.alias("record_key"),
            pl.lit(True).alias(HAS_BODY),
        )

    def new(self, rows: pl.DataFrame, keys: Sequence[bytes], digests: Sequence[bytes]) -> Events:
        """The events of rows that were never seen."""
        event_ids = [
            self._digests.event_id(key, digest, version=1, place=0) for key, digest in zip(keys, digests, strict=True)
        ]
        since = rows["effective_from"].to_physical().fill_null(0)
        columns = zip(keys, digests, event_ids, rows[SUBJECT], rows["record_key"], since, strict=True)
        states = {
            event_id: RowState(key, digest, 1, subject, record_key, packed((Entry(event_id, start, False),)))
            for key, digest, event_id, subject, record_key, start in columns
        }
        places = pl.int_range(rows.height, eager=True)
        return Events(frame=rows.with_columns(pl.Series("event_id", event_ids)), rows=states, places=places)

    def changed(self, rows: pl.DataFrame, digests: Sequence[bytes], states: Sequence[RowState]) -> Iterator[Events]:
        """The events of rows that say something else than before, or are there again. Each row passes the desk."""
        starts = rows["effective_from"].to_physical().to_list()
        identities = map(Identity, rows[SUBJECT].to_list(), rows["record_key"].to_list())
        told = (
            self._told(state, digest, identity, partial(self._meant, identity=identity, start=start))
            for state, digest, identity, start in zip(states, digests, identities, starts, strict=True)
        )
        for first, some in _together(told):
            tellings = [telling for _, one in some for telling in one]
            places = [first + place for place, (_, one) in enumerate(some) for _ in one]
            yield Events(frame=self._frame(rows[places], tellings), rows=_by_last_event(some), places=pl.Series(places))

    def gone(self, states: Iterable[RowState], *, meaning: Gone, noticed_at: datetime) -> Iterator[Events]:
        """The events of rows that are there no longer."""
        now = _micros(noticed_at)

        def end(teller: Teller) -> Told:
            return teller.ceased(now) if meaning is Gone.CEASED else teller.annulled()

        told = (self._told(state, None, Identity(state.subject, state.record_key), end) for state in states)
        for _, some in _together(told):
            tellings = [telling for _, one in some for telling in one]
            blank = pl.DataFrame({"recorded_at": pl.Series([noticed_at] * len(tellings), dtype=INSTANT)})
            silent = [row for row, one in some if not one]
            yield Events(frame=self._frame(blank, tellings), rows=_by_last_event(some), silent=silent)

    def _meant(self, teller: Teller, *, identity: Identity, start: int) -> Told:
        is_state = self._meaning is Meaning.STATE
        return teller.state(identity, start) if is_state else teller.fact(identity, start)

    def _told(
        self, state: RowState, digest: bytes | None, identity: Identity, tell: Callable[[Teller], Told]
    ) -> tuple[RowState, Sequence[Telling]]:
        version = state.version + 1

        def next_id(place: int) -> bytes:
            return self._digests.event_id(state.key, digest or _GONE, version=version, place=place)

        told = tell(Teller(unpacked(state.history), Identity(state.subject, state.record_key), next_id))
        row = RowState(state.key, digest, version, identity.subject, identity.record_key, packed(told.history))
        return row, told.tellings

    def _frame(self, rows: pl.DataFrame, tellings: Sequence[Telling]) -> pl.DataFrame:
        """One event a row: those that do not tell the row have neither its body nor its period."""
        tells = pl.Series(HAS_BODY, [one.tells_row for one in tellings], dtype=pl.Boolean)
        said = [name for name in ("effective_to", "under_investigation", *self._body) if name in rows.columns]
        return rows.with_columns(
            *(pl.when(tells).then(pl.col(name)).alias(name) for name in said),
            pl.Series("change_kind", [str(one.change_kind) for one in tellings], dtype=pl.String),
            pl.Series(SUBJECT, [one.identity.subject for one in tellings], dtype=pl.Binary),
            pl.Series("record_key", [one.identity.record_key for one in tellings], dtype=pl.String),
            pl.Series("effective_from", [one.effective_from for one in tellings], dtype=pl.Int64).cast(INSTANT),
            pl.Series("event_id", [one.event_id for one in tellings], dtype=pl.Binary),
            series_of("previous_event_id", [one.previous_event_id for one in tellings], pl.Binary()),
            tells,
        )


def _together(
    told: Iterable[tuple[RowState, Sequence[Telling]]],
) -> Iterator[tuple[int, list[tuple[RowState, Sequence[Telling]]]]]:
    """Rows whose events go out together, and the place of the first of them."""
    some: list[tuple[RowState, Sequence[Telling]]] = []
    first = events = 0
    for one in told:
        some.append(one)
        events += len(one[1])
        if events >= EVENTS_TOGETHER_MAX:
            yield first, some
            first += len(some)
            some, events = [], 0
    if some:
        yield first, some


def _by_last_event(some: Sequence[tuple[RowState, Sequence[Telling]]]) -> Mapping[bytes, RowState]:
    return {tellings[-1].event_id: row for row, tellings in some if tellings}


def _micros(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND


def kinds_of(frame: pl.DataFrame) -> Mapping[str, int]:
    """How many events of each kind a frame has."""
    counted = frame["change_kind"].value_counts()
    return {str(ChangeKind(kind)): count for kind, count in counted.iter_rows()}
