"""A load generator for one HTTP address: a fixed number of connections, each asks again as soon as it was answered.

It speaks just enough HTTP/1.1 to cost little: it shares the machine with what it measures.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a load came to; latencies in milliseconds."""

    rate: float
    p50_ms: float
    p99_ms: float
    statuses: dict[int, int]


class _Connection(asyncio.Protocol):
    def __init__(self, make: Callable[[], bytes], latencies: list[float], statuses: Counter[int]) -> None:
        self._make = make
        self._latencies = latencies
        self._statuses = statuses
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # it is a stream's
        self.transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._received.lower().index(b"content-length:", 0, head) + 15
        length = int(self._received[at : self._received.index(b"\r\n", at)])
        if len(self._received) < head + 4 + length:
            return
        self._latencies.append(time.perf_counter() - self._sent_at)
        self._statuses[int(self._received[9:12])] += 1
        self._received = b""
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self.transport.write(self._make())


async def load(host: str, port: int, make: Callable[[], bytes], *, connections: int, seconds: float) -> Measured:
    """Asks for so long over so many connections; `make` gives the bytes of the next request."""
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    loop = asyncio.get_running_loop()
    opened = [
        (await loop.create_connection(lambda: _Connection(make, latencies, statuses), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds / 4)  # plans are made, tokens remembered, caches warm
    latencies.clear()
    statuses.clear()
    started = time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed = time.perf_counter() - started
    found, counted = sorted(latencies), dict(statuses)
    for one in opened:
        one.transport.abort()
    return Measured(
        rate=len(found) / elapsed,
        p50_ms=found[len(found) // 2] * 1000,
        p99_ms=found[int(len(found) * 0.99)] * 1000,
        statuses=counted,
    )
