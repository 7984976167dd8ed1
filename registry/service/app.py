"""The service as an ASGI application: which operation answers which request, and how its errors are told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from registry.service import comparing, config, schemas, subjects
from registry.service.errors import ApiError, StoreUnavailableError, no_such_resource, store_unavailable
from registry.service.http import Call, EncodedPaths, answer_type, error_answer, json_answer, read_call
from registry.service.store import Store

log = structlog.get_logger()
Operation = Callable[[Store, Call], Any]

VERSIONS = "/subjects/{subject}/versions"
COMPATIBILITY = "/compatibility" + VERSIONS
OPERATIONS: tuple[tuple[str, str, Operation], ...] = (
    ("GET", "/", lambda _store, _call: {}),
    ("GET", "/subjects", subjects.list_subjects),
    ("POST", "/subjects/{subject}", subjects.look_up),
    ("DELETE", "/subjects/{subject}", subjects.delete),
    ("POST", VERSIONS, subjects.register_version),
    ("GET", VERSIONS, subjects.list_versions),
    ("GET", VERSIONS + "/{version}", subjects.get_version),
    ("DELETE", VERSIONS + "/{version}", subjects.delete_one),
    ("GET", VERSIONS + "/{version}/schema", subjects.get_version_schema),
    ("GET", VERSIONS + "/{version}/referencedby", subjects.list_referencing),
    ("GET", "/schemas", schemas.list_schemas),
    ("GET", "/schemas/types", lambda _store, _call: ["AVRO"]),
    ("GET", "/schemas/ids/{id}", schemas.get_schema),
    ("GET", "/schemas/ids/{id}/schema", schemas.get_schema_text),
    ("GET", "/schemas/ids/{id}/subjects", schemas.list_schema_subjects),
    ("GET", "/schemas/ids/{id}/versions", schemas.list_schema_versions),
    ("GET", "/schemas/guids/{guid}", schemas.get_schema_by_guid),
    ("GET", "/schemas/guids/{guid}/ids", schemas.list_ids_of_guid),
    ("POST", COMPATIBILITY, comparing.compare_with_all),
    ("POST", COMPATIBILITY + "/{version}", comparing.compare_with_version),
    ("GET", "/config", config.get_config),
    ("PUT", "/config", config.put_config),
    ("DELETE", "/config", config.delete_config),
    ("GET", "/config/{subject}", config.get_config),
    ("PUT", "/config/{subject}", config.put_config),
    ("DELETE", "/config/{subject}", config.delete_config),
    ("GET", "/mode", config.get_mode),
    ("PUT", "/mode", config.put_mode),
    ("DELETE", "/mode", config.delete_mode),
    ("GET", "/mode/{subject}", config.get_mode),
    ("PUT", "/mode/{subject}", config.put_mode),
    ("DELETE", "/mode/{subject}", config.delete_mode),
    ("GET", "/contexts", lambda _store, _call: ["."]),
)
# What may be answered from memory, without a thread: the one question that every reader of the log asks.
FROM_MEMORY: dict[Operation, Operation] = {schemas.get_schema: schemas.remembered_schema}


def registry_app(database_url: str) -> ASGIApp:
    """The schema registry over a database; it connects with the first request, and makes its tables then."""
    store = Store(database_url)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    by_path: dict[str, dict[str, Operation]] = {}
    for method, path, operation in OPERATIONS:
        by_path.setdefault(path, {})[method] = operation
    routes = [
        Route(path, _endpoint(store, operations), methods=list(operations)) for path, operations in by_path.items()
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _no_such_resource})
    app.router.redirect_slashes = False
    return EncodedPaths(app)


def _endpoint(store: Store, operations: dict[str, Operation]) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        operation = operations["GET" if request.method == "HEAD" else request.method]
        try:
            content_type = answer_type(request)
            call = await read_call(request)
            facts = FROM_MEMORY[operation](store, call) if operation in FROM_MEMORY else None
            if facts is None:
                facts = await run_in_threadpool(operation, store, call)
            return json_answer(facts, content_type=content_type)
        except ApiError as exc:
            return error_answer(exc)
        except StoreUnavailableError as exc:
            log.warning("registry_store_unavailable", reason=str(exc))
            return error_answer(store_unavailable(f"The registry's store cannot answer now: {exc}"))
        except Exception:  # the outermost loop: logged, and told as what it is
            log.exception("registry_request_failed", method=request.method)
            return error_answer(ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, 50001, "Internal error, see the log"))

    return answer


async def _no_such_resource(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return error_answer(no_such_resource(HTTPStatus(exc.status_code)))
