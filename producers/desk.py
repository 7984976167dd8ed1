"""The desk in columns: the rows of a frame that may be sent, and for each other row the field and the reason.

The same rules as `producers.validation` says for one change; those of the envelope and of quality are the very
expressions that consumers evaluate. A refused row is told by its index, never by a value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import polars as pl

from bus.columns import HAS_BODY
from bus.envelope_rules import YEAR_FIRST, YEAR_LAST, envelope_rules
from bus.errors import RefusedError
from bus.reasons import Reason
from producers.columns import KINDS, Layout
from producers.subjects import Subjects
from producers.validation import refused
from registry.contracts import QualityRule, RecordType, Severity
from registry.quality import Gate

NATIONAL_ID = "national_id"
SUBJECT = "subject"  # in the place of the id, from who knows the person by nothing else any more
INSTANT = pl.Datetime("us", "UTC")
GIVEN: Mapping[str, pl.DataType] = {  # what a frame of changes may say beside the body's fields
    NATIONAL_ID: pl.String(),
    "change_kind": pl.String(),
    "effective_from": INSTANT,
    "effective_to": INSTANT,
    "recorded_at": INSTANT,
    "record_key": pl.String(),
    "previous_event_id": pl.Binary(),
    "under_investigation": pl.List(pl.String),
    "event_id": pl.Binary(),
    HAS_BODY: pl.Boolean(),
}
NEEDED = (NATIONAL_ID, "change_kind", "effective_from")
ROW = "row"
REFUSED_COLUMNS: Mapping[str, pl.DataType] = {
    ROW: pl.Int64(),
    "field": pl.String(),
    "reason": pl.String(),
    "rule": pl.String(),
}

_ID_BYTES = 16
_LABEL = "label"
_FIELD_OF: Mapping[Reason, str] = {
    Reason.SEQUENCE_NOT_POSITIVE: "sequence",
    Reason.MISSING_PREVIOUS_EVENT: "previous_event_id",
    Reason.UNEXPECTED_PREVIOUS_EVENT: "previous_event_id",
    Reason.MISSING_BODY: "body",
    Reason.UNEXPECTED_BODY: "body",
    Reason.RECORD_KEY_MISMATCH: "record_key",
    Reason.EMPTY_PERIOD: "effective_to",
    Reason.RECORDED_IN_FUTURE: "recorded_at",
    Reason.EFFECTIVE_TOO_FAR_AHEAD: "effective_from",
}

Broken = tuple[Reason, str, pl.Expr]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """`events` are in the layout of the record type, with their `row` and all doubts; `refused` has REFUSED_COLUMNS.

    `flagged` counts the events that each rule doubts, by the rule's id.
    """

    events: pl.DataFrame
    refused: pl.DataFrame
    flagged: Mapping[str, int] = field(default_factory=dict)


class Desk:
    """Checks frames of changes to records of one type."""

    def __init__(self, record_type: RecordType, subjects: Subjects) -> None:
        self.layout = Layout(record_type)
        self._record_type = record_type
        self._subjects = subjects
        self._gate = Gate(record_type)
        self._flagging = [rule for rule in record_type.rules if rule.severity is Severity.FLAG]
        self._refusing = [rule for rule in record_type.rules if rule.severity is Severity.REFUSE]
        self._fields = {field["name"]: field["type"] for field in record_type.body["fields"]}
        self._labels = [_labelled(broken) for broken in self._rules()]

    @property
    def has_refusing_rules(self) -> bool:
        """Whether the contract has quality rules that refuse."""
        return bool(self._refusing)

    def check(self, frame: pl.DataFrame, *, now: datetime) -> Checked:
        """The rows that may be sent and those that may not. Raises RefusedError when a whole column is at fault."""
        known = frame[SUBJECT] if SUBJECT in frame.columns else None
        if known is not None:
            frame = frame.drop(SUBJECT).with_columns(pl.lit(None, pl.String).alias(NATIONAL_ID))
        given, mistyped = self._typed(frame)
        rows = given.with_columns(
            (self._subjects.of_column(given[NATIONAL_ID]).subjects if known is None else known).alias(SUBJECT),
            change_kind=pl.col("change_kind").replace_strict(
                KINDS, range(len(KINDS)), default=None, return_dtype=pl.Int32
            ),
            recorded_at=pl.col("recorded_at") if "recorded_at" in frame.columns else pl.lit(now).cast(INSTANT),
            known_at=pl.lit(now).cast(INSTANT),
            sequence=pl.lit(1),
        )
        lost = [_labelled((Reason.INVALID_FIELD, name, pl.col(_lost(name)))) for name in mistyped]
        labelled = rows.with_columns(pl.coalesce(*lost, *self._labels).alias(_LABEL)).with_row_index(ROW)
        good = labelled.filter(pl.col(_LABEL).is_null()).select(ROW, *self.layout.types)
        judged = self.judge(good)
        bad = _told(labelled.filter(pl.col(_LABEL).is_not_null()))
        return replace(judged, refused=pl.concat([bad, judged.refused]).sort(ROW))

    def judge(self, events: pl.DataFrame) -> Checked:
        """The events by the quality rules: those that may be sent, with what is doubted, and those that may not.

        Events are in the layout of the record type, with the column `row`. The first rule that refuses counts.
        """
        none = pl.DataFrame(schema=REFUSED_COLUMNS)
        masks = self._gate.broken(events)
        broken = {name for name in masks.columns if masks[name].any()}
        doubting = [rule for rule in self._flagging if rule.id in broken]
        refusing = [rule for rule in self._refusing if rule.id in broken]
        if doubting:
            events = events.with_columns(_doubted(masks, doubting))
        if not refusing:
            return Checked(events=events, refused=none, flagged=_counted(masks, doubting))
        is_refused = masks.select(pl.any_horizontal(rule.id for rule in refusing)).to_series()
        return Checked(
            events=events.filter(~is_refused),
            refused=_first_broken(events[ROW], masks, refusing).filter(is_refused),
            flagged=_counted(masks.filter(~is_refused), doubting),
        )

    def _typed(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
        """Every column that there may be in its type, and the columns where some value has no place in that type."""
        types = {**GIVEN, **{name: self.layout.types[name] for name in self.layout.body_names}}
        for name in frame.columns:
            if name not in types:
                raise self._refused_column(name)
        for name in NEEDED:
            if name not in frame.columns:
                raise self._refused_column(name)
        columns = {name: self._cast(frame[name], kind) for name, kind in types.items() if name in frame.columns}
        mistyped = [name for name, column in columns.items() if column.null_count() > frame[name].null_count()]
        lost = [(columns[name].is_null() & frame[name].is_not_null()).alias(_lost(name)) for name in mistyped]
        typed = pl.DataFrame([column.alias(name) for name, column in columns.items()] + lost)
        absent = [pl.lit(None, kind).alias(name) for name, kind in types.items() if name not in columns]
        return self._completed(typed.with_columns(absent), frame.columns), mistyped

    def _completed(self, typed: pl.DataFrame, given: Iterable[str]) -> pl.DataFrame:
        """What a frame may leave out: whether there is a body, its key, and doubts."""
        key_field = self._record_type.record_key_field
        body = [pl.col(name).is_not_null() for name in self.layout.body_names]
        defaults: list[pl.Expr] = [
            pl.col("under_investigation").fill_null(pl.lit([], pl.List(pl.String))),
        ]
        if HAS_BODY not in given:
            defaults.append(pl.any_horizontal(body).alias(HAS_BODY))
        if "record_key" not in given:
            key = pl.lit("") if key_field is None else pl.col(key_field).fill_null("")
            defaults.append(key.alias("record_key"))
        return typed.with_columns(defaults)

    def _cast(self, column: pl.Series, kind: pl.DataType) -> pl.Series:
        if column.dtype == kind:
            return column
        if not _may_become(column.dtype, kind):
            raise self._refused_column(column.name)
        return column.cast(kind, strict=False)

    def _refused_column(self, name: str) -> RefusedError:
        return refused(Reason.INVALID_FIELD, name, record_type=self._record_type.id)

    def _rules(self) -> list[Broken]:
        """Every rule, in the order in which the first broken one is the reason."""
        invalid = Reason.INVALID_FIELD
        rules: list[Broken] = [(Reason.INVALID_NATIONAL_ID, NATIONAL_ID, pl.col("subject").is_null())]
        rules += [
            (invalid, name, pl.col(name).is_null())
            for name in ("change_kind", "record_key", "effective_from", "recorded_at", HAS_BODY)
        ]
        rules.append((Reason.NUL_CHARACTER, "record_key", _has_nul("record_key")))
        rules += [
            (invalid, name, pl.col(name).is_not_null() & (pl.col(name).bin.size() != _ID_BYTES))
            for name in ("event_id", "previous_event_id")
        ]
        for name, avro_type in self._fields.items():
            rules += _field_rules(name, avro_type)
        doubted = pl.col("under_investigation").list.set_difference(list(self._fields)).list.len() > 0
        rules.append((invalid, "under_investigation", doubted))
        for reason, broken in envelope_rules(self._record_type.record_key_field):
            if reason is Reason.TIME_OUT_OF_RANGE:
                times = ("effective_from", "effective_to", "recorded_at")
                rules += [(reason, name, ~pl.col(name).is_between(YEAR_FIRST, YEAR_LAST)) for name in times]
            else:
                rules.append((reason, _FIELD_OF[reason], broken))
        return rules


def _field_rules(name: str, avro_type: Any) -> list[Broken]:
    """The rules of one body field: null, symbols, finite numbers, NUL."""
    column = pl.col(name)
    is_given = column.is_not_null()
    match avro_type:
        case ["null", inner]:
            return _field_rules(name, inner)[1:]
        case {"type": "enum", "symbols": symbols}:
            typed = [(Reason.INVALID_FIELD, name, is_given & ~column.is_in(symbols))]
        case "double" | {"type": "double"}:
            typed = [(Reason.INVALID_FIELD, name, is_given & ~column.is_finite())]
        case "string" | {"type": "string"}:
            typed = [(Reason.NUL_CHARACTER, name, _has_nul(name))]
        case {"type": "array"}:
            items = column.list
            typed = [
                (Reason.INVALID_FIELD, name, items.eval(pl.element().is_null()).list.any()),
                (Reason.NUL_CHARACTER, name, items.join("", ignore_nulls=True).str.contains("\0", literal=True)),
            ]
        case _:
            typed = []
    return [(Reason.INVALID_FIELD, name, pl.col(HAS_BODY) & column.is_null()), *typed]


def _has_nul(name: str) -> pl.Expr:
    return pl.col(name).str.contains("\0", literal=True)


def _may_become(given: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether a column's type says the same as the wanted one, so that a cast loses nothing but what has no place."""
    if given == pl.Null():
        return True
    if wanted.is_integer():
        return given.is_integer()
    if wanted.is_float():
        return given.is_numeric()
    if wanted == INSTANT:
        return isinstance(given, pl.Datetime) and given.time_zone is not None
    return wanted == pl.String() and given in (pl.Categorical, pl.Enum)


