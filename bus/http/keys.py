"""The public keys of the token issuer, from a file or a URL, fetched anew when they may have changed."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bus.http.errors import TokenError, TokenFault
from bus.http.settings import TokenSettings

REFRESH_S = 300  # a key that the issuer withdraws is believed no longer than this
RETRY_S = 5  # a token with an unknown key makes us look again, but not more often than this
FETCH_TIMEOUT_S = 5
JWKS_BYTES_MAX = 256 << 10  # hundreds of keys; an issuer has a handful

log = structlog.get_logger()


class Keys:
    """The issuer's keys; when they cannot be fetched, those fetched last stay in use."""

    def __init__(self, settings: TokenSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = asyncio.Lock()
        self._fetched_at = float("-inf")
        self._text = b""
        self._keys: KeySet | None = None
        self.generation = 0

    @property
    def current(self) -> KeySet:
        """The keys as they were fetched last. Raises TokenError when they never were."""
        if self._keys is None:
            raise TokenError(TokenFault.KEYS_UNAVAILABLE)
        return self._keys

    async def refresh(self, *, older_than_s: float) -> None:
        """Fetches the keys when they are older than this; `generation` rises when they have changed."""
        if self._clock() - self._fetched_at < older_than_s:
            return
        async with self._lock:
            if self._clock() - self._fetched_at < older_than_s:
                return
            self._fetched_at = self._clock()
            try:
                text = await self._fetch()
                keys = KeySet.import_key_set(json.loads(text))
            except (OSError, httpx2.HTTPError, ValueError, TypeError, KeyError, JoseError) as exc:
                log.error("token_keys_not_fetched", fault=type(exc).__name__, are_old_in_use=self._keys is not None)
                return
            if text != self._text:
                self._keys, self._text = keys, text
                self.generation += 1
                log.info("token_keys_fetched", keys=len(keys.keys), generation=self.generation)

    async def keep_fresh(self) -> None:
        """Fetches the keys again and again; cancel it to end it."""
        while True:
            await self.refresh(older_than_s=REFRESH_S)
            await asyncio.sleep(REFRESH_S if self._keys else RETRY_S)

    async def _fetch(self) -> bytes:
        if not self._settings.is_remote:
            return await asyncio.to_thread(Path(self._settings.jwks).read_bytes)
        async with httpx2.AsyncClient(timeout=FETCH_TIMEOUT_S, follow_redirects=False) as client:
            answer = await client.get(self._settings.jwks)
            answer.raise_for_status()
        if len(answer.content) > JWKS_BYTES_MAX:
            raise ValueError("the key set is too large")
        return answer.content
