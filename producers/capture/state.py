"""The state of a capture: that of a sync, with how far the topic was read and which changes came lately."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any

from producers.errors import WrongJournalError
from producers.sync.state import SyncState

IDENTITIES_MAX = 200_000  # changes that are known again; a connector repeats those of some seconds
_ASKED_AT_ONCE_MAX = 10_000  # below SQLite's limit of variables
_TOPIC, _POSITIONS, _COMMITTED, _TYPES = "capture_topic", "capture_positions", "capture_committed", "capture_types"


class CaptureState(SyncState):
    """The journal of a source that is a change topic, the state of its rows, and the topic's positions."""

    def open(self, *, source: str, topic: str) -> None:
        """See Journal."""
        super().open(source=source, topic=topic)
        statement = files("producers").joinpath("sql", "capture_state.sql").read_text(encoding="utf-8")
        with self._transaction() as connection:
            connection.execute(statement)

    def hold_topic(self, name: str, topic_id: str) -> None:
        """Returns when positions are those of this life of the topic. Raises WrongJournalError."""
        bound = [name, topic_id]
        if self.marks().get(_TOPIC, bound) != bound:
            raise WrongJournalError(
                f"the state '{self.path}' was kept for another change topic, or for an earlier life of '{name}'",
                remedy="name the topic that it was, or capture as another source",
            )
        self.mark(**{_TOPIC: bound})

    def topic_positions(self) -> dict[int, int]:
        """For each partition of the topic the position that is read next."""
        stored: Mapping[str, int] = self.marks().get(_POSITIONS, {})
        return {int(partition): position for partition, position in stored.items()}

    def came(self, identities: Sequence[bytes]) -> Collection[bytes]:
        """Those of the changes that came before."""
        found: set[bytes] = set()
        for start in range(0, len(identities), _ASKED_AT_ONCE_MAX):
            asked = identities[start : start + _ASKED_AT_ONCE_MAX]
            marks = ", ".join("?" * len(asked))
            found.update(
                one for (one,) in self._read(f"SELECT identity FROM captured WHERE identity IN ({marks})", asked)
            )
        return found

    def committed(self) -> dict[int, datetime]:
        """For each partition when the last change that was read was committed at the agency."""
        stored: Mapping[str, str] = self.marks().get(_COMMITTED, {})
        return {int(partition): datetime.fromisoformat(time) for partition, time in stored.items()}

    def reach(
        self,
        positions: Mapping[int, int],
        committed: Mapping[int, datetime],
        identities: Sequence[bytes],
        types: Mapping[str, Any] | None,
    ) -> None:
        """Remembers in one step how far the topic was read, what came, and the types of its columns."""
        times = {partition: time.isoformat() for partition, time in committed.items()}
        marks: dict[str, Any] = {_POSITIONS: dict(positions), _COMMITTED: times}
        if types is not None:
            marks[_TYPES] = dict(types)
        with self._transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO captured (identity) VALUES (?)", ((identity,) for identity in identities)
            )
            connection.execute(
                "DELETE FROM captured WHERE number <= (SELECT max(number) FROM captured) - ?", (IDENTITIES_MAX,)
            )
            connection.executemany(
                "INSERT OR REPLACE INTO marks VALUES (?, ?)",
                [(name, json.dumps(value, ensure_ascii=False)) for name, value in marks.items()],
            )

    def present_keys(self) -> list[bytes]:
        """The keys of all rows that are not gone."""
        return [key for (key,) in self._read("SELECT key FROM rows WHERE digest IS NOT NULL", ())]

    def column_types(self) -> Mapping[str, str]:
        """The types that the columns had."""
        types: Mapping[str, str] = self.marks().get(_TYPES, {})
        return types
