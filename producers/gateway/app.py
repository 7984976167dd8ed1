"""The gateway as an ASGI application: `POST /v1/records/{record_type}`, answered after the broker's word.

1. `_admit`      who calls, whether the record type is theirs, and whether there is room, before a body is read
2. `_post`       the body is one change or an array of them
3. `Joiner`      requests that wait go to the publisher together; what the journal remembers is not sent again
4. `_answered`   for each change its event's id, or a problem beside the others
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from pydantic_core import from_json, to_json

from bus.errors import RefusedError
from bus.http.application import Application
from bus.http.authentication import Authentication
from bus.http.errors import place_of
from bus.http.keys import Keys
from bus.http.problems import PROBLEM_TYPE, Kind, Problem, Response
from bus.http.routing import Receive, Refused, Request, Route, Router, Scope, Send
from bus.http.settings import TokenSettings
from bus.http.tokens import Tokens
from bus.reasons import Reason
from producers.gateway import openapi
from producers.gateway.joining import BusyError, Joiner, Result
from producers.gateway.page import page
from producers.publisher import Published, Publisher
from registry.contracts import Catalogue, RecordType, RecordTypeId

PREFIX = "/v1/records/"
BODY_BYTES_MAX = 4 << 20
BODIES_BYTES_MAX = 64 << 20  # of all requests in hand; beyond it callers are told to come again
CHANGES_MAX = 1_000  # in one request
ACKNOWLEDGED_WITHIN_S = 10  # else 503: the change may still arrive, and its event_id makes a repeat harmless
ENDING_WITHIN_S = 10
COME_AGAIN_S = 1
BROKER_AWAY_S = 5
NOT_OWNER = "only the agency that owns the record type publishes it"
SEND_AGAIN = "the broker did not acknowledge; send the same changes again with their event_ids"

log = structlog.get_logger()


class GatewayApp(Application):
    """Takes changes of agencies; `opening` makes a record type's publisher when it is first needed."""

    def __init__(
        self, *, catalogue: Catalogue, settings: TokenSettings, opening: Callable[[RecordType], Publisher]
    ) -> None:
        self._record_types = catalogue.record_types
        self._opening = opening
        self._keys = Keys(settings)
        self._authentication = Authentication(settings, Tokens(settings, self._keys))
        self._joiners: dict[RecordTypeId, Joiner] = {}
        self._bodies_bytes = 0
        self._keeping: asyncio.Task[None] | None = None
        self._page = page(catalogue)
        self._openapi = to_json(openapi.document(catalogue, changes_max=CHANGES_MAX))
        routes: Mapping[str, Mapping[str, Route]] = {
            "/": {"GET": self._show_page},
            "/openapi.json": {"GET": self._show_openapi},
            PREFIX: {"POST": self._post},
        }
        super().__init__(Router(routes, body_bytes_max=BODY_BYTES_MAX, admit=self._admit))

    @property
    def routes(self) -> Sequence[str]:
        """The paths of all that is asked for again and again."""
        return ["/openapi.json", *(f"{PREFIX}{name}" for name in self._record_types)]

    async def start(self) -> None:
        """Fetches the issuer's keys, and keeps them fresh."""
        await self._keys.refresh(older_than_s=0)
        self._keeping = asyncio.create_task(self._keys.keep_fresh())

    async def stop(self) -> None:
        """Lets what is on its way arrive, but waits for no broker that is away: the journals keep it."""
        if self._keeping is not None:
            self._keeping.cancel()
        for joiner in self._joiners.values():
            joiner.stop()
        for joiner in self._joiners.values():
            await asyncio.to_thread(joiner.join, ENDING_WITHIN_S)

    def fault(self) -> str | None:
        """What is wrong with the gateway, told without anybody's data."""
        stalled = [name for name, joiner in self._joiners.items() if joiner.is_stalled]
        return f"the broker does not acknowledge changes to {', '.join(stalled)}" if stalled else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3.0; counts what the bodies of the requests in hand may take."""
        size = _body_bytes(scope)
        self._bodies_bytes += size
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._bodies_bytes -= size

    async def _admit(self, request: Request) -> None:
        """Refuses what must not be read: a stranger's changes, and any while there is no room."""
        agency = await self._authentication.agency(request)
        record_type = self._record_type(request)
        if agency != record_type.agency:
            raise Refused(Problem(kind=Kind.NOT_PERMITTED, detail=NOT_OWNER))
        if request.query:
            raise Refused(Problem(kind=Kind.QUERY_NOT_ALLOWED))
        if not request.headers.get(b"content-type", b"").lower().startswith(b"application/json"):
            raise Refused(Problem(kind=Kind.UNSUPPORTED_MEDIA_TYPE))
        joiner = self._joiners.get(record_type.id)
        if joiner is not None and joiner.is_stalled:
            raise Refused(_later(Kind.UNAVAILABLE, BROKER_AWAY_S, SEND_AGAIN))
        if self._bodies_bytes > BODIES_BYTES_MAX or (joiner is not None and joiner.is_busy):
            raise Refused(_later(Kind.TOO_MANY_REQUESTS, COME_AGAIN_S))

    async def _post(self, request: Request) -> Response:
        """Takes the changes of a request that was admitted."""
        said = _said(request.body)
        record_type = self._record_type(request)
        results = await self._published(said if isinstance(said, list) else [said], record_type)
        if isinstance(said, list):
            return Response(status=200, body=to_json({"results": [_told(one) for one in results]}))
        [only] = results
        if isinstance(only, Published):
            return Response(status=200, body=to_json(_told(only)))
        return Response(status=422, body=to_json(_told(only)), media_type=PROBLEM_TYPE)

    async def _published(self, items: list[Any], record_type: RecordType) -> list[Result]:
        joiner = self._joiners.get(record_type.id)
        if joiner is None:
            joiner = self._joiners[record_type.id] = Joiner(record_type, self._opening)
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
                return await joiner.publish(items)
        except BusyError:
            raise Refused(_later(Kind.TOO_MANY_REQUESTS, COME_AGAIN_S)) from None
        except Exception as exc:
            fault = type(exc).__name__
            log.warning("changes_not_acknowledged", record_type=record_type.id, fault=fault, place=place_of(exc))
            raise Refused(_later(Kind.UNAVAILABLE, BROKER_AWAY_S, SEND_AGAIN)) from None

    def _record_type(self, request: Request) -> RecordType:
        record_type = self._record_types.get(RecordTypeId(request.rest))
        if record_type is None:
            raise Refused(Problem(kind=Kind.NO_SUCH_RECORD_TYPE))
        return record_type

    async def _show_page(self, _: Request) -> Response:
        return Response(status=200, body=self._page, media_type="text/html; charset=utf-8")

    async def _show_openapi(self, _: Request) -> Response:
        return Response(status=200, body=self._openapi)


