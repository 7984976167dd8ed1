"""The parts that columns play in a change: who it is about, since when it holds, which record, what happened.

Each part is what the agency says, or else what the data leave no doubt about, or else a question.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from bus.envelope import ChangeKind
from producers.onboarding.profile import CODE_ROWS_MIN, Profile, id_candidates
from producers.onboarding.sample import Kind
from producers.onboarding.words import BIRTH, ENDS, NATIONAL_ID, RECORDED, STARTS, hints

NONE = "none"
_MISSING_SHARE_MAX = 0.05  # of a column that says since when something holds
_ORDERED_SHARE_MIN = 0.95
_CHANGE_WORDS_MAX = 8
_NAMED_SHARE_MIN = 0.9  # of rows that are undone, which must be in the sample
_UUID = r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$"
_KINDS = frozenset(map(str, ChangeKind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What plays a part: `chosen` where there is no doubt, and what may be chosen where there is."""

    chosen: str | None = None
    candidates: tuple[str, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether nobody need be asked."""
        return self.chosen is not None


def national_id_part(profiles: Mapping[str, Profile]) -> Part:
    """The column of the persons whom rows are about."""
    found = id_candidates(profiles)
    if len(found) == 1:
        return Part(chosen=found[0])
    hinted = [name for name in found if hints(name, NATIONAL_ID)]
    always = [name for name in found if not profiles[name].nulls]
    if len(hinted) == 1 and hinted == always:
        return Part(chosen=hinted[0], candidates=tuple(found))
    return Part(candidates=tuple(found))


def effective_from_part(profiles: Mapping[str, Profile]) -> Part:
    """The column that says since when a fact holds."""
    usual = [
        one.name
        for one in profiles.values()
        if one.is_time and not hints(one.name, BIRTH) and one.nulls <= _MISSING_SHARE_MAX * one.rows
    ]
    plain = [name for name in usual if not hints(name, ENDS | RECORDED)]
    for some in ([name for name in plain if hints(name, STARTS)], plain, usual):
        if len(some) == 1:
            return Part(chosen=some[0], candidates=tuple(usual))
    return Part(candidates=tuple(plain or usual))


def effective_to_part(profiles: Mapping[str, Profile], frame: pl.DataFrame, starts: str | None) -> Part:
    """The column that says until when a fact holds; by its name, and only where it lies after the start."""
    found = [
        one.name
        for one in profiles.values()
        if one.is_time and one.name != starts and hints(one.name, ENDS) and _is_after(frame, starts, one.name)
    ]
    return Part(chosen=found[0] if len(found) == 1 else NONE, candidates=tuple(found))


def recorded_at_part(profiles: Mapping[str, Profile], taken: Sequence[str | None]) -> Part:
    """The column that says when the agency registered a row; only one with the time of day."""
    found = [
        one.name
        for one in profiles.values()
        if one.kind is Kind.TIME and one.name not in taken and hints(one.name, RECORDED) and not one.nulls
    ]
    return Part(chosen=found[0] if len(found) == 1 else NONE, candidates=tuple(found))


def change_kind_part(profiles: Mapping[str, Profile]) -> Part:
    """The column that says what happened, in the bus's own words; without one every row is something created."""
    found = [one.name for one in profiles.values() if one.codes and set(map(str, one.codes)) <= _KINDS]
    return Part(chosen=found[0] if found else str(ChangeKind.CREATED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The columns of a table whose rows are events: the id of each, and the id of the one that it undoes."""

    event_id: str
    previous_event_id: str

    @property
    def columns(self) -> tuple[str, str]:
        """Both of them."""
        return self.event_id, self.previous_event_id


def journal_of(profiles: Mapping[str, Profile], frame: pl.DataFrame) -> Journal | None:
    """The table as a journal, where rows have UUIDs and some name another row's; None where it is none."""
    uuids = {
        one.name: frame[one.name].drop_nulls().str.to_lowercase()
        for one in profiles.values()
        if frame[one.name].dtype == pl.String and frame[one.name].drop_nulls().str.contains(_UUID).all()
    }
    for own, ids in uuids.items():
        for other, named in uuids.items():
            is_pair = own != other and not profiles[own].nulls and profiles[other].nulls and len(named)
            if is_pair and named.is_in(ids.implode()).mean() >= _NAMED_SHARE_MIN:  # type: ignore[operator]
                return Journal(event_id=own, previous_event_id=other)
    return None


def what_happened(profiles: Mapping[str, Profile]) -> tuple[str, ...]:
    """The columns that may say what happened, where rows are events: few words, and one in every row."""
    found = [one for one in profiles.values() if not one.nulls and 1 < one.distinct <= _CHANGE_WORDS_MAX]
    return tuple(one.name for one in found if one.kind is Kind.TEXT or one.codes)


def common_words(column: pl.Series) -> tuple[str, ...]:
    """The words that so many rows have that they tell of nobody."""
    counts = column.drop_nulls().cast(pl.String).value_counts(sort=True)
    return tuple(counts.filter(pl.col("count") >= CODE_ROWS_MIN)[column.name].to_list())


def record_key_part(
    profiles: Mapping[str, Profile], persons: pl.DataFrame, *, national_id: str, starts: str | None
) -> Part:
    """What tells apart several records of one person, judged by all rows of some persons.

    None of it where a person has one row. A column is sure only where no other would do and time does not tell.
    """
    telling = [one.name for one in profiles.values() if not _is_number_of_rows(one)]
    rows = persons.filter(persons.select(pl.struct(telling).is_first_distinct()).to_series())
    if not rows[national_id].is_duplicated().any():
        return Part(chosen=NONE)
    found = [
        one.name
        for one in sorted(profiles.values(), key=_is_number_of_rows)
        if one.kind in (Kind.TEXT, Kind.WHOLE)
        and one.name not in (national_id, starts)
        and not one.nulls
        and not rows.select(national_id, one.name).is_duplicated().any()
    ]
    if starts is not None and not rows.select(national_id, starts).is_duplicated().any():
        return Part(candidates=(*found, NONE))
    is_sure = len(found) == 1 and not _is_number_of_rows(profiles[found[0]])
    return Part(chosen=found[0] if is_sure else None, candidates=(*found, NONE))


def _is_number_of_rows(profile: Profile) -> bool:
    """Whether a column may do nothing but number the table's rows."""
    return profile.column.is_primary and profile.kind is Kind.WHOLE


def _is_after(frame: pl.DataFrame, starts: str | None, ends: str) -> bool:
    """Whether one column's values come after another's, as far as both are of one form."""
    if starts is None or frame[starts].dtype != frame[ends].dtype:
        return True
    both: Any = frame.select(starts, ends).drop_nulls()
    return not both.height or (both[ends] >= both[starts]).mean() >= _ORDERED_SHARE_MIN
