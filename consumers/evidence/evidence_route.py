"""`POST /v1/evidence`: from bytes to a request that was decided, and from its answer to bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json

from bus.envelope import EventIdMaker
from bus.http.authentication import Authentication
from bus.http.problems import RETRY_AFTER, Kind, Problem, Response, of_invalid
from bus.http.routing import Refused, Request
from bus.national_id import NationalIdError, canonical_national_id
from bus.subject import Pseudonymizer
from consumers.accesses.record import Verdict
from consumers.evidence.asking import Ask, Planner, Refusal
from consumers.evidence.batching import Batcher
from consumers.evidence.decision import Question
from consumers.evidence.errors import NOTHING_DISCLOSED, BusyError, UnavailableError
from consumers.evidence.labels import language
from consumers.evidence.models import EvidenceRequest
from consumers.evidence.rights import RightsDesk
from consumers.evidence.service import Answered
from consumers.evidence.watch import Watch
from registry.contracts import Catalogue, ProcedureId

NO_AGREEMENT = "no agreement permits any of this"
_REFUSAL_KINDS = {
    Refusal.INVALID_NATIONAL_ID: Kind.INVALID_NATIONAL_ID,
    Refusal.NO_SUCH_PROCEDURE: Kind.NO_SUCH_PROCEDURE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRoute:
    """Answers requests for evidence; whatever passed the token check and is a request is recorded."""

    catalogue: Catalogue
    pseudonymizer: Pseudonymizer
    authentication: Authentication
    planner: Planner
    rights: RightsDesk
    watch: Watch
    batcher: Batcher[Ask, Answered]
    access_id: EventIdMaker

    async def post(self, request: Request) -> Response:
        """The response to one request."""
        if request.query:
            raise Refused(Problem(kind=Kind.QUERY_NOT_ALLOWED))
        if not request.headers.get(b"content-type", b"").lower().startswith(b"application/json"):
            raise Refused(Problem(kind=Kind.UNSUPPORTED_MEDIA_TYPE))
        agency = await self.authentication.agency(request)
        try:
            asked = EvidenceRequest.model_validate_json(request.body)
        except ValidationError as exc:
            raise Refused(of_invalid(exc)) from None
        try:
            self.rights.check_current()
            ask = self._decided(asked, agency, language(request.accept_language))
            answered = await self.batcher.ask(ask)
        except BusyError:
            raise Refused(Problem(kind=Kind.BUSY, headers=RETRY_AFTER)) from None
        except UnavailableError:
            raise Refused(Problem(kind=Kind.UNAVAILABLE, detail=NOTHING_DISCLOSED, headers=RETRY_AFTER)) from None
        return _response(answered)

    def _decided(self, asked: EvidenceRequest, agency: str, tongue: str) -> Ask:
        """The request with what may be answered to it, decided for it alone."""
        now = datetime.now(UTC)
        procedure = self.catalogue.procedures.get(ProcedureId(asked.procedure))
        plan = refusal = subject = None
        try:
            canonical = canonical_national_id(asked.national_id, self.pseudonymizer.scheme)
            subject = UUID(bytes=self.pseudonymizer.pseudonym(canonical))
        except NationalIdError:
            refusal = Refusal.INVALID_NATIONAL_ID
        if procedure is None:
            refusal = Refusal.NO_SUCH_PROCEDURE
        else:
            question = Question(
                requester=agency,
                procedure=procedure.id,
                has_case_reference=asked.case_reference is not None,
                has_acting_user=asked.acting_user is not None,
                now=now,
            )
            plan = self.planner.plan(procedure, question)
            if subject is not None and plan.permitted and self._is_harvest(question, subject, int(canonical) // 10):
                plan = self.planner.plan(procedure, question)
        return Ask(
            access_id=self.access_id(),
            asked_at=now,
            requester=agency,
            plan=plan,
            refusal=refusal,
            subject=subject,
            case_reference=asked.case_reference,
            acting_user=asked.acting_user,
            represented_party=asked.represented_party,
            effective_at=asked.effective_at,
            known_at=asked.known_at,
            language=tongue,
        )

    def _is_harvest(self, question: Question, subject: UUID, number: int) -> bool:
        """Takes the person into account; whether the requester's agreements were suspended for it."""
        walked = self.watch.seen(
            question.requester, question.procedure, subject=subject, number=number, now=question.now
        )
        if walked:
            self.rights.suspend(question.requester, walked)
        return bool(walked)


def _response(answered: Answered) -> Response:
    ask = answered.ask
    if ask.refusal is not None:
        return Problem(kind=_REFUSAL_KINDS[ask.refusal], more={"access_id": ask.access_id}).response()
    if ask.verdict is Verdict.DENIED:
        answer = from_json(answered.answer)
        more = {"access_id": ask.access_id, "requirements": answer["requirements"]}
        return Problem(kind=Kind.NOT_PERMITTED, detail=NO_AGREEMENT, more=more).response()
    headers = ((b"content-language", ask.language.encode()), (b"vary", b"accept-language"))
    return Response(status=200, body=answered.answer, headers=headers)
