"""Judges by rules across registers, such as "the civil registry knows the person", behind the views that are there.

No event says what another register knows, and that changes. So such a rule is judged beside the write path, over
stretches of two logs that were materialized before, each once, in sets:

- its own log, up to where the other register's view is complete: an event of a person who is unknown is a finding
- the other register's log: what was found of a person who is known now is settled; of one who is known no longer, open

A stretch and what it found are one transaction, so a sweep that is cut off goes on where it was.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from psycopg import Connection, errors, sql

from bus.failpoints import failpoint
from consumers.views import statement
from registry.contracts import QualityRule, RecordType

STRETCH_EVENTS = 20_000  # a stretch is one transaction, and what may be lost of it is time alone
OPEN_MAX = 100_000  # of one rule: above it the two registers do not belong together, and a list helps nobody

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    view: str
    partition: int
    start: int
    end: int


class Across:
    """Judges the rules across registers of some record types, over one connection."""

    def __init__(self, connection: Connection[Any], record_types: Sequence[RecordType]) -> None:
        self._connection = connection
        self._rules = [_Rule(connection, one, rule) for one in record_types for rule in one.rules_across]

    def sweep(self, *, must_stop: Callable[[], bool] = lambda: False) -> int:
        """Judges all that waits; how many positions of logs were passed."""
        passed = 0
        for rule in self._rules:
            while not must_stop() and (events := rule.step()):
                passed += events
        return passed


class _Rule:
    def __init__(self, connection: Connection[Any], record_type: RecordType, rule: QualityRule) -> None:
        assert rule.known_in is not None
        self._connection = connection
        self._own = str(record_type.id)
        self._register = str(rule.known_in)
        self._names = {"own": sql.Identifier(self._own), "register": sql.Identifier(self._register)}
        self._parameters = {
            "agency": record_type.agency,
            "record_type": record_type.id,
            "rule": rule.id,
            "field": rule.field,
            "register": rule.known_in,
        }
        self._is_told = False

    def step(self) -> int:
        """Judges one stretch of each partition that has one; how many positions were passed."""
        self._execute("judge_begin.sql")
        waiting = [_Stretch(view=v, partition=p, start=s, end=e) for v, p, s, e in self._execute("judge_waiting.sql")]
        horizon = self._horizon() if any(one.view == self._own for one in waiting) else None
        ready = [one for one in waiting if one.view != self._own or horizon is not None]
        for view in {one.view for one in ready}:
            self._summarize(view)
        return sum(self._judge(one, horizon) for one in ready)

    def _judge(self, waiting: _Stretch, horizon: datetime | None) -> int:
        end = min(waiting.end, waiting.start + STRETCH_EVENTS)
        stretch = {"view": waiting.view, "partition": waiting.partition, "from": waiting.start}
        with self._connection.transaction():
            if waiting.view == self._own:
                ((younger,),) = self._execute("judge_younger.sql", **stretch, to=end, horizon=horizon)
                end = end if younger is None else younger
            if end > waiting.start:
                self._execute("judge_own.sql" if waiting.view == self._own else "judge_register.sql", **stretch, to=end)
                failpoint("quality.judged")
                self._execute("judge_move.sql", **stretch, to=end)
        return end - waiting.start

    def _horizon(self) -> datetime | None:
        """Until when the other register's view is complete; None while nobody may be judged."""
        if self._is_drowned():
            return None
        ((horizon,),) = self._execute("judge_horizon.sql")
        assert horizon is None or isinstance(horizon, datetime)
        return horizon

    def _is_drowned(self) -> bool:
        ((count,),) = self._execute("judge_open.sql", limit=OPEN_MAX)
        if count < OPEN_MAX:
            self._is_told = False
        elif not self._is_told:
            self._is_told = True
            log.warning("rule_suspended", record_type=self._own, rule=self._parameters["rule"], open_findings=count)
        return bool(count >= OPEN_MAX)

    def _summarize(self, view: str) -> None:
        """Lets the index over the log know its newest blocks; else a stretch is looked for in all that is not known."""
        with suppress(errors.InsufficientPrivilege):  # who may not do it waits for the server to do it by itself
            index = sql.Identifier(view, "facts_log").as_string()
            self._connection.execute("SELECT brin_summarize_new_values(%s::regclass)", (index,))

    def _execute(self, name: str, **more: Any) -> Any:
        query = statement(name).format(**self._names)
        done = self._connection.execute(query, {**self._parameters, **more})
        return done.fetchall() if done.description else []
