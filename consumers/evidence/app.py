"""The evidence API as an ASGI application: routes, and the parts that live as long as it serves."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic_core import to_json

from bus.envelope import EventIdMaker
from bus.http.application import Application
from bus.http.authentication import Authentication
from bus.http.keys import Keys
from bus.http.problems import Kind, Problem, Response
from bus.http.routing import Refused, Request, Router
from bus.http.settings import TokenSettings
from bus.http.tokens import Tokens
from bus.subject import Pseudonymizer
from consumers.accesses.delivery import Deliveries
from consumers.evidence import discovery, linked_data, openapi
from consumers.evidence.asking import Ask, Planner
from consumers.evidence.batching import Batcher
from consumers.evidence.citizen_route import CitizenRoute
from consumers.evidence.connections import serve_batches
from consumers.evidence.decision import Agreements
from consumers.evidence.errors import UnavailableError
from consumers.evidence.evidence_route import EvidenceRoute
from consumers.evidence.mandates import Mandates
from consumers.evidence.page import page
from consumers.evidence.reader import Reader
from consumers.evidence.rights import RightsDesk
from consumers.evidence.service import Answered, EvidenceService
from consumers.evidence.watch import Watch
from registry.contracts import Catalogue, ProcedureId

CONNECTIONS = 2  # one helps when the other is held up
_VARY = ((b"vary", b"accept"),)


class EvidenceApp(Application):
    """Answers requests for evidence over one catalogue and one database."""

    def __init__(
        self, *, catalogue: Catalogue, pseudonymizer: Pseudonymizer, settings: TokenSettings, database_url: str
    ) -> None:
        self._catalogue = catalogue
        self._database_url = database_url
        self._keys = Keys(settings)
        deliveries = Deliveries()
        self._service = EvidenceService(catalogue, deliveries.instance)
        self._batcher: Batcher[Ask, Answered] = Batcher()
        self._tasks: Sequence[asyncio.Task[None]] = ()
        self._readers = [Reader(database_url) for _ in range(2)]
        for_citizens, for_rights = self._readers  # a slow list must not keep the agreements from being read
        watch = Watch()
        planner = Planner(catalogue, Agreements(catalogue.agreements.values()))
        mandates = Mandates(catalogue, for_citizens)
        self._rights = RightsDesk(catalogue, planner, for_rights, watch, deliveries)
        access_id = EventIdMaker()
        authentication = Authentication(settings, Tokens(settings, self._keys))
        evidence = EvidenceRoute(
            catalogue=catalogue,
            pseudonymizer=pseudonymizer,
            authentication=authentication,
            planner=planner,
            rights=self._rights,
            watch=watch,
            mandates=mandates,
            deliveries=deliveries,
            batcher=self._batcher,
            access_id=access_id,
        )
        citizen = CitizenRoute(
            catalogue=catalogue,
            pseudonymizer=pseudonymizer,
            authentication=authentication,
            reader=for_citizens,
            mandates=mandates,
            instance=deliveries.instance,
            access_id=access_id,
        )
        self._page_bytes = page(catalogue)
        self._openapi = to_json(openapi.document())
        router = Router(
            {
                "/": {"GET": self._page},
                "/openapi.json": {"GET": self._openapi_document},
                "/v1/procedures": {"GET": self._all_procedures},
                "/v1/procedures/": {"GET": self._one_procedure},
                "/v1/evidence": {"POST": evidence.post},
                "/v1/me/accesses": {"GET": citizen.get, "POST": citizen.post},
            }
        )
        super().__init__(router)

    async def start(self) -> None:
        """Fetches the issuer's keys, reads the agreements, and begins to answer."""
        await self._keys.refresh(older_than_s=0)
        with suppress(UnavailableError):  # it is read again, and nobody is answered before
            await self._rights.refresh()
        work = [serve_batches(self._database_url, self._batcher, self._service) for _ in range(CONNECTIONS)]
        self._tasks = [
            asyncio.create_task(one) for one in (self._keys.keep_fresh(), self._rights.keep_current(), *work)
        ]

    async def stop(self) -> None:
        """Ends what `start` began."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for reader in self._readers:
            await reader.close()

    async def _page(self, _: Request) -> Response:
        return Response(status=200, body=self._page_bytes, media_type="text/html; charset=utf-8")

    async def _openapi_document(self, _: Request) -> Response:
        return Response(status=200, body=self._openapi)

    async def _all_procedures(self, request: Request) -> Response:
        every = self._catalogue.procedures.values()
        if _wants_linked_data(request):
            return _linked(linked_data.graph(self._catalogue, every))
        return Response(status=200, body=to_json(discovery.procedures(self._catalogue)), headers=_VARY)

    async def _one_procedure(self, request: Request) -> Response:
        procedure = self._catalogue.procedures.get(ProcedureId(request.rest))
        if procedure is None:
            raise Refused(Problem(kind=Kind.NO_SUCH_PROCEDURE))
        if _wants_linked_data(request):
            return _linked(linked_data.graph(self._catalogue, [procedure]))
        return Response(status=200, body=to_json(discovery.procedure(self._catalogue, procedure)), headers=_VARY)


def _wants_linked_data(request: Request) -> bool:
    return linked_data.LD_TYPE.encode() in request.headers.get(b"accept", b"").lower()


def _linked(graph: Mapping[str, Any]) -> Response:
    return Response(status=200, body=to_json(graph), media_type=linked_data.LD_TYPE, headers=_VARY)