def _body_bytes(scope: Scope) -> int:
    """What a request's body may take; one that does not say its length may take all."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return 0
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return min(int(declared), BODY_BYTES_MAX) if declared.isdigit() else BODY_BYTES_MAX


def _later(kind: Kind, seconds: int, detail: str | None = None) -> Problem:
    return Problem(kind=kind, detail=detail, headers=((b"retry-after", str(seconds).encode()),))


def _said(body: bytes) -> Any:
    try:
        said = from_json(body)
    except ValueError:
        raise Refused(Problem(kind=Kind.MALFORMED_JSON)) from None
    if isinstance(said, list) and not said:
        raise Refused(Problem(kind=Kind.INVALID_REQUEST, detail="there is no change in it"))
    if isinstance(said, list) and len(said) > CHANGES_MAX:
        raise Refused(Problem(kind=Kind.BODY_TOO_LARGE, detail=f"a request has {CHANGES_MAX} changes at most"))
    return said


def _told(result: Result) -> Mapping[str, Any]:
    if isinstance(result, Published):
        return {"event_id": str(result.event_id), "status": "repeated" if result.is_repeat else "published"}
    reason = Reason(result.reason)
    problem = {
        "type": f"urn:yekbar:problem:{reason}",
        "title": reason.meaning,
        "status": 422,
        "reason": str(reason),
        "field": result.field,
    }
    if isinstance(result, RefusedError) and result.rule:
        problem["rule"] = result.rule
    return problem
