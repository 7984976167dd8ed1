"""What a round says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bus.reasons import Reason


class RoundKind(StrEnum):
    """How a round looks at the table."""

    FULL = "full"
    CHANGES = "changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What a person has looked at and says is so: that columns changed their types, that many rows are gone."""

    columns: bool = False
    gone: bool = False


NOTHING_ACCEPTED = Accepted()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A row that is not told: its key as the agency writes it, the column at fault and why; never the value."""

    key: str
    column: str
    value_class: str
    reason: str
    rule: str = ""

    @property
    def meaning(self) -> str:
        """What is wrong, in one sentence."""
        return _KEY_RULES.get(self.rule) or Reason(self.reason).meaning


KEY_IS_NULL = "key-is-null"
KEY_IS_REPEATED = "key-is-repeated"
_KEY_RULES: Mapping[str, str] = {
    KEY_IS_NULL: "a column of the key is empty, so the row cannot be told from others",
    KEY_IS_REPEATED: "several rows are this record, and nobody can say which; where each is a fact, map 'row: fact'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a round so far; `told` counts events by their kind."""

    kind: RoundKind
    expected: int = 0
    rows: int = 0
    same: int = 0
    told: Mapping[str, int] = field(default_factory=dict)
    gone: int = 0
    refused: int = 0

    @property
    def events(self) -> int:
        """How many events were told."""
        return sum(self.told.values())
