"""Quality rules that the sample suggests: each flags a field, none refuses, until the agency says that it shall."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from producers.onboarding.profile import CODES_SHARE_MIN, Profile
from producers.onboarding.sample import Kind
from registry.contracts import Severity

MISSING_SHARE_MAX = 0.01  # of a field that is all but always there
_DAY_LAST = "2199-12-31"
_STEPS = (1, 2, 5, 10)

Rule = Mapping[str, str]


def rules_of(profile: Profile, field: str, *, is_key: bool, is_enum: bool) -> Iterator[tuple[str, Rule]]:
    """The rules for one field, each with its id."""
    slug, name = field.replace("_", "-"), f'"{field}"'
    missing = profile.nulls + profile.blanks
    if not profile.is_required and profile.rows and missing <= MISSING_SHARE_MAX * profile.rows:
        yield f"{slug}-known", _rule(field, f"{name} IS NOT NULL")
    if profile.kind is Kind.TEXT and missing <= MISSING_SHARE_MAX * profile.rows and not is_enum:
        yield f"{slug}-not-blank", _rule(field, f"trim({name}) <> ''")
    if profile.codes and not is_enum and not is_key:
        yield f"{slug}-listed", _rule(field, _listed(name, profile.codes))
    elif profile.digits is not None:
        yield f"{slug}-digits", _rule(field, f"{name} ~ '^[0-9]{{{profile.digits}}}$'")
    elif not is_key and (check := _bounded(profile, name)):
        yield f"{slug}-plausible", _rule(field, check)


def _rule(field: str, check: str) -> Rule:
    return {"field": field, "check": check, "severity": str(Severity.FLAG)}


def _listed(name: str, codes: tuple[Any, ...]) -> str:
    if all(isinstance(code, int) for code in codes) and list(codes) == list(range(codes[0], codes[-1] + 1)):
        return f"{name} BETWEEN {codes[0]} AND {codes[-1]}" if len(codes) > 1 else f"{name} = {codes[0]}"
    return f"{name} IN ({', '.join(map(_literal, codes))})"


def _literal(code: Any) -> str:
    return str(code) if isinstance(code, int) else "'" + str(code).replace("'", "''") + "'"


def _bounded(profile: Profile, name: str) -> str | None:
    """Bounds that tell of nobody: rounded well beyond the least and the greatest value."""
    low, high = profile.low, profile.high
    if low is None or high is None:
        return None
    if isinstance(low, date):
        first = date(low.year // 10 * 10, 1, 1)
        return f"{name} BETWEEN DATE '{first}' AND DATE '{_DAY_LAST}'"
    if profile.kind not in (Kind.WHOLE, Kind.NUMBER):
        return None
    ends = (_above(-low) if low < 0 else 0, _above(high) if high > 0 else 0)
    return f"{name} BETWEEN {-ends[0]} AND {ends[1]}"


def _above(value: Any) -> int:
    """A round number at least twice the value."""
    wanted, step = 2 * max(float(value), 1.0), 1
    while True:
        for times in _STEPS:
            if times * step >= wanted:
                return times * step
        step *= 10


assert 0 < MISSING_SHARE_MAX <= 1 - CODES_SHARE_MIN
