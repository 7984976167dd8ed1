"""The database connections of the evidence API: each serves batches, and is opened anew when it breaks."""

from functools import partial
from typing import Any

import structlog
from psycopg import AsyncConnection, Error

from bus.database import session_options
from consumers.evidence.asking import Ask
from consumers.evidence.batching import Batcher
from consumers.evidence.pipe import Pipe
from consumers.evidence.service import Answered, EvidenceService

STATEMENT_TIMEOUT_S = 5
CONNECT_TIMEOUT_S = 5
RECONNECT_S = 0.5
# Plans are kept for the life of a connection; made while a view is still small, they must not read all of it later.
SESSION = " ".join(
    f"-c {setting}"
    for setting in (
        f"statement_timeout={STATEMENT_TIMEOUT_S * 1000}",
        "timezone=UTC",
        "application_name=yekbar-evidence",
        "plan_cache_mode=force_generic_plan",
        "jit=off",
        "enable_hashjoin=off",
        "enable_mergejoin=off",
        "enable_seqscan=off",
    )
)

log = structlog.get_logger()


async def connect(database_url: str) -> AsyncConnection[Any]:
    """A connection on which each statement is its own transaction."""
    return await AsyncConnection.connect(
        database_url,
        autocommit=True,
        options=session_options(database_url, SESSION),
        connect_timeout=CONNECT_TIMEOUT_S,
    )


async def serve_batches(database_url: str, batcher: Batcher[Ask, Answered], service: EvidenceService) -> None:
    """Serves batches for ever; cancel it to end it. While the database is away, batches fail at once."""
    while True:
        try:
            connection = await connect(database_url)
        except (Error, OSError) as exc:
            log.warning("database_away", fault=type(exc).__name__)
            await batcher.fail_for(RECONNECT_S)
            continue
        async with connection:
            pipe = Pipe(connection)
            try:
                await batcher.work(partial(service.answer, pipe), while_true=pipe.is_open)
            finally:
                pipe.close()
