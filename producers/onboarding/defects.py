"""What a sample already shows to be wrong: what the desk would refuse, what rules would flag, what is odd.

The sample goes the way that its rows will go: through the proposed mapping and the contract's own checks. What is told
of it are counts and shapes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from bus.reasons import Reason
from bus.subject import Pseudonymizer
from producers.desk import ROW
from producers.file_publishing import LookingDesk
from producers.ids import id_width
from producers.mapper import Mapper
from producers.mapping import FieldMapping
from producers.onboarding.days import days_as, is_placeholder
from producers.onboarding.profile import Profile
from producers.onboarding.proposal import Answers, Proposal
from producers.onboarding.sample import Kind, Sample
from producers.onboarding.shapes import shapes_of
from registry.contracts import RecordType
from registry.quality import Gate

_THROWAWAY_KEY = bytes(32)  # nothing is sent, and no subject leaves this module
_UNKNOWN_WORDS = ("-", "--", "---", ".", "?", "n/a", "na", "null", "none", "unknown", "نامشخص", "ندارد", "نامعلوم")
_PERSIAN, _ARABIC = "[یک]", "[يكى]"


class Weight(StrEnum):
    """What becomes of a row that has the defect."""

    REFUSED = "refused"
    FLAGGED = "flagged"
    NOTICED = "noticed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One kind of defect in one column: in how many of the sample's rows, and the shapes of some values."""

    column: str
    what: str
    weight: Weight
    rows: int
    share: float
    shapes: tuple[str, ...] = ()


def defects_of(
    sample: Sample, profiles: Mapping[str, Profile], proposal: Proposal, record_type: RecordType, answers: Answers
) -> list[Defect]:
    """The sample's defects, the weightiest first."""
    found = [
        *_at_the_desk(sample, proposal, record_type, answers),
        *_repeated(sample, profiles, answers),
        *(defect for profile in profiles.values() for defect in _odd(sample.frame[profile.name], profile, answers)),
    ]
    weights = list(Weight)
    return sorted(found, key=lambda one: (weights.index(one.weight), -one.rows))


def plain_mapping(document: Mapping[str, Any]) -> FieldMapping:
    """A proposed mapping as rows are published by: what is for a sync alone left out."""
    names = {"record_type", "time_zone", "fields", "ignore"}
    said = {name: value for name, value in document.items() if name in names}
    fields = {"change_kind": {"constant": "created"}, **said["fields"]}
    return FieldMapping.model_validate({**said, "fields": fields, "ignore_others": True})


def _at_the_desk(sample: Sample, proposal: Proposal, record_type: RecordType, answers: Answers) -> Iterator[Defect]:
    """What becomes of the sample's rows in the mapping, at the desk and by the rules."""
    mapper = Mapper(record_type, plain_mapping(proposal.mapping))
    sources = mapper.sources(sample.frame.columns)
    columns = {field: source.column for field, source in sources.items() if source.column}
    mapped = mapper.map(sample.frame)
    desk = LookingDesk(record_type, source="onboarding", pseudonymizer=Pseudonymizer(_THROWAWAY_KEY, answers.scheme))
    at_desk = desk.publish_columns(mapped.changes).refused
    refused = pl.concat(
        [mapped.refused, at_desk.with_columns(mapped.rows.gather(at_desk[ROW]).cast(pl.Int64).alias(ROW))]
    )
    for (field, reason), some in refused.group_by("field", "reason"):
        column = columns.get(str(field), str(field))
        yield _defect(
            sample.frame, column, _meaning(sample.frame, column, reason, some[ROW]), Weight.REFUSED, some[ROW]
        )
    masks = Gate(record_type).broken(mapped.changes)
    for rule in record_type.rules:
        if rule.id in masks.columns and masks[rule.id].any():
            rows = mapped.rows.filter(masks[rule.id])
            yield _defect(sample.frame, columns[rule.field], f"breaks the rule '{rule.id}'", Weight.FLAGGED, rows)


