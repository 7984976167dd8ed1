"""`/v1/me/accesses`: what was asked about the citizen who calls.

`POST` names a person: the caller, or one for whom she acts by a mandate. Any other list is refused, and that person
finds it in her list that somebody tried; she finds there too that a representative looked.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from psycopg import AsyncConnection, AsyncRawCursor
from pydantic import ValidationError
from pydantic_core import to_json

from bus.envelope import EventIdMaker
from bus.http.authentication import Authentication
from bus.http.problems import RETRY_AFTER, Kind, Problem, Response, of_invalid
from bus.http.routing import Refused, Request
from bus.national_id import NationalIdError
from bus.subject import Pseudonymizer
from consumers.accesses.listing import PAGE_MAX, Page, accesses_of
from consumers.accesses.record import Access, Verdict, insert_parameter, insert_statement
from consumers.evidence.errors import NOTHING_DISCLOSED, UnavailableError
from consumers.evidence.labels import in_language, language
from consumers.evidence.mandates import Mandates
from consumers.evidence.models import PersonRequest
from consumers.evidence.reader import Reader
from registry.contracts import AgencyId, Catalogue, EvidenceTypeId, ProcedureId

PAGE_DEFAULT = 50
NOT_OWN_LIST = "not-own-list"
BY_MANDATE = "by-mandate"
A_CITIZEN = "citizen"  # the requester of a record that a person asked for another one's list


@dataclass(frozen=True, slots=True, kw_only=True)
class CitizenRoute:
    """Shows citizens who asked about them, and to representatives who asked about those for whom they act."""

    catalogue: Catalogue
    pseudonymizer: Pseudonymizer
    authentication: Authentication
    reader: Reader
    mandates: Mandates
    instance: UUID
    access_id: EventIdMaker

    async def get(self, request: Request) -> Response:
        """A page of the caller's own list."""
        return await self._page(request, await self._caller(request))

    async def _page(self, request: Request, subject: UUID) -> Response:
        before, limit = _asked_page(request)
        async with self._reading() as connection:
            page = await accesses_of(connection, subject, before=before, limit=limit)
        return Response(status=200, body=to_json(self._told(page, language(request.accept_language))))

    async def post(self, request: Request) -> Response:
        """The list of the person whom the body names: the caller's own, or of one for whom she acts."""
        subject = await self._caller(request)
        try:
            named = self.pseudonymizer.subject(PersonRequest.model_validate_json(request.body).national_id)
        except ValidationError as exc:
            raise Refused(of_invalid(exc)) from None
        except NationalIdError:
            raise Refused(Problem(kind=Kind.INVALID_NATIONAL_ID)) from None
        if named == subject:
            return await self._page(request, subject)
        is_mandated = await self._is_mandated(subject, named)
        access_id = await self._record(named, subject, is_mandated=is_mandated)
        if is_mandated:
            return await self._page(request, named)
        raise Refused(Problem(kind=Kind.NOT_PERMITTED, detail=NOT_OWN_LIST, more={"access_id": access_id}))

    async def _caller(self, request: Request) -> UUID:
        citizen = await self.authentication.citizen(request)
        try:
            return self.pseudonymizer.subject(citizen.national_id)
        except NationalIdError:
            raise Refused(Problem(kind=Kind.NOT_PERMITTED, detail="the token names no valid person")) from None

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection[Any]]:
        try:
            async with self.reader.connection() as connection:
                yield connection
        except UnavailableError:
            raise Refused(Problem(kind=Kind.UNAVAILABLE, detail=NOTHING_DISCLOSED, headers=RETRY_AFTER)) from None

    async def _is_mandated(self, subject: UUID, named: UUID) -> bool:
        try:
            return await self.mandates.hold(representative=subject, represented=named, procedure=None)
        except UnavailableError:
            raise Refused(Problem(kind=Kind.UNAVAILABLE, detail=NOTHING_DISCLOSED, headers=RETRY_AFTER)) from None

    async def _record(self, named: UUID, subject: UUID, *, is_mandated: bool) -> UUID:
        access = Access(
            access_id=self.access_id(),
            at=datetime.now(UTC),
            requester=A_CITIZEN,
            procedure=None,
            subject=named,
            case_reference=None,
            acting_user=None,
            representative=subject if is_mandated else None,
            purpose=None,
            legal_basis=None,
            effective_at=None,
            known_at=None,
            decision=Verdict.GRANTED if is_mandated else Verdict.DENIED,
            reason=BY_MANDATE if is_mandated else NOT_OWN_LIST,
            evidence=(),
        )
        async with self._reading() as connection:
            statement = insert_statement(self.instance)
            await AsyncRawCursor(connection).execute(statement, [insert_parameter([access]).decode()])
        return access.access_id

    def _told(self, page: Page, tongue: str) -> dict[str, Any]:
        return {
            "accesses": [self._access(row, tongue) for row in page.rows],
            "next": None if page.next_before is None else f"/v1/me/accesses?before={page.next_before}",
        }

    def _access(self, row: Mapping[str, Any], tongue: str) -> dict[str, Any]:
        agency = self.catalogue.agencies.get(AgencyId(row["requester"]))
        procedure = self.catalogue.procedures.get(ProcedureId(row["procedure"] or ""))
        return {
            **row,
            "requester_title": in_language(agency.title, tongue) if agency else None,
            "procedure_title": in_language(procedure.title, tongue) if procedure else None,
            "evidence": [self._entry(one, tongue) for one in row["evidence"]],
        }

    def _entry(self, one: Mapping[str, Any], tongue: str) -> dict[str, Any]:
        known = self.catalogue.evidence_types.get(EvidenceTypeId(one["evidence_type"]))
        titles = {claim.name: in_language(claim.title, tongue) for claim in known.claims} if known else {}
        return {
            **one,
            "title": in_language(known.title, tongue) if known else None,
            "claims": {name: titles.get(name) for name in one["claims"]},
        }


def _asked_page(request: Request) -> tuple[UUID | None, int]:
    """From before which access, and how many."""
    asked = parse_qs(request.query.decode("ascii", "replace"), max_num_fields=2)
    try:
        before = UUID(asked["before"][0]) if "before" in asked else None
        limit = int(asked["limit"][0]) if "limit" in asked else PAGE_DEFAULT
        if set(asked) <= {"before", "limit"} and 0 < limit <= PAGE_MAX:
            return before, limit
    except ValueError:
        pass
    raise Refused(Problem(kind=Kind.INVALID_REQUEST, detail=f"before is an access id, limit is 1 to {PAGE_MAX}"))
