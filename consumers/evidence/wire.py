"""The answer and the access record as they are written.

An answer is a frame filled with pieces. The frame, everything but the pieces, is the same for all whose evidence
stands alike, and is written once; the pieces come as JSON from the database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from pydantic_core import to_json

from consumers.accesses.record import Verdict
from consumers.evidence.answer import Judged, Stand, Status, disclosed, judge
from consumers.evidence.asking import Ask, Plan, Refusal
from consumers.evidence.freshness import Clock
from consumers.evidence.labels import in_language
from consumers.evidence.queries import Piece
from registry.contracts import AgreementId, Catalogue, EvidenceTypeId, RecordType

UNNEEDED = "unneeded"  # looked up for a list that another list of the same requirement made needless
FRAMES_MAX = 10_000  # of a few kilobytes each; plans × ways in which their evidence stands
TEXTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Frame:
    """An answer without its pieces: texts, and after each but the last the evidence type whose pieces come there."""

    texts: tuple[bytes, ...]
    slots: tuple[EvidenceTypeId, ...]


class Vouched:
    """What is said of freshness in one batch, once for each evidence type and instant."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._texts: dict[tuple[EvidenceTypeId, datetime | None], bytes] = {}

    def text(self, name: EvidenceTypeId, views: Sequence[RecordType], known_at: datetime | None) -> bytes:
        """The freshness of an evidence type over these views, now or as known at an instant."""
        text = self._texts.get((name, known_at))
        if text is None:
            fresh = self._clock.freshness(views, known_at=known_at)
            said = {"lag_s": fresh.lag_s, "source_state": fresh.source_state, "missing_events": fresh.missing_events}
            instants = f'"as_of":{_instant(fresh.as_of)},"heard_at":{_instant(fresh.heard_at)},'
            instants += f'"complete_until":{_instant(fresh.complete_until)}'
            text = self._texts[name, known_at] = f"{{{instants},{_json(said)[1:]},".encode()
        return text


