"""`POST /v1/evidence`: from bytes to requests that were decided, and from their answers to bytes.

A request about many persons is many requests that are answered together: each is counted, decided and recorded alone.
"""

import asyncio
from collections.abc import Sequence
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
from consumers.accesses.delivery import Deliveries
from consumers.accesses.record import Verdict
from consumers.evidence.asking import Ask, Plan, Planner, Refusal
from consumers.evidence.batching import Batcher
from consumers.evidence.decision import Question
from consumers.evidence.errors import NOTHING_DISCLOSED, BusyError, UnavailableError
from consumers.evidence.labels import language
from consumers.evidence.mandates import Mandates
from consumers.evidence.models import EvidenceRequest
from consumers.evidence.rights import RightsDesk
from consumers.evidence.service import Answered
from consumers.evidence.watch import Watch
from registry.contracts import Catalogue, ProcedureId

NO_AGREEMENT = "no agreement permits any of this"
_REFUSALS = {
    Refusal.INVALID_NATIONAL_ID: (Kind.INVALID_NATIONAL_ID, None),
    Refusal.NO_SUCH_PROCEDURE: (Kind.NO_SUCH_PROCEDURE, None),
    Refusal.NO_MANDATE: (Kind.NOT_PERMITTED, Refusal.NO_MANDATE.value),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person who is named, or `None` of one where the number is wrong; `number` is without its check digit."""

    subject: UUID | None
    number: int
    representative: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRoute:
    """Answers requests for evidence; whatever passed the token check and is a request is recorded."""

    catalogue: Catalogue
    pseudonymizer: Pseudonymizer
    authentication: Authentication
    planner: Planner
    rights: RightsDesk
    watch: Watch
    mandates: Mandates
    deliveries: Deliveries
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
        now = datetime.now(UTC)
        delivery = self.deliveries.begin(now)
        try:
            self.rights.check_current()
            asks = await self._decided(asked, agency, language(request.accept_language), now)
            if asked.national_ids is None:
                return _response(await self.batcher.ask(asks[0]))
            return _response_of_many(await self._all_answered(asks))
        except BusyError:
            raise Refused(Problem(kind=Kind.BUSY, headers=RETRY_AFTER)) from None
        except UnavailableError:
            raise Refused(Problem(kind=Kind.UNAVAILABLE, detail=NOTHING_DISCLOSED, headers=RETRY_AFTER)) from None
        finally:
            self.deliveries.end(delivery)

    async def _all_answered(self, asks: Sequence[Ask]) -> Sequence[Answered]:
        """The answers to all, or none of them."""
        answers = await asyncio.gather(*[self.batcher.ask(ask) for ask in asks], return_exceptions=True)
        for one in answers:
            if isinstance(one, BaseException):
                raise one
        return [one for one in answers if isinstance(one, Answered)]

    async def _decided(self, asked: EvidenceRequest, agency: str, tongue: str, now: datetime) -> Sequence[Ask]:
        """The requests about each person, with what may be answered to them. Raises UnavailableError."""
        persons = self._persons(asked)
        procedure = self.catalogue.procedures.get(ProcedureId(asked.procedure))
        plan = refusal = None
        if procedure is None:
            refusal = Refusal.NO_SUCH_PROCEDURE
        else:
            question = Question(
                requester=agency,
                procedure=procedure.id,
                has_case_reference=asked.case_reference is not None,
                has_acting_user=asked.acting_user is not None,
                now=now,
                persons=len(persons),
            )
            plan = self.planner.plan(procedure, question)
            if plan.permitted and self._is_beyond(question, persons):
                plan = self.planner.plan(procedure, question)
            if plan.permitted and asked.represented_party is not None and not await self._is_mandated(plan, persons[0]):
                refusal = Refusal.NO_MANDATE
        return [self._ask(asked, person, agency, plan, refusal, tongue, now) for person in persons]

    def _ask(
        self,
        asked: EvidenceRequest,
        person: Person,
        agency: str,
        plan: Plan | None,
        refusal: Refusal | None,
        tongue: str,
        now: datetime,
    ) -> Ask:
        is_wrong = person.subject is None and refusal is not Refusal.NO_SUCH_PROCEDURE
        return Ask(
            access_id=self.access_id(),
            asked_at=now,
            requester=agency,
            plan=plan,
            refusal=Refusal.INVALID_NATIONAL_ID if is_wrong else refusal,
            subject=person.subject,
            case_reference=asked.case_reference,
            acting_user=asked.acting_user,
            representative=person.representative,
            effective_at=asked.effective_at,
            known_at=asked.known_at,
            language=tongue,
        )

    def _persons(self, asked: EvidenceRequest) -> Sequence[Person]:
        """The persons whom the evidence is about."""
        if asked.national_ids is not None:
            return [self._person(one) for one in asked.national_ids]
        assert asked.national_id is not None, "the model lets no request through that names nobody"
        named = self._person(asked.national_id)
        if asked.represented_party is None:
            return [named]
        represented = self._person(asked.represented_party)
        if named.subject is None or represented.subject is None:
            return [Person(subject=None, number=0, representative=None)]
        return [Person(subject=represented.subject, number=represented.number, representative=named.subject)]

    def _person(self, national_id: str) -> Person:
        try:
            canonical = canonical_national_id(national_id, self.pseudonymizer.scheme)
        except NationalIdError:
            return Person(subject=None, number=0)
        return Person(subject=UUID(bytes=self.pseudonymizer.pseudonym(canonical)), number=int(canonical) // 10)

    async def _is_mandated(self, plan: Plan, person: Person) -> bool:
        if person.subject is None or person.representative is None:
            return True  # the number is wrong, and that is said
        return await self.mandates.hold(
            representative=person.representative, represented=person.subject, procedure=plan.procedure.id
        )

    def _is_beyond(self, question: Question, persons: Sequence[Person]) -> bool:
        """Takes the persons into account; whether an agreement was suspended, or a budget used up, by them."""
        is_walk = False
        spent = self.watch.spent
        for person in persons:
            if person.subject is None:
                continue
            walked = self.watch.seen(
                question.requester, question.procedure, subject=person.subject, number=person.number, now=question.now
            )
            if walked:
                self.rights.suspend(question.requester, walked)
                is_walk = True
        if self.watch.spent is not spent:
            self.rights.tell_spent()
            return True
        return is_walk


def _problem(answered: Answered) -> Problem | None:
    """What is answered in place of evidence."""
    ask = answered.ask
    if ask.refusal is not None:
        kind, detail = _REFUSALS[ask.refusal]
        return Problem(kind=kind, detail=detail, more={"access_id": ask.access_id})
    if ask.verdict is Verdict.DENIED:
        requirements = from_json(answered.answer)["requirements"]
        more = {"access_id": ask.access_id, "requirements": requirements}
        return Problem(kind=Kind.NOT_PERMITTED, detail=NO_AGREEMENT, more=more)
    return None


def _response(answered: Answered) -> Response:
    problem = _problem(answered)
    return _good(answered.answer, answered.ask.language) if problem is None else problem.response()


def _response_of_many(answers: Sequence[Answered]) -> Response:
    """One response for all; where nothing is permitted it is refused as a whole."""
    problems = [_problem(one) for one in answers]
    refused = next((one for one in problems if one is not None and "requirements" in one.more), None)
    if refused is not None:
        more = {"access_ids": [one.ask.access_id for one in answers], "requirements": refused.more["requirements"]}
        return Problem(kind=refused.kind, detail=refused.detail, more=more).response()
    told = [
        one.answer if problem is None else problem.response().body
        for one, problem in zip(answers, problems, strict=True)
    ]
    return _good(b'{"answers":[%b]}' % b",".join(told), answers[0].ask.language)


def _good(body: bytes, tongue: str) -> Response:
    return Response(
        status=200, body=body, headers=((b"content-language", tongue.encode()), (b"vary", b"accept-language"))
    )
