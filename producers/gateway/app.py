"""The gateway as an ASGI application: `POST /v1/records/{record_type}`, answered after the broker's word."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from uuid import UUID

import structlog
from pydantic_core import from_json, to_json

from bus.errors import RefusedError
from bus.reasons import Reason
from producers.gateway.joining import BusyError, Joiner
from producers.gateway.reading import ChangeReader
from producers.publisher import Publisher
from registry.contracts import RecordType

PREFIX = "/v1/records/"
BODY_BYTES_MAX = 4 << 20
CHANGES_MAX = 1_000  # in one request
BODY_TIMEOUT_S = 10
ACKNOWLEDGED_WITHIN_S = 10  # else 503: the change may still arrive, and its event_id makes a repeat harmless
PROBLEM = "application/problem+json"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AgencyOf = Callable[[bytes], Awaitable[str | None]]
Opening = Callable[[RecordType], Publisher]

log = structlog.get_logger()


class _Problem(Exception):  # noqa: N818 - it carries an answer, it is no fault of ours
    def __init__(self, status: int, kind: str, title: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(kind)
        self.status = status
        self.retry_after_s = retry_after_s
        self.told = _told(status, kind, title)


class GatewayApp:
    """Takes changes of agencies; `agency_of` says whose a token is, and None for one that is refused."""

    def __init__(self, record_types: Mapping[str, RecordType], *, agency_of: AgencyOf, opening: Opening) -> None:
        self._record_types = record_types
        self._agency_of = agency_of
        self._opening = opening
        self._readers = {name: ChangeReader(one) for name, one in record_types.items()}
        self._joiners: dict[str, Joiner] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3.0."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            results = await self._post(scope, receive)
            await _answer(send, 200, {"results": results}, "application/json")
        except _Problem as exc:
            await _answer(send, exc.status, exc.told, PROBLEM, retry_after_s=exc.retry_after_s)
        except Exception as exc:  # the outermost place: the caller gets no data, and we hear of it
            log.error("request_failed", fault=type(exc).__name__)
            await _answer(send, 500, _told(500, "fault", "The service failed."), PROBLEM)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                for joiner in self._joiners.values():
                    joiner.stop()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _post(self, scope: Scope, receive: Receive) -> list[Mapping[str, Any]]:
        record_type = self._record_types.get(scope["path"].removeprefix(PREFIX))
        if record_type is None or not scope["path"].startswith(PREFIX):
            raise _Problem(404, "not-found", "There is no such record type.")
        if scope["method"] != "POST":
            raise _Problem(405, "method-not-allowed", "Changes are posted.")
        if scope["query_string"]:
            raise _Problem(400, "query-not-allowed", "A person is named in the body only.")
        await self._hold_owner(dict(scope["headers"]), record_type)
        return await self._published(_items(await _body(receive)), record_type)

    async def _hold_owner(self, headers: Mapping[bytes, bytes], record_type: RecordType) -> None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        agency = await self._agency_of(token.strip()) if scheme.lower() == b"bearer" and token else None
        if agency is None:
            raise _Problem(401, "unauthenticated", "The access token is missing or refused.")
        if agency != record_type.agency:
            raise _Problem(403, "not-permitted", "Only the agency that owns the record type publishes it.")

    async def _published(self, items: list[Any], record_type: RecordType) -> list[Mapping[str, Any]]:
        reader = self._readers[record_type.id]
        results: list[UUID | RefusedError | None] = []
        changes = []
        for item in items:
            try:
                changes.append(reader.read(item))
                results.append(None)
            except RefusedError as exc:
                results.append(exc)
        sent = iter(await self._acknowledged(changes, record_type) if changes else ())
        return [_result(next(sent) if one is None else one) for one in results]

    async def _acknowledged(self, changes: list[Any], record_type: RecordType) -> Any:
        joiner = self._joiners.get(record_type.id)
        if joiner is None:
            joiner = self._joiners[record_type.id] = Joiner(lambda: self._opening(record_type))
        try:
            async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
                return await joiner.publish(changes)
        except BusyError:
            raise _Problem(429, "busy", "Too many changes wait; come again.", retry_after_s=1) from None
        except Exception as exc:
            log.warning("changes_not_acknowledged", record_type=record_type.id, fault=type(exc).__name__)
            title = "The broker did not acknowledge; send the same changes with their event_ids again."
            raise _Problem(503, "unavailable", title, retry_after_s=5) from None


def _told(status: int, kind: str, title: str) -> dict[str, Any]:
    return {"type": f"urn:yekbar:problem:{kind}", "title": title, "status": status}


def _result(one: UUID | RefusedError) -> Mapping[str, Any]:
    if isinstance(one, UUID):
        return {"event_id": str(one)}
    return {**_told(422, one.reason, Reason(one.reason).meaning), "reason": str(one.reason), "field": one.field}


def _items(body: bytes) -> list[Any]:
    try:
        said = from_json(body)
    except ValueError:
        raise _Problem(400, "malformed-json", "The body is not JSON.") from None
    items = said if isinstance(said, list) else [said]
    if not items or len(items) > CHANGES_MAX:
        raise _Problem(413 if items else 422, "wrong-count", f"A request has 1 to {CHANGES_MAX} changes.")
    return items


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while (message := await receive())["type"] == "http.request":
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > BODY_BYTES_MAX:
                    raise _Problem(413, "body-too-large", "The body is too large.")
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        pass
    raise _Problem(408, "body-too-slow", "The body did not arrive in time.")


async def _answer(
    send: Send, status: int, said: Mapping[str, Any], media_type: str, *, retry_after_s: int | None = None
) -> None:
    body = to_json(said)
    headers = [(b"content-type", media_type.encode()), (b"content-length", str(len(body)).encode())]
    if retry_after_s is not None:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
