"""Checks what was read of one topic and lays it out in columns; what cannot be taken has a reason. Pure.

1. `_sort_by_schema`  each value is framed with the id of a schema that is approved for this topic
2. `_decode`          all values of one schema in columns; a malformed one is told apart
3. `_judge`           key, envelope, text and quality rules; the first broken rule is the reason
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from bus.columns import Decoder
from bus.envelope_rules import envelope_rules, first_broken, nul_rule
from bus.framing import FRAME_BYTES, schema_id_of
from bus.reasons import Reason
from bus.topics import event_subject_name, records_topic
from consumers.quality import DOUBTED
from registry.client import SchemaRegistry
from registry.composition import BODY_FIELD, event_schema
from registry.contracts import QualityRule, RecordType, Severity
from registry.errors import UnknownSchemaError
from registry.quality import Gate

Header = tuple[str, bytes | None]


def no_headers(_: int) -> Sequence[Header]:
    """The headers of messages that have none."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Messages of one topic, in the order of each partition: lists of one length. Times are milliseconds since 1970."""

    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    partitions: Sequence[int]
    positions: Sequence[int]
    known_at_ms: Sequence[int]
    headers: Callable[[int], Sequence[Header]] = no_headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A message that cannot be taken, by its row among those that arrived; `detail` holds no one's data."""

    row: int
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """`events` are all that could be read: the columns of `facts` but `voided_by`, and `source`, `sequence`, `row`.

    Its column `reason` is null where an event can be taken. `refused` are all that cannot, those of `events` included.
    `doubts` has a row for each event that can be taken and each rule that flags it: DOUBTED, `rule` and `field`.
    """

    events: pl.DataFrame
    refused: tuple[Refused, ...]
    doubts: pl.DataFrame


