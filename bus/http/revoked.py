"""Tokens that are taken back before they expire: the file of an operator, one token id (`jti`) a line."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

LOOK_S = 2  # a token that is taken back is believed no longer than this

log = structlog.get_logger()


class Revoked:
    """The token ids of a file that may change at any time. One that cannot be read keeps its last content in force."""

    def __init__(self, place: str | None, *, clock: Callable[[], float] = time.time) -> None:
        self._place = Path(place) if place else None
        self._clock = clock
        self._looked_at = float("-inf")
        self._changed_at = -1
        self._ids: frozenset[str] = frozenset()

    def holds(self, token_id: Any) -> bool:
        """Whether a token was taken back. Where there is a list, a token without an id cannot be on it, and is not."""
        if self._place is None:
            return False
        if self._clock() - self._looked_at >= LOOK_S:
            self._looked_at = self._clock()
            self._look(self._place)
        return isinstance(token_id, str) and token_id in self._ids

    def _look(self, place: Path) -> None:
        try:
            changed_at = place.stat().st_mtime_ns
            if changed_at != self._changed_at:
                self._ids = frozenset(place.read_text(encoding="utf-8").split())
                self._changed_at = changed_at
                log.info("revoked_tokens_read", tokens=len(self._ids))
        except (OSError, UnicodeDecodeError) as exc:
            log.error("revoked_tokens_not_read", fault=type(exc).__name__)