def _lost(name: str) -> str:
    return f"{name} lost"  # no field's name holds a blank


def _labelled(rule: Broken) -> pl.Expr:
    """The field and the reason where a rule is broken, and null elsewhere."""
    reason, field, broken = rule
    return pl.when(broken).then(pl.lit(f"{field}\t{reason}"))


def _told(labelled: pl.DataFrame) -> pl.DataFrame:
    parts = pl.col(_LABEL).str.split_exact("\t", 1)
    return labelled.select(
        pl.col(ROW).cast(pl.Int64),
        parts.struct.field("field_0").alias("field"),
        parts.struct.field("field_1").alias("reason"),
        pl.lit("").alias("rule"),
    )


def _doubted(masks: pl.DataFrame, rules: Sequence[QualityRule]) -> pl.Expr:
    """The fields under investigation, with those that rules doubt."""
    doubts = [
        pl.when(masks[rule.id]).then(pl.lit([rule.field])).otherwise(pl.lit([], pl.List(pl.String))) for rule in rules
    ]
    both = pl.concat_list("under_investigation", *doubts).list.unique(maintain_order=True)
    return both.alias("under_investigation")


def _counted(masks: pl.DataFrame, rules: Sequence[QualityRule]) -> Mapping[str, int]:
    return {rule.id: count for rule in rules if (count := int(masks[rule.id].sum()))}


def _first_broken(rows: pl.Series, masks: pl.DataFrame, rules: Sequence[QualityRule]) -> pl.DataFrame:
    """For each row the first of the rules that it breaks, with REFUSED_COLUMNS."""

    def first(said: Callable[[QualityRule], str]) -> pl.Expr:
        return pl.coalesce(pl.when(pl.col(rule.id)).then(pl.lit(said(rule))) for rule in rules)

    return masks.select(
        rows.cast(pl.Int64).alias(ROW),
        first(lambda rule: rule.field).alias("field"),
        pl.lit(str(Reason.QUALITY_RULE)).alias("reason"),
        first(lambda rule: rule.id).alias("rule"),
    )
