"""The answer and the access record as they are written: plain values for JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic_core import to_json

from consumers.accesses.record import Access
from consumers.evidence.answer import Finding, Judged, Status, disclosed
from consumers.evidence.asking import Ask, Plan
from consumers.evidence.decision import Permitted
from consumers.evidence.freshness import Clock
from consumers.evidence.queries import Piece
from registry.contracts import Catalogue, EvidenceTypeId, Labels

UNNEEDED = "unneeded"  # looked up for a list that another list of the same requirement made needless


def label(labels: Labels, language: str) -> str:
    """A label in a language; in English where it has no other."""
    return labels.get(language) or labels.get("en", "")


class Writer:
    """Writes answers and records in the words of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def answer(self, ask: Ask, plan: Plan, judged: tuple[Judged, ...], clock: Clock) -> bytes:
        """The answer's bytes, in the language that was asked for."""
        language = ask.language
        return to_json(
            {
                "access_id": ask.access_id,
                "procedure": plan.procedure.id,
                "title": label(plan.procedure.title, language),
                "effective_at": ask.instant(clock.now),
                "known_at": ask.known_at,
                "is_complete": all(one.status is Status.MET for one in judged),
                "requirements": [
                    {
                        "requirement": one.requirement.id,
                        "title": label(one.requirement.title, language),
                        "status": one.status.value,
                        "reason": one.reason,
                        "evidence": self._evidence(one, plan, ask, clock) if one.status is Status.MET else [],
                        "tried": [] if one.status is Status.MET else [self._tried(found) for found in one.findings],
                    }
                    for one in judged
                ],
            }
        )

    def record(self, ask: Ask, judged: tuple[Judged, ...], findings: Mapping[EvidenceTypeId, Finding]) -> Access:
        """The access record of a request."""
        plan = ask.plan
        shown = disclosed(judged)
        told = {finding.evidence_type for one in judged for finding in one.findings}
        entries = [] if plan is None else [self._entry(plan, found, shown, told) for found in findings.values()]
        return Access(
            access_id=ask.access_id,
            at=ask.asked_at,
            requester=ask.requester,
            procedure=plan.procedure.id if plan else None,
            subject=ask.subject,
            case_reference=ask.case_reference,
            acting_user=ask.acting_user,
            represented_party=ask.represented_party,
            purpose=plan.purpose if plan else None,
            legal_basis=plan.procedure.legal_basis if plan else None,
            effective_at=ask.effective_at,
            known_at=ask.known_at,
            decision=ask.verdict,
            reason=ask.refusal or (plan.reason if plan else None),
            evidence=to_json(entries).decode(),
        )

    def _evidence(self, one: Judged, plan: Plan, ask: Ask, clock: Clock) -> list[dict[str, Any]]:
        written: list[dict[str, Any]] = []
        for found in one.findings:
            decision = plan.decisions[found.evidence_type]
            assert isinstance(decision, Permitted)
            evidence_type = self._catalogue.evidence_types[found.evidence_type]
            shared = {
                "evidence_type": evidence_type.id,
                "title": label(evidence_type.title, ask.language),
                "provider": evidence_type.provider,
                "agreement": decision.agreement,
                "freshness": _freshness(clock, evidence_type.views.values(), ask.known_at),
            }
            written.extend({**shared, **_piece(piece, decision)} for piece in found.pieces)
        return written

    def _tried(self, found: Finding) -> dict[str, Any]:
        provider = self._catalogue.evidence_types[found.evidence_type].provider
        return {
            "evidence_type": found.evidence_type,
            "provider": provider,
            "status": found.status.value,
            "reason": found.reason,
        }

    def _entry(
        self, plan: Plan, found: Finding, shown: frozenset[EvidenceTypeId], told: set[EvidenceTypeId]
    ) -> dict[str, Any]:
        decision = plan.decisions[found.evidence_type]
        is_shown = found.evidence_type in shown
        return {
            "evidence_type": found.evidence_type,
            "provider": self._catalogue.evidence_types[found.evidence_type].provider,
            "status": found.status.value if found.evidence_type in told else UNNEEDED,
            "reason": found.reason,
            "agreement": decision.agreement,
            "claims": decision.claims if is_shown and isinstance(decision, Permitted) else [],
        }


def _piece(piece: Piece, decision: Permitted) -> dict[str, Any]:
    return {
        "claims": {name: piece.claims[name] for name in decision.claims},
        "effective_from": piece.effective_from,
        "effective_to": piece.effective_to,
        "recorded_at": piece.recorded_at,
        "known_at": piece.known_at,
        "events": [
            {"record_type": record_type, "event_id": event_id, "partition": partition, "position": position}
            for record_type, event_id, partition, position in piece.events
        ],
        "under_investigation": piece.under_investigation,
    }


def _freshness(clock: Clock, views: Any, known_at: datetime | None) -> dict[str, Any]:
    fresh = clock.freshness(views)
    if known_at is not None and fresh.as_of is not None:
        return {"as_of": min(fresh.as_of, known_at), "lag_s": 0.0, "source_state": fresh.source_state.value}
    return {"as_of": fresh.as_of, "lag_s": fresh.lag_s, "source_state": fresh.source_state.value}