def _meaning(frame: pl.DataFrame, column: str, reason: Any, rows: pl.Series) -> str:
    if reason != Reason.INVALID_FIELD or column not in frame.columns:
        return Reason(str(reason)).meaning
    is_missing = frame[column].gather(rows).null_count() == len(rows)
    return "a value is missing that must be there" if is_missing else "does not read as what the field holds"


def _repeated(sample: Sample, profiles: Mapping[str, Profile], answers: Answers) -> Iterator[Defect]:
    told = [one.name for one in profiles.values() if not one.column.is_primary or one.name == answers.record_key]
    rows = sample.frame.select(told).with_row_index(ROW)
    is_again = ~rows.select(pl.struct(told).is_first_distinct()).to_series()
    if is_again.any():
        yield _defect(sample.frame, "", "says the same as an earlier row", Weight.NOTICED, rows[ROW].filter(is_again))
    if answers.journal is not None:
        return  # rows of one person and time are corrections
    parts = [one for one in (answers.national_id, answers.record_key, answers.effective_from) if one in profiles]
    different = rows.filter(~is_again, pl.col(answers.national_id).is_not_null())
    clashing = different.filter(different.select(parts).is_duplicated())
    if clashing.height:
        what = "another row of the same person, record and time says otherwise; the later one counts"
        yield _defect(sample.frame, answers.national_id, what, Weight.NOTICED, clashing[ROW])


def _odd(values: pl.Series, profile: Profile, answers: Answers) -> Iterator[Defect]:
    """What is odd in a column, although rows with it are taken."""
    frame = values.to_frame()
    if profile.name == answers.national_id and (width := id_width(answers.scheme)):
        texts = values.cast(pl.String)
        if profile.has_lost_zeros:
            is_short = texts.str.contains(rf"^[0-9]{{{width - 2},{width - 1}}}$").fill_null(False)
            what = "leading zeros are lost; the mapping restores them, and the check digit must agree"
            yield from _some(frame, profile, what, is_short)
    if profile.kind is Kind.DAY:
        days = values if profile.written is None else days_as(values.cast(pl.String), profile.written)
        yield from _some(frame, profile, "a day that stands for an unknown one", is_placeholder(days).fill_null(False))
    if values.dtype != pl.String:
        return
    if profile.kind is Kind.DAY or profile.name == answers.national_id:
        what = "digits that are not ASCII; they are read all the same"
        yield from _some(frame, profile, what, _has(values, r"[٠-٩۰-۹]"))
        return
    yield from _some(frame, profile, "white space around the text", _has(values, r"^\s+\S|\S\s+$"))
    yield from _some(frame, profile, "control characters", _has(values, r"[\x00-\x08\x0b\x0c\x0e-\x1f]"))
    yield from _some(frame, profile, "letters that were lost on the way", values.str.contains("\ufffd", literal=True))
    is_word = values.str.strip_chars().str.to_lowercase().is_in(_UNKNOWN_WORDS)
    yield from _some(frame, profile, "a word or mark that stands for nothing", is_word)
    if _has(values, _PERSIAN).any():
        what = "Arabic forms of letters that other rows write in Persian"
        yield from _some(frame, profile, what, _has(values, _ARABIC))


def _has(values: pl.Series, pattern: str) -> pl.Series:
    return values.str.contains(pattern)


def _some(frame: pl.DataFrame, profile: Profile, what: str, mask: pl.Series) -> Iterator[Defect]:
    rows = mask.fill_null(False).arg_true()
    if len(rows):
        yield _defect(frame, profile.name, what, Weight.NOTICED, rows)


def _defect(frame: pl.DataFrame, column: str, what: str, weight: Weight, rows: pl.Series) -> Defect:
    shapes: Sequence[str] = ()
    if column in frame.columns:
        shapes = shapes_of(frame[column].gather(rows).to_list())
    return Defect(
        column=column,
        what=what,
        weight=weight,
        rows=len(rows),
        share=len(rows) / max(frame.height, 1),
        shapes=tuple(shapes),
    )
