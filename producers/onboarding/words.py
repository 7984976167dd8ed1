"""Words in columns' names that hint at what the columns are for, in English and in Persian as clerks write it.

A hint breaks a tie or suggests; what the data contradict, no hint upholds.
"""

import re
from collections.abc import Iterable

NATIONAL_ID = frozenset({"national", "nationalid", "nid", "nin", "melli", "meli", "codemelli", "kodmelli", "codmelli"})
STARTS = frozenset(
    {"from", "since", "start", "starts", "started", "begin", "begins", "effective", "az", "shoru", "aghaz"}
)
ENDS = frozenset({"to", "until", "till", "end", "ends", "ended", "expires", "expiry", "ta", "payan", "khateme"})
RECORDED = frozenset(
    {
        "recorded",
        "timestamp",
        "created",
        "inserted",
        "updated",
        "modified",
        "changed",
        "entered",
        "registered",
        "reg",
        "ts",
        "sabt",
        "zaman",
    }
)
BIRTH = frozenset({"birth", "born", "birthday", "birthdate", "dob", "tavalod", "tavallod"})
NAMES = frozenset({"name", "names", "surname", "forename", "firstname", "lastname", "family", "father", "mother"}) | {
    *("nam", "name", "khanevadegi", "famil", "pedar", "madar", "street", "address", "khiaban", "neshani"),
}
SENSITIVE = frozenset(
    {"debt", "income", "salary", "wage", "wages", "amount", "rials", "tomans", "loan", "tax", "decile", "benefit"}
    | {
        "health",
        "disease",
        "diagnosis",
        "disability",
        "illness",
        "religion",
        "ethnicity",
        "crime",
        "offence",
        "penalty",
    }
    | {
        "bedehi",
        "daramad",
        "hoghugh",
        "hoghoogh",
        "dastmozd",
        "mablagh",
        "bimari",
        "malulit",
        "mazhab",
        "jorm",
        "dahak",
    }
)
PUBLIC = frozenset(
    {"province", "state", "region", "county", "city", "town", "branch", "office", "currency", "country"}
    | {"ostan", "shahr", "shahrestan", "shobe", "mantaghe", "daftar"}
)

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


def words_of(name: str) -> list[str]:
    """The words of a column's name in lower case: `ValidFrom`, `VALID_FROM` and `valid from` have the same."""
    return [word for word in _NOT_WORD.split(_CAMEL.sub("_", name).lower()) if word]


def hints(name: str, words: Iterable[str]) -> bool:
    """Whether a name has one of the words."""
    return not frozenset(words).isdisjoint(words_of(name))


def has_persian(text: str) -> bool:
    """Whether a text has letters of the Arabic script."""
    return any("\u0600" <= char <= "\u06ff" for char in text)
