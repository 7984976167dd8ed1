"""National ids to subjects, at the speed of a stream: known persons from a bounded memory, columns in columns.

What is not plain ASCII digits under a scheme that columns can check goes through `bus.national_id`, one by one.
"""

from dataclasses import dataclass

import polars as pl

from bus.errors import RefusedError
from bus.national_id import SCHEMES, NationalIdError, canonical_national_id
from bus.reasons import Reason
from bus.subject import Pseudonymizer
from producers.validation import refused

PERSONS_REMEMBERED_MAX = 100_000  # about 20 MB; then the memory starts anew
HANDFUL = 120  # persons; from about here on columns are faster
_IRAN = "iran"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectColumn:
    """The subjects of a column of national ids, null where `is_valid` is false."""

    subjects: pl.Series
    is_valid: pl.Series


class Subjects:
    """Finds the 16-byte subjects of persons."""

    def __init__(self, pseudonymizer: Pseudonymizer, *, record_type: str) -> None:
        self._pseudonymizer = pseudonymizer
        self._record_type = record_type
        self._known: dict[str, bytes] = {}

    def of(self, national_id: str) -> bytes:
        """The subject of one person. Raises RefusedError."""
        subject = self._known.get(national_id) if isinstance(national_id, str) else None
        if subject is None:
            subject = self._computed(national_id)
            if len(self._known) >= PERSONS_REMEMBERED_MAX:
                self._known.clear()
            self._known[national_id] = subject
        return subject

    def of_column(self, national_ids: pl.Series) -> SubjectColumn:
        """The subjects of many persons; an id that is not valid is told, not raised."""
        if len(national_ids) <= HANDFUL:
            some = pl.Series([self._found(national_id) for national_id in national_ids], dtype=pl.Binary)
            return SubjectColumn(subjects=some, is_valid=some.is_not_null())
        given = national_ids.alias("given").to_frame()
        persons = given.unique(maintain_order=True)
        persons = persons.with_columns(pl.Series("canonical", self._canonical(persons["given"]), dtype=pl.String))
        pseudonym = self._pseudonymizer.pseudonym
        subjects = [None if canonical is None else pseudonym(canonical) for canonical in persons["canonical"].to_list()]
        persons = persons.with_columns(pl.Series("subject", subjects, dtype=pl.Binary))
        found = given.join(persons, on="given", how="left", maintain_order="left", nulls_equal=True)["subject"]
        return SubjectColumn(subjects=found, is_valid=found.is_not_null())

    def _found(self, national_id: str) -> bytes | None:
        try:
            return self.of(national_id)
        except RefusedError:
            return None

    def _computed(self, national_id: str) -> bytes:
        try:
            if isinstance(national_id, str):
                return self._pseudonymizer.subject(national_id).bytes
        except NationalIdError:
            pass
        raise refused(Reason.INVALID_NATIONAL_ID, "national_id", record_type=self._record_type)

    def _canonical(self, national_ids: pl.Series) -> list[str | None]:
        scheme = self._pseudonymizer.scheme
        if scheme != _IRAN:
            return [_canonical_or_none(text, scheme) for text in national_ids.to_list()]
        is_plain = national_ids.str.contains(r"\A[0-9]{10}\z").fill_null(False)
        is_good = is_plain & _is_iran_id(national_ids.zip_with(is_plain, pl.Series(["0000000000"])))
        return [
            text if good else None if plain else _canonical_or_none(text, scheme)
            for text, plain, good in zip(national_ids.to_list(), is_plain.to_list(), is_good.to_list(), strict=True)
        ]


def _is_iran_id(plain: pl.Series) -> pl.Series:
    """The check of `bus.national_id` for ids of ten ASCII digits, in columns."""
    column = pl.col("plain")
    digits = [column.str.slice(place, 1).cast(pl.Int32) for place in range(10)]
    weighted = pl.sum_horizontal(digit * (10 - place) for place, digit in enumerate(digits[:9])) % 11
    expected = pl.when(weighted < 2).then(weighted).otherwise(11 - weighted)
    is_varied = pl.any_horizontal(digit != digits[0] for digit in digits[1:])
    return plain.alias("plain").to_frame().select((expected == digits[9]) & is_varied).to_series()


def _canonical_or_none(text: str | None, scheme: str) -> str | None:
    assert scheme in SCHEMES
    if text is None:
        return None
    try:
        return canonical_national_id(text, scheme)
    except NationalIdError:
        return None