class Writer:
    """Writes answers and records in the words of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._views = {
            name: [catalogue.record_types[view] for view in one.views.values()]
            for name, one in catalogue.evidence_types.items()
        }
        self._frame = lru_cache(FRAMES_MAX)(self._made_frame)
        self._ending = lru_cache(FRAMES_MAX)(self._made_ending)
        self._head = lru_cache(TEXTS_MAX)(self._made_head)

    def answer(
        self,
        ask: Ask,
        plan: Plan,
        stands: tuple[Stand, ...],
        proofs: Mapping[EvidenceTypeId, Sequence[Piece]],
        instant: datetime,
        vouched: Vouched,
    ) -> bytes:
        """The answer's bytes, in the language that was asked for; `stands` is in the order of the plan's decisions."""
        frame = self._frame(plan, stands, ask.language)
        known_at = ask.known_at
        asked = f'"effective_at":"{instant.isoformat()}","known_at":{_instant(known_at)},'
        parts = [f'{{"access_id":"{ask.access_id}",{asked}'.encode()]
        for text, name in zip(frame.texts, frame.slots, strict=False):
            head = self._head(name, plan.permitted[name].agreement, ask.language)
            head += vouched.text(name, self._views[name], known_at)
            parts.append(text)
            parts.append(b",".join([head + piece.text[1:] for piece in proofs[name]]))
        parts.append(frame.texts[-1])
        return b"".join(parts)

    def record(self, ask: Ask, stands: tuple[Stand, ...]) -> bytes:
        """The access record of a request as JSON, without what is null; without `stands` where it was refused."""
        said = f'{{"access_id":"{ask.access_id.hex}","at":"{ask.asked_at.isoformat()}"'
        if ask.subject is not None:
            said += f',"subject":"{ask.subject.hex}"'
        if ask.case_reference is not None:
            said += f',"case_reference":{_json(ask.case_reference)}'
        if ask.acting_user is not None:
            said += f',"acting_user":{_json(ask.acting_user)}'
        if ask.representative is not None:
            said += f',"representative":"{ask.representative.hex}"'
        if ask.effective_at is not None:
            said += f',"effective_at":"{ask.effective_at.isoformat()}"'
        if ask.known_at is not None:
            said += f',"known_at":"{ask.known_at.isoformat()}"'
        return said.encode() + self._ending(ask.requester, ask.plan, ask.refusal, ask.verdict, stands)

    def _made_ending(
        self, requester: str, plan: Plan | None, refusal: Refusal | None, verdict: Verdict, stands: tuple[Stand, ...]
    ) -> bytes:
        """The end of the record of everybody whose evidence stands alike."""
        said = {
            "requester": requester,
            "procedure": plan.procedure.id if plan else None,
            "purpose": plan.purpose if plan else None,
            "legal_basis": plan.procedure.legal_basis if plan else None,
            "decision": verdict,
            "reason": refusal or (plan.reason if plan else None),
            "evidence": self._entries(plan, stands) if plan and stands else (),
        }
        return f",{_json(said)[1:]}".encode()

    def _made_frame(self, plan: Plan, stands: tuple[Stand, ...], language: str) -> Frame:
        judged = self._judged(plan, stands)
        standing = dict(zip(plan.decisions, stands, strict=True))
        named = {"procedure": plan.procedure.id, "title": in_language(plan.procedure.title, language)}
        is_complete = all(one.status is Status.MET for one in judged)
        texts = [f'{_json({**named, "is_complete": is_complete})[1:-1]},"requirements":[']
        slots: list[EvidenceTypeId] = []
        for place, one in enumerate(judged):
            named = {"requirement": one.requirement.id, "title": in_language(one.requirement.title, language)}
            said = _json({**named, "status": one.status, "reason": one.reason})
            texts[-1] += f'{"," if place else ""}{said[:-1]},"evidence":['
            if one.status is Status.MET:
                for count, name in enumerate(one.evidence_types):
                    texts[-1] += "," if count else ""
                    texts.append("")
                    slots.append(name)
                texts[-1] += '],"tried":[]}'
            else:
                texts[-1] += f'],"tried":{self._tried(one, standing)}}}'
        texts[-1] += "]}"
        return Frame(tuple(text.encode() for text in texts), tuple(slots))

    def _tried(self, one: Judged, standing: Mapping[EvidenceTypeId, Stand]) -> str:
        return _json(
            [
                {
                    "evidence_type": name,
                    "provider": self._catalogue.evidence_types[name].provider,
                    "status": standing[name].status,
                    "reason": standing[name].reason,
                }
                for name in one.evidence_types
            ]
        )

    def _made_head(self, name: EvidenceTypeId, agreement: AgreementId, language: str) -> bytes:
        one = self._catalogue.evidence_types[name]
        said = {"evidence_type": name, "title": in_language(one.title, language), "provider": one.provider}
        return f'{_json({**said, "agreement": agreement})[:-1]},"freshness":'.encode()

    def _entries(self, plan: Plan, stands: tuple[Stand, ...]) -> Sequence[Mapping[str, Any]]:
        judged = self._judged(plan, stands)
        shown = disclosed(judged)
        told = {name for one in judged for name in one.evidence_types}
        return [
            {
                "evidence_type": name,
                "provider": self._catalogue.evidence_types[name].provider,
                "status": stand.status if name in told else UNNEEDED,
                "reason": stand.reason,
                "agreement": decision.agreement,
                "claims": plan.permitted[name].claims if name in shown else (),
            }
            for (name, decision), stand in zip(plan.decisions.items(), stands, strict=True)
        ]

    def _judged(self, plan: Plan, stands: tuple[Stand, ...]) -> Sequence[Judged]:
        return judge(plan.procedure, dict(zip(plan.decisions, stands, strict=True)))


def _json(value: Any) -> str:
    return to_json(value).decode()


def _instant(instant: datetime | None) -> str:
    return "null" if instant is None else f'"{instant.isoformat()}"'
