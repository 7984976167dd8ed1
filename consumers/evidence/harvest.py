"""Signs of a harvest: too many persons under one agreement, or one after the other as their numbers go.

Persons are counted by HyperLogLog (Flajolet, Fusy, Gandouet and Meunier, 2007): a subject is a keyed hash already, a
sketch of two kilobytes counts any number within three percent, and the sketches of several instances merge exactly.
"""

import math
from bisect import bisect_left
from collections import deque

REGISTER_BITS = 11
REGISTERS = 1 << REGISTER_BITS
_RANK_BITS = 64 - REGISTER_BITS
_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)

# An official asks about persons as they come: some are a family, with numbers side by side. Who walks through a block
# of numbers, in any order, from several addresses and hidden among others, leaves long chains of neighbours.
WINDOW = 400
NEIGHBOUR_DISTANCE = 8
CHAIN_MIN = 10
CHAINED_MAX = 60
SCAN_EVERY = 20  # persons; a scan costs as much as an answer


class Sketch:
    """How many distinct persons there were, about."""

    def __init__(self, registers: bytes = bytes(REGISTERS)) -> None:
        self._registers = bytearray(registers)

    def add(self, subject: bytes) -> bool:
        """Counts a person, and says whether that changed anything; a person who was counted changes nothing."""
        bits = int.from_bytes(subject[:8])
        place = bits & (REGISTERS - 1)
        rank = _RANK_BITS - (bits >> REGISTER_BITS).bit_length() + 1
        if rank <= self._registers[place]:
            return False
        self._registers[place] = rank
        return True

    def merge(self, registers: bytes) -> None:
        """Counts the persons of another sketch too."""
        self._registers = bytearray(map(max, self._registers, registers))

    def count(self) -> int:
        """The number of persons."""
        empty = self._registers.count(0)
        raw = _ALPHA * REGISTERS**2 / sum(2.0**-rank for rank in self._registers)
        if raw <= 2.5 * REGISTERS and empty:
            return round(REGISTERS * math.log(REGISTERS / empty))
        return round(raw)

    def __bytes__(self) -> bytes:
        """The sketch as it is kept."""
        return bytes(self._registers)


class Walk:
    """Whether the last persons that one requester asked about are a walk through the numbers.

    Numbers stay in memory only, the last few hundred of each requester.
    """

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._sorted: list[int] = []
        self._since_scan = 0

    def is_walk(self, number: int) -> bool:
        """Takes the next person's number, without its check digit; says whether the last ones are a walk."""
        place = bisect_left(self._sorted, number)
        if place < len(self._sorted) and self._sorted[place] == number:
            return False
        self._sorted.insert(place, number)
        self._order.append(number)
        if len(self._order) > WINDOW:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]
        self._since_scan += 1
        if self._since_scan < SCAN_EVERY:
            return False
        self._since_scan = 0
        return self._chained() >= CHAINED_MAX

    def _chained(self) -> int:
        """How many of the numbers are in a long chain of neighbours."""
        chained = length = 0
        before = None
        for number in self._sorted:
            if before is not None and number - before > NEIGHBOUR_DISTANCE:
                chained += length if length >= CHAIN_MIN else 0
                length = 0
            length += 1
            before = number
        return chained + (length if length >= CHAIN_MIN else 0)