class Checker:
    """Checks the messages of one record type's topic."""

    def __init__(self, record_type: RecordType, registry: SchemaRegistry) -> None:
        self.record_type = record_type
        self._registry = registry
        self._subject_name = event_subject_name(records_topic(record_type.id))
        self._columns = Decoder(0, event_schema(record_type)).columns
        self._gate = Gate(record_type)
        self._decoders: dict[bytes, Decoder] = {}

    def check(self, arrived: Arrived) -> Checked:
        """What can be taken, in columns, and what cannot. Raises RegistryUnavailableError."""
        refused: list[Refused] = []
        parts = [
            self._decode(arrived, decoder, rows, refused)
            for decoder, rows in self._sort_by_schema(arrived.values, refused)
        ]
        decoded = pl.concat(parts) if parts else self._laid_out(pl.DataFrame(schema=self._columns), arrived, [])
        judged, doubts = self._judge(decoded.sort("row") if len(parts) > 1 else decoded)
        bad = judged.filter(pl.col("reason").is_not_null()).select("row", "reason", "detail")
        refused += [
            Refused(row=row, reason=Reason(reason), detail=detail or "") for row, reason, detail in bad.iter_rows()
        ]
        return Checked(events=judged, refused=tuple(sorted(refused, key=lambda one: one.row)), doubts=doubts)

    def _sort_by_schema(
        self, values: Sequence[bytes | None], refused: list[Refused]
    ) -> list[tuple[Decoder, Sequence[int]]]:
        prefixes = [b"" if value is None else value[:FRAME_BYTES] for value in values]
        distinct = set(prefixes)
        sorted_out: list[tuple[Decoder, Sequence[int]]] = []
        for prefix in distinct:
            rows = range(len(values)) if len(distinct) == 1 else [i for i, one in enumerate(prefixes) if one == prefix]
            decoder, reason, detail = self._approved(prefix)
            if decoder is not None:
                sorted_out.append((decoder, rows))
                continue
            for row in rows:
                is_null = values[row] is None
                refused.append(Refused(row=row, reason=Reason.NULL_VALUE if is_null else reason, detail=detail))
        return sorted_out

    def _approved(self, prefix: bytes) -> tuple[Decoder | None, Reason, str]:
        """The decoder of a schema that may stand on this topic, or why it may not. What is refused is asked again."""
        if prefix in self._decoders:
            return self._decoders[prefix], Reason.UNKNOWN_SCHEMA, ""
        schema_id = schema_id_of(prefix)
        if schema_id is None:
            return None, Reason.UNKNOWN_MAGIC_BYTE, ""
        try:
            names = self._registry.subject_names(schema_id)
            schema = self._registry.schema(schema_id)
        except UnknownSchemaError:
            return None, Reason.UNKNOWN_SCHEMA, f"schema id {schema_id}"
        if self._subject_name not in names:
            return None, Reason.WRONG_RECORD_TYPE, f"schema id {schema_id}"
        decoder = Decoder(schema_id, schema)
        ahead = set(decoder.columns) - set(self._columns)
        if ahead:
            return None, Reason.SCHEMA_AHEAD_OF_CONTRACT, f"{BODY_FIELD} fields {', '.join(sorted(ahead))}"
        self._decoders[prefix] = decoder
        return decoder, Reason.UNKNOWN_SCHEMA, ""

    def _decode(self, arrived: Arrived, decoder: Decoder, rows: Sequence[int], refused: list[Refused]) -> pl.DataFrame:
        values = [arrived.values[row] for row in rows] if len(rows) < len(arrived.values) else arrived.values
        decoded = decoder.decode(values)  # type: ignore[arg-type]  # a null value has no decoder
        refused += [Refused(row=rows[index], reason=Reason.MALFORMED_PAYLOAD) for index in decoded.malformed]
        return self._laid_out(decoded.frame, arrived, [rows[index] for index in decoded.rows])

    def _laid_out(self, frame: pl.DataFrame, arrived: Arrived, rows: Sequence[int]) -> pl.DataFrame:
        """The columns of today's contract, whatever version the schema was, beside the message's own."""
        is_whole = len(rows) == len(arrived.values)  # the common case takes the lists as they are

        def taken(column: Sequence[Any]) -> Sequence[Any]:
            return column if is_whole else [column[row] for row in rows]

        columns = [
            (pl.col(name) if name in frame.columns else pl.lit(None)).cast(kind) for name, kind in self._columns.items()
        ]
        return frame.select(
            *(column.alias(name) for column, name in zip(columns, self._columns, strict=True)),
            pl.Series("key", taken(arrived.keys), pl.Binary),
            pl.Series("partition", taken(arrived.partitions), pl.Int32),
            pl.Series("position", taken(arrived.positions), pl.Int64),
            pl.Series("known_at", taken(arrived.known_at_ms), pl.Int64)
            .cast(pl.Datetime("ms", "UTC"))
            .dt.cast_time_unit("us"),
            pl.Series("row", rows, pl.Int64),
        )

    def _judge(self, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        rules = [(Reason.KEY_MISMATCH, pl.col("key").ne_missing(pl.col("subject")))]
        rules += envelope_rules(self.record_type.record_key_field)
        text = nul_rule(events)
        if text is not None:
            rules.append(text)
        judged = events.with_columns(reason=first_broken(rules), detail=pl.lit(None, pl.String))
        return self._with_quality(judged)

    def _with_quality(self, events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """A broken rule that refuses is the reason; one that flags puts its field under investigation, and is noted."""
        masks = self._gate.broken(events)
        flagging: list[tuple[QualityRule, pl.Series]] = []
        for name, rule in self._gate.rules.items():
            broken = masks[name]
            if not broken.any():
                continue
            if rule.severity is Severity.REFUSE:
                is_first = broken & events["reason"].is_null()
                events = events.with_columns(
                    reason=pl.when(is_first).then(pl.lit(str(Reason.QUALITY_RULE))).otherwise("reason"),
                    detail=pl.when(is_first).then(pl.lit(f"rule '{name}'")).otherwise("detail"),
                )
            else:
                flagging.append((rule, broken))
                doubted = pl.col("under_investigation").list.set_union(pl.lit([rule.field], pl.List(pl.String)))
                events = events.with_columns(
                    under_investigation=pl.when(broken).then(doubted).otherwise("under_investigation")
                )
        return events, _doubts(events, flagging)


def _doubts(events: pl.DataFrame, flagging: Sequence[tuple[QualityRule, pl.Series]]) -> pl.DataFrame:
    """Which rules flag which events that can be taken."""
    parts = [
        events.filter(broken & events["reason"].is_null()).select(
            *DOUBTED, pl.lit(rule.id).alias("rule"), pl.lit(rule.field).alias("field")
        )
        for rule, broken in flagging
    ]
    return pl.concat(parts) if parts else pl.DataFrame()
