"""What `yekbar audit` shows a person: tables, and one line that says what they mean."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from consumers.accesses.record import Access
from consumers.audit.diff import Compared
from consumers.audit.findings import Finding
from consumers.audit.folding import LoggedEvent
from consumers.audit.person import Told, ToldEvent
from consumers.audit.replay import Replayed
from consumers.audit.verify import Verified
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
        print_table("Differences", ["record type", "what", "partition:position", "event", "columns, reason"], listed)
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
        print_table("Findings", ["record type", "what", "source", "sequences", "partition:position", "event"], listed)
    unreadable = sum(one.unreadable for one in done)
    aside = f", {unreadable:,} of them no events (see 'yekbar quarantine list')" if unreadable else ""
    _conclude(
        sum(one.count for one in done) + len(shared),
        listed=len(findings),
        what="finding",
        good=f"every log is whole: {sum(one.messages for one in done):,} messages{aside}",
    )


def show_accesses(found: Sequence[Access]) -> None:
    """Who asked, on which ground, and what left."""
    columns = ["at", "requester", "procedure", "case", "user", "legal basis", "decision", "what left"]
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
    places = {event.event_id: number for number, event in _taken(told)}
    events = [_event_row(number, one, places) for number, one in enumerate(told.events, 1)]
    columns = ["#", "known", "partition:position", "change", "record", "effective", "became", "event"]
    print_table(f"{record_type.id}: what was said", columns, events)
    periods = [
        (
            one.record_key or None,
            _time(one.period.effective_from),
            _time(one.period.effective_to),
            f"#{places[one.period.fact.event_id]}",
            "nothing" if one.period.is_ceased else _body(one.told.body),
        )
        for one in told.periods
    ]
    print_table("What holds", ["record", "from", "until", "by", "holds"], periods)


def told_facts(told: Told) -> dict[str, Any]:
    """A person's timeline for a machine."""
    return {
        "events": [
            {
                "partition": one.partition,
                "position": one.position,
                "known_at": one.known_at,
                "event_id": one.event and one.event.event_id,
                "change_kind": one.change_kind,
                "record_key": one.event and one.event.record_key,
                "effective_from": one.event and one.event.effective_from,
                "effective_to": one.event and one.event.effective_to,
                "previous_event_id": one.event and one.event.previous_event_id,
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


def _taken(told: Told) -> Iterator[tuple[int, LoggedEvent]]:
    """The events that were not passed by, with the number that the table gives them."""
    for number, one in enumerate(told.events, 1):
        if one.event is not None and one.fate.reason is None:
            yield number, one.event


def _event_row(number: int, one: ToldEvent, places: Mapping[UUID, int]) -> tuple[Any, ...]:
    known = (f"#{number}", _time(one.known_at), _place(one.partition, one.position))
    if one.event is None:
        return (*known, None, None, None, one.fate.reason, None)
    event = one.event
    undone = places.get(event.previous_event_id) if event.previous_event_id else None
    change = f"{one.change_kind} #{undone}" if undone else str(one.change_kind)
    effective = f"{_time(event.effective_from)} – {_time(event.effective_to) or ''}"
    became = one.fate.reason or (f"void by #{places[one.fate.voided_by]}" if one.fate.voided_by else "stands")
    return (*known, change, event.record_key or None, effective, became, event.event_id)


def _counts(passed_by: Mapping[str, int]) -> str | None:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(passed_by.items())) or None


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
    """The evidence types of which claims left; the claims themselves are in the JSON."""
    return ", ".join(one["evidence_type"] for one in evidence if one.get("claims")) or None


def _body(body: Mapping[str, Any] | None) -> str | None:
    return None if body is None else ", ".join(f"{name}={value}" for name, value in body.items() if value is not None)


def _conclude(count: int, *, listed: int, what: str, good: str) -> None:
    """One line that says how it ended."""
    if not count:
        console().print(good)
        return
    rest = f"; {listed:,} are listed" if listed < count else ""
    console().print(f"{count:,} {what}{'' if count == 1 else 's'}{rest}", style="bold")
