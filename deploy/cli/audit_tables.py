"""What `yekbar audit` shows a person: tables, and one line that says what they mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bus.envelope import ChangeKind
from consumers.accesses.record import RecordedAccess
from consumers.audit.diff import Compared
from consumers.audit.findings import Finding
from consumers.audit.folding import DUPLICATE
from consumers.audit.person import Told, ToldEvent
from consumers.audit.replay import Replayed
from consumers.audit.verify import Verified
from consumers.fold import Fact
from deploy.cli.output import console, error_console, print_table
from registry.contracts import RecordType


def show_replayed(done: Sequence[Replayed]) -> None:
    """What replays made, and where to look at it."""
    rows = [(one.record_type, one.messages, one.facts, _counts(one.passed_by), one.database_schema) for one in done]
    print_table("Replayed", ["record type", "messages", "facts", "passed by", "database schema"], rows)
    error_console().print(f'look at one with: SELECT * FROM "{done[0].database_schema}".timeline', soft_wrap=True)


def show_compared(done: Sequence[Compared]) -> None:
    """How views and logs compare, and every difference that is listed."""
    columns = ["record type", "messages", "facts", "passed by", "on quarantine's word", "differences"]
    rows = [
        (
            one.replayed.record_type,
            one.replayed.messages,
            one.replayed.facts,
            _counts(one.replayed.passed_by),
            one.set_aside,
            one.count,
        )
        for one in done
    ]
    print_table("Live views against the replay of their logs", columns, rows)
    differences = [difference for one in done for difference in one.differences]
    if differences:
        listed = [
            (
                one.record_type,
                one.kind,
                _place(one.partition, one.position),
                one.event_id,
                _said(one.columns, one.reason),
            )
            for one in differences
        ]
        print_table("Differences", ["record type", "what", "log", "event", "columns, reason"], listed)
    _conclude(
        sum(one.count for one in done),
        listed=len(differences),
        what="difference",
        good=f"every view says what its log says: {sum(one.replayed.messages for one in done):,} messages compared",
    )


def show_verified(done: Sequence[Verified], shared: Sequence[Finding]) -> None:
    """What sources have sent, and what is wrong with it."""
    columns = ["record type", "source", "events", "distinct", "highest", "missing", "repeated", "last known"]
    rows = [
        (
            one.record_type,
            seen.source,
            seen.messages,
            seen.distinct,
            seen.highest,
            seen.missing,
            seen.repeated,
            _time(seen.last_known_at),
        )
        for one in done
        for seen in one.sources
    ]
    print_table("What each source has sent", columns, rows)
    findings = [*(finding for one in done for finding in one.findings), *shared]
    if findings:
        listed = [
            (
                one.record_type,
                one.kind,
                one.source,
                _range(one.sequences),
                _place(one.partition, _range(one.positions)),
                one.event_id,
            )
            for one in findings
        ]
        print_table("Findings", ["record type", "what", "source", "sequences", "log", "event"], listed)
    unreadable = sum(one.unreadable for one in done)
    aside = f", {unreadable:,} of them no events (see 'yekbar quarantine list')" if unreadable else ""
    _conclude(
        sum(one.count for one in done) + len(shared),
        listed=len(findings),
        what="finding",
        good=f"every log is whole: {sum(one.messages for one in done):,} messages{aside}",
    )


def show_accesses(found: Sequence[RecordedAccess]) -> None:
    """Who asked, on which ground, and what left."""
    columns = ["at", "requester", "procedure", "case", "user", "legal basis", "decision", "what left", "answer"]
    rows = [
        (
            _time(one.at),
            one.requester,
            one.procedure,
            one.case_reference,
            one.acting_user,
            one.legal_basis,
            f"{one.decision}: {one.reason}" if one.reason else one.decision,
            _left(one.evidence),
            str(one.delivery),
        )
        for one in found
    ]
    if rows:
        print_table("Accesses", columns, rows)
    else:
        console().print("Accesses: none")


def show_told(record_type: RecordType, told: Told) -> None:
    """A person's events with what became of each, and what holds when."""
    if not told.events:
        console().print(f"{record_type.id}: the bus knows nothing of this person")
        return
    numbers = {fact.event_id: number for number, fact in _taken(told)}
    hidden = () if record_type.record_key_field else ("record",)
    events = [_event_row(number, one, numbers) for number, one in enumerate(told.events, 1)]
    _print_facts(f"{record_type.id}: what was said", events, hidden=hidden)
    periods = [
        {
            "from": _time(one.period.effective_from),
            "until": _time(one.period.effective_to),
            "record": one.record_key,
            "by": f"#{numbers[one.period.fact.event_id]}",
            "holds": "nothing: it ceased" if one.period.is_ceased else _body(one.told.body),
        }
        for one in told.periods
    ]
    _print_facts(f"{record_type.id}: what holds", periods, hidden=hidden)


