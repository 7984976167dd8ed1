"""The rules of the envelope, in columns: one piece of code for the publisher's desk and for the consumers.

The columns are those that `bus.columns.Decoder` yields, with `known_at` beside them: `change_kind` as its index in
`ChangeKind`, `subject` and ids as 16 bytes, times as UTC datetimes, `has_body` true where the event has a body.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from bus.envelope import ChangeKind
from bus.reasons import Reason

RECORDED_AHEAD_MAX = timedelta(days=1)  # room for clocks and time zones set wrongly at the source
EFFECTIVE_AHEAD_MAX = timedelta(days=3653)  # ten years: beyond it is a typing mistake, not a plan
YEAR_FIRST = datetime(1000, 1, 1, tzinfo=UTC)
YEAR_LAST = datetime(9999, 12, 31, tzinfo=UTC)  # what every client's datetime can hold

_CREATED, _CEASED, _CORRECTED, _ANNULLED = range(len(ChangeKind))


def envelope_rules(record_key_field: str | None) -> tuple[tuple[Reason, pl.Expr], ...]:
    """Each rule as the expression that is true where an event breaks it; the first broken one is the reason."""
    kind = pl.col("change_kind")
    undoes = kind.is_in([_CORRECTED, _ANNULLED])
    names_one = pl.col("previous_event_id").is_not_null()
    key = pl.lit("") if record_key_field is None else pl.col(record_key_field)
    times = [pl.col(name) for name in ("effective_from", "effective_to", "recorded_at")]
    return (
        (Reason.SEQUENCE_NOT_POSITIVE, pl.col("sequence") < 1),
        (Reason.MISSING_PREVIOUS_EVENT, undoes & ~names_one),
        (Reason.UNEXPECTED_PREVIOUS_EVENT, ~undoes & names_one),
        (Reason.MISSING_BODY, kind.is_in([_CREATED, _CORRECTED]) & ~pl.col("has_body")),
        (Reason.UNEXPECTED_BODY, (kind == _ANNULLED) & pl.col("has_body")),
        (Reason.RECORD_KEY_MISMATCH, pl.col("has_body") & (pl.col("record_key") != key)),
        (Reason.EMPTY_PERIOD, pl.col("effective_to") <= pl.col("effective_from")),
        (Reason.TIME_OUT_OF_RANGE, pl.any_horizontal(~time.is_between(YEAR_FIRST, YEAR_LAST) for time in times)),
        (Reason.RECORDED_IN_FUTURE, pl.col("recorded_at") > pl.col("known_at") + RECORDED_AHEAD_MAX),
        (Reason.EFFECTIVE_TOO_FAR_AHEAD, pl.col("effective_from") > pl.col("known_at") + EFFECTIVE_AHEAD_MAX),
    )


def nul_rule(frame: pl.DataFrame) -> tuple[Reason, pl.Expr] | None:
    """The rule against NUL characters, for the text columns that a frame has (PostgreSQL's text cannot hold them)."""
    checks = []
    for name, kind in frame.schema.items():
        if kind == pl.String:
            checks.append(pl.col(name).str.contains("\0", literal=True))
        elif kind == pl.List(pl.String):
            checks.append(pl.col(name).list.join("").str.contains("\0", literal=True))
    return (Reason.NUL_CHARACTER, pl.any_horizontal(checks)) if checks else None


def first_broken(rules: Sequence[tuple[Reason, pl.Expr]]) -> pl.Expr:
    """The code of the first rule that an event breaks, null where it breaks none; an unknown answer breaks nothing."""
    return pl.coalesce(pl.when(broken).then(pl.lit(str(reason))) for reason, broken in rules)
