"""The answers that `yekbar onboard` needs: what was said, what the sample tells, and what is asked for the rest."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import available_timezones

import polars as pl

from bus.envelope import ChangeKind
from bus.errors import SettingError
from deploy.cli.asking import Asker
from producers.mapping import Calendar
from producers.onboarding.days import Written
from producers.onboarding.profile import Profile, with_valid_ids
from producers.onboarding.proposal import Answers
from producers.onboarding.roles import (
    NONE,
    Journal,
    Part,
    change_kind_part,
    common_words,
    effective_from_part,
    effective_to_part,
    journal_of,
    national_id_part,
    record_key_part,
    recorded_at_part,
    what_happened,
)
from producers.onboarding.sample import Kind, Sample
from registry.contracts import Classification, Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What flags say; None where they say nothing. Titles are English and Persian."""

    record_type: str | None
    title: tuple[str | None, str | None]
    agency: tuple[str | None, str | None]
    national_id: str | None
    record_key: str | None
    effective_from: str | None
    effective_to: str | None
    recorded_at: str | None
    change_kind: str | None
    change_words: Mapping[str, str]
    time_zone: str | None
    day_formats: Mapping[str, str]
    names: Mapping[str, str]
    labels: Mapping[str, str]
    classified: Mapping[str, Classification]
    ignored: tuple[str, ...]
    freshness: str
    heartbeat: str
    scheme: str | None


