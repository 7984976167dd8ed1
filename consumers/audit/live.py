"""A live view as the auditor sees it: where it stands, what its quarantine says, and how it differs from a replay."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from psycopg import Connection, sql

from bus.reasons import Reason
from bus.topics import records_topic
from consumers.audit.scratch import Scratch
from consumers.errors import LogAccidentError, NotFoundError
from consumers.views import columns, statement
from registry.contracts import RecordType

SORT_MEMORY = "256MB"  # of one comparison; what does not fit goes to disk

# What these say depends on the contract and the registry at the time: an audit later takes the quarantine's word.
OF_THEIR_TIME = frozenset(
    {
        Reason.UNKNOWN_SCHEMA,
        Reason.WRONG_RECORD_TYPE,
        Reason.SCHEMA_AHEAD_OF_CONTRACT,
        Reason.RECORD_KEY_MISMATCH,
        Reason.QUALITY_RULE,
    }
)


class DifferenceKind(StrEnum):
    """How a live view differs from its log."""

    MISSING = "missing in view"
    EXTRA = "not in log"
    COLUMNS = "columns differ"
    NOT_QUARANTINED = "neither in view nor in quarantine"
    QUARANTINED = "in quarantine without cause"
    OTHER_REASON = "in quarantine for another reason"
    NO_KEY = "the table has lost its primary key"
    TIMELINE = "the timeline is defined otherwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference, named by where the log has the event; never by what the event says."""

    record_type: str
    kind: DifferenceKind
    partition: int | None = None
    position: int | None = None
    event_id: UUID | None = None
    columns: tuple[str, ...] = ()
    reason: str | None = None


class LiveView:
    """The tables of one record type, read only."""

    def __init__(self, connection: Connection[Any], record_type: RecordType) -> None:
        self._connection = connection
        self._record_type = record_type
        self._topic = records_topic(record_type.id)

    def refuse_absent(self) -> None:
        """Raises NotFoundError when the view has not been made."""
        facts = sql.Identifier(self._record_type.id, "facts").as_string()
        found = self._connection.execute(
            "SELECT to_regclass(%s), to_regclass('yekbar.positions'), to_regclass('yekbar.quarantine')", (facts,)
        ).fetchone()
        if found is None or None in found:
            raise NotFoundError(
                f"the database has no view of '{self._record_type.id}'", remedy="run 'yekbar catalogue apply'"
            )

    def refuse_another_log(self, topic_id: str) -> None:
        """Raises LogAccidentError when the view was read from a topic of the same name that is gone."""
        rows = self._connection.execute(
            "SELECT DISTINCT topic_id FROM yekbar.positions WHERE view = %s", (self._record_type.id,)
        )
        others = {read_from for (read_from,) in rows} - {topic_id}
        if others:
            raise LogAccidentError(
                f"the view '{self._record_type.id}' was read from topic id {', '.join(sorted(others))},"
                f" the broker has {topic_id}: topic '{self._topic}' was made anew",
                remedy="see 'a topic was made anew' in the runbook",
            )

    def positions(self) -> dict[int, int]:
        """The position that each partition is read to."""
        rows = self._connection.execute(
            "SELECT partition, next_position FROM yekbar.positions WHERE view = %s", (self._record_type.id,)
        )
        return dict(rows.fetchall())

    def set_aside(self) -> dict[tuple[int, int], str]:
        """The places that are in quarantine for a reason of their time."""
        rows = self._connection.execute(
            "SELECT partition, position, reason FROM yekbar.quarantine WHERE topic = %s AND reason = ANY (%s)",
            (self._topic, [str(reason) for reason in OF_THEIR_TIME]),
        )
        return {(partition, position): reason for partition, position, reason in rows}

    def differences(self, scratch: Scratch, limit: int) -> tuple[tuple[Difference, ...], int]:
        """How the view differs from a settled replay, at most `limit` of a sort, and how often in all."""
        self._connection.execute("SELECT set_config('work_mem', %s, true)", (SORT_MEMORY,))
        shape = self._shape(scratch)
        rows, row_count = self._rows(scratch, limit)
        quarantined, quarantined_count = self._quarantine(scratch, limit)
        return (*shape, *rows, *quarantined), len(shape) + row_count + quarantined_count

    def _shape(self, scratch: Scratch) -> list[Difference]:
        live, replayed = self._definition(self._record_type.id), self._definition(scratch.place)
        found = []
        if not live[0]:
            found.append(self._difference(DifferenceKind.NO_KEY))
        if live[1] != replayed[1]:
            found.append(self._difference(DifferenceKind.TIMELINE))
        return found

    def _definition(self, place: str) -> tuple[bool, str]:
        quoted = sql.Identifier(place).as_string()
        names = {"facts": f"{quoted}.facts", "timeline": f"{quoted}.timeline"}
        row = self._connection.execute(statement("audit_definition.sql"), names).fetchone()
        assert row is not None
        return row[0], (row[1] or "").replace(quoted, "")

    def _rows(self, scratch: Scratch, limit: int) -> tuple[list[Difference], int]:
        names = [column.name for column in columns(self._record_type) if column.name not in ("subject", "event_id")]
        differing = [
            sql.SQL("CASE WHEN {} IS DISTINCT FROM {} THEN {} END").format(
                sql.Identifier("live", name), sql.Identifier("replayed", name), sql.Literal(name)
            )
            for name in names
        ]
        query = statement("audit_compare.sql").format(
            live=sql.Identifier(self._record_type.id),
            replayed=sql.Identifier(scratch.place),
            differing=sql.SQL(", ").join(differing),
            live_columns=sql.SQL(", ").join(sql.Identifier("live", name) for name in names),
            replayed_columns=sql.SQL(", ").join(sql.Identifier("replayed", name) for name in names),
        )
        found, count = [], 0
        for partition, position, event_id, is_missing, is_extra, changed, reason, total in self._connection.execute(
            query, {"limit": limit}
        ):
            kind = (
                DifferenceKind.MISSING if is_missing else DifferenceKind.EXTRA if is_extra else DifferenceKind.COLUMNS
            )
            listed = () if is_missing or is_extra else tuple(changed)
            place = {"partition": partition, "position": position, "event_id": event_id}
            found.append(self._difference(kind, columns=listed, reason=reason, **place))
            count = total
        return found, count

    def _quarantine(self, scratch: Scratch, limit: int) -> tuple[list[Difference], int]:
        query = statement("audit_compare_quarantine.sql").format(replayed=sql.Identifier(scratch.place))
        found, count = [], 0
        for partition, position, ours, theirs, total in self._connection.execute(
            query, {"topic": self._topic, "limit": limit}
        ):
            kind = DifferenceKind.OTHER_REASON
            if theirs is None:
                kind = DifferenceKind.NOT_QUARANTINED
            elif ours is None:
                kind = DifferenceKind.QUARANTINED
            reason = ours or theirs
            found.append(self._difference(kind, partition=partition, position=position, reason=reason))
            count = total
        return found, count

    def _difference(self, kind: DifferenceKind, **named: Any) -> Difference:
        return Difference(record_type=self._record_type.id, kind=kind, **named)