def told_facts(told: Told) -> dict[str, Any]:
    """A person's timeline for a machine."""
    return {
        "events": [
            {
                "partition": one.partition,
                "position": one.position,
                "known_at": one.known_at,
                "event_id": one.fact and one.fact.event_id,
                "change_kind": one.fact and one.fact.change_kind,
                "record_key": one.fact and one.fact.record_key,
                "effective_from": one.fact and one.fact.effective_from,
                "effective_to": one.fact and one.fact.effective_to,
                "previous_event_id": one.fact and one.fact.previous_event_id,
                "voided_by": one.fate.voided_by,
                "passed_by": one.fate.reason,
                "body": one.body,
            }
            for one in told.events
        ],
        "periods": [
            {
                "record_key": one.record_key,
                "effective_from": one.period.effective_from,
                "effective_to": one.period.effective_to,
                "event_id": one.period.fact.event_id,
                "ceased": one.period.is_ceased,
                "body": None if one.period.is_ceased else one.told.body,
            }
            for one in told.periods
        ],
    }


def _taken(told: Told) -> Iterator[tuple[int, Fact]]:
    """The events that were not passed by, with the number that the table gives them."""
    for number, one in enumerate(told.events, 1):
        if one.fact is not None and one.fate.reason is None:
            yield number, one.fact


def _event_row(number: int, one: ToldEvent, numbers: Mapping[UUID, int]) -> dict[str, Any]:
    fact = one.fact
    return {
        "#": f"#{number}",
        "known": _time(one.known_at),
        "log": _place(one.partition, one.position),
        "change": one.fact and one.fact.change_kind,
        "record": fact and fact.record_key,
        "effective": fact and f"{_time(fact.effective_from)} – {_time(fact.effective_to) or ''}",
        "became": _became(one, numbers),
        "event": fact and fact.event_id,
    }


def _became(one: ToldEvent, numbers: Mapping[UUID, int]) -> str:
    """What an event did in the end, or who undid it; events of this table are named by their number."""

    def named(event_id: UUID) -> str:
        return f"#{numbers[event_id]}" if event_id in numbers else str(event_id)

    if one.fate.reason is not None:
        return "sent again" if one.fate.reason == DUPLICATE else f"quarantine: {one.fate.reason}"
    if one.fate.voided_by is not None:
        return f"void by {named(one.fate.voided_by)}"
    if one.fact is None or one.fact.previous_event_id is None:
        return "stands"
    undone = named(one.fact.previous_event_id)
    return f"undoes {undone}" if one.fact.change_kind is ChangeKind.ANNULLED else f"stands for {undone}"


def _print_facts(title: str, rows: Sequence[Mapping[str, Any]], *, hidden: Sequence[str]) -> None:
    if not rows:
        console().print(f"{title}: nothing")
        return
    columns = [name for name in rows[0] if name not in hidden]
    print_table(title, columns, ([row[name] for name in columns] for row in rows))


def _counts(passed_by: Mapping[str, int]) -> str | None:
    return "\n".join(f"{reason} {count:,}" for reason, count in sorted(passed_by.items())) or None


def _said(columns: Sequence[str], reason: str | None) -> str | None:
    return ", ".join([*columns, *([reason] if reason else [])]) or None


def _range(ends: tuple[int, int] | None) -> str | None:
    """A closed range; one number alone where it holds no more."""
    if ends is None:
        return None
    first, last = ends
    return f"{first:,}" if first == last else f"{first:,}–{last:,}"


def _place(partition: int | None, position: int | str | None) -> str | None:
    if partition is None:
        return None
    return str(partition) if position is None else f"{partition}:{position}"


def _time(at: datetime | None) -> str | None:
    """To the second; a day alone where it is midnight."""
    if at is None:
        return None
    text = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return text.removesuffix(" 00:00:00")


def _left(evidence: Iterable[Mapping[str, Any]]) -> str | None:
    """The claims that left, by evidence type."""
    told = [f"{one['evidence_type']}: {', '.join(one['claims'])}" for one in evidence if one.get("claims")]
    return "\n".join(told) or None


def _body(body: Mapping[str, Any] | None) -> str | None:
    """A field a line; fields without a value are left out."""
    if body is None:
        return None
    return "\n".join(f"{name}: {_value(value)}" for name, value in body.items() if value is not None) or None


def _value(value: Any) -> str:
    if isinstance(value, datetime):
        return str(_time(value))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _conclude(count: int, *, listed: int, what: str, good: str) -> None:
    """One line that says how it ended."""
    if not count:
        console().print(good)
        return
    rest = f"; {listed:,} are listed, see --limit" if listed < count else ""
    console().print(f"{count:,} {what}{'' if count == 1 else 's'}{rest}", style="bold")