class Onboarding:
    """Finds the answers for one sample."""

    def __init__(self, *, sample: Sample, profiles: Mapping[str, Profile], said: Said, asker: Asker) -> None:
        self._sample = sample
        self._said = said
        self._asker = asker
        self._hold_columns(profiles)
        self.profiles = {name: self._dated(profile) for name, profile in profiles.items()}

    def agency_title(self, record_type: str, known: Collection[str]) -> Labels | None:
        """The name of the agency, where the catalogue does not have it."""
        agency = record_type.partition(".")[0]
        return (
            None
            if agency in known
            else self._labels("--agency", f"the agency '{agency}'" if agency else "the agency", self._said.agency)
        )

    def answers(self, record_type: str, *, scheme: str, rows_of: Callable[[str, pl.Series], pl.DataFrame]) -> Answers:
        """All of them; `rows_of` fetches all rows of some persons. Raises SettingError when the persons are unknown."""
        said, profiles = self._said, self.profiles
        title = self._labels("--title", "a record", said.title)
        question = "Which column holds the national id of the person whom a row is about?"
        person = self._part("--national-id", question, said.national_id, national_id_part(profiles), profiles)
        if not person:
            self._asker.settle()
        starts = self._effective_from()
        ends = self._plain("--effective-to", said.effective_to, effective_to_part(profiles, self._sample.frame, starts))
        recorded = recorded_at_part(profiles, (starts, ends))
        persons = self._sample.frame if self._sample.is_whole else rows_of(person, self._sample.frame[person])
        change_kind, change_words, journal = self._change()
        persons = with_valid_ids(persons, person, scheme=scheme)
        telling = profiles
        if journal is not None:
            telling = {name: one for name, one in profiles.items() if name not in (*journal.columns, change_kind)}
            created = [word for word, kind in change_words.items() if kind == ChangeKind.CREATED] or ["created"]
            persons = persons.filter(pl.col(change_kind).cast(pl.String).is_in(created))
        by_time = starts if starts in profiles else None
        found = record_key_part(telling, persons, national_id=person, starts=by_time)
        question = "A person has several rows: which column tells the records apart, or none, if time does?"
        key = self._part("--record-key", question, said.record_key, found, [*profiles, NONE])
        parts = [person] if key in ("", NONE) else [person, key]
        return Answers(
            record_type=record_type,
            scheme=scheme,
            title=title,
            national_id=person,
            record_key=key,
            effective_from=starts,
            effective_to=ends,
            recorded_at=self._plain("--recorded-at", said.recorded_at, recorded),
            change_kind=change_kind,
            change_words=change_words,
            journal=journal,
            is_history=bool(
                starts in profiles and persons.select(*parts, starts).unique().select(parts).is_duplicated().any()
            ),
            time_zone=self._time_zone([starts, ends]),
            freshness=said.freshness,
            heartbeat=said.heartbeat,
            ignored=said.ignored,
            names=said.names,
            labels=said.labels,
            classified=said.classified,
        )

    def _part(self, flag: str, question: str, said: str | None, part: Part, known: Collection[str]) -> str:
        if said is None and part.chosen is not None:
            return part.chosen
        default = part.candidates[0] if part.candidates else None
        return self._asker.ask(
            flag, question, said=said, candidates=part.candidates, known=list(known), default=default
        )

    def _plain(self, flag: str, said: str | None, part: Part) -> str:
        """A part that is never asked for."""
        known = [name for name, one in self.profiles.items() if one.is_time]
        return self._asker.ask(flag, "", said=said or part.chosen, known=[*known, NONE])

    def _effective_from(self) -> str:
        said, part = self._said.effective_from, effective_from_part(self.profiles)
        if said is not None and said not in self.profiles:
            try:
                return date.fromisoformat(said).isoformat()
            except ValueError:
                pass
        question = "Which column says since when a row holds? Or write one day for all, as 2024-01-31."
        known = [name for name, one in self.profiles.items() if one.is_time]
        if said is None and not known:
            return self._asker.ask("--effective-from", question, said=None)
        return self._part("--effective-from", question, said, part, known)

    def _change(self) -> tuple[str, Mapping[str, str], Journal | None]:
        """The column of what happened, or one kind for all rows; what its words mean; and the ids of events."""
        profiles, words = self.profiles, dict(self._said.change_words)
        for value, kind in words.items():
            if kind not in list(ChangeKind):
                raise SettingError(f"--change-word says '{value}={kind}'", remedy=f"kinds are {', '.join(ChangeKind)}")
        journal = journal_of(profiles, self._sample.frame)
        part = change_kind_part(profiles)
        if journal is not None and part.chosen not in profiles:
            part = Part(candidates=(*what_happened(profiles), "created"))
        question = "The rows are events that undo each other: which column says what happened?"
        kind = self._part("--change-kind", question, self._said.change_kind, part, [*profiles, "created"])
        if kind not in profiles:
            return kind, {}, None
        usual = common_words(self._sample.frame[kind])
        for word in usual:
            if word not in {*words, *ChangeKind}:
                question = f"What does '{word}' in '{kind}' mean?"
                words[word] = self._asker.ask(f"--change-word {word}=", question, said=None, known=list(ChangeKind))
        own = {word: word for word in usual if word in list(ChangeKind)}
        return kind, {**own, **words} if words else {}, journal

    def _time_zone(self, parts: list[str]) -> str:
        local = [name for name, one in self.profiles.items() if one.kind is Kind.TIME and not one.is_zoned]
        local += [name for name in parts if name in self.profiles and not self.profiles[name].is_zoned]
        said = self._said.time_zone
        if said is None and not local:
            return "UTC"
        question = f"In which time zone are days and times such as those of '{local[0]}'?" if local else ""
        zone = self._asker.ask("--time-zone", question, said=said, candidates=("Asia/Tehran", "UTC"), default="UTC")
        if zone and zone not in available_timezones():
            raise SettingError(f"there is no time zone '{zone}'", remedy="write one such as Asia/Tehran")
        return zone or "UTC"

    def _labels(self, flag: str, what: str, said: tuple[str | None, str | None]) -> Labels:
        english, persian = said
        return {
            "en": self._asker.ask(f"{flag}-en", f"What is {what} called in English?", said=english) or "-",
            "fa": self._asker.ask(f"{flag}-fa", f"What is {what} called in Persian?", said=persian) or "-",
        }

    def _dated(self, profile: Profile) -> Profile:
        """The profile with the form of its days, which the agency says where several would do."""
        said, written = self._said.day_formats.get(profile.name), profile.written
        if said is None and (written is None or not written.others):
            return profile
        forms = [str(written.format), *written.others] if written else []
        question = f"In which form are the days of '{profile.name}' written?"
        flag = f"--day-format {profile.name}="
        form = self._asker.ask(flag, question, said=said, candidates=forms, default=forms[0] if forms else None)
        chosen = Written(calendar=Calendar.JALALI) if form == Calendar.JALALI else Written(format=form or None)
        return replace(profile, kind=Kind.DAY, written=chosen)

    def _hold_columns(self, profiles: Mapping[str, Profile]) -> None:
        """Raises SettingError for a flag that names a column which is not there."""
        said = self._said
        for flag, names in (
            ("--day-format", said.day_formats),
            ("--name", said.names),
            ("--label", said.labels),
            ("--classify", said.classified),
            ("--ignore", said.ignored),
        ):
            for name in names:
                if name not in profiles:
                    raise SettingError(
                        f"{flag} names the column '{name}', which is not there",
                        remedy=f"columns are {', '.join(profiles)}",
                    )
