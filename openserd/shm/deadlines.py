"""When each slot of a table has to be looked at next.

    u32 per slot, at byte slot * 4:  due time in ms ticks, 0 not armed

Ticks are the monotonic clock in milliseconds, the same in all processes, modulo 2**32 (it wraps after 49 days); a due
time is at most 2**31 - 1 ticks ahead or behind.  The tick 0 is written as 1.

Whoever holds a record's lock arms its slot by one store; the timer process scans up to the high-water mark, takes the
lock of each slot found and reads the record, or `due_of`, again.  Most slots wait for seconds and are as they were at
the scan before: the process that scans remembers of each chunk how it looked and when its first slot is due, and until
then looks into those alone that have changed.
Measured (Debian's Python 3.11): arm 0.12 us, 4096 armed slots scanned in 0.02 ms, in 0.17 ms (0.19 without
the memory) where 20 anywhere among them have changed.
"""

import mmap
import time
from typing import Final

from openserd.shm.segment import Segment

TICK_MASK: Final = 0xFFFFFFFF
HALF: Final = 1 << 31
NOT_ARMED: Final = 0
CHUNK: Final = 128
NEVER: Final = -1  #: when a chunk without any armed slot is due


def ticks() -> int:
    """Now, in ms ticks of the monotonic clock."""
    return time.monotonic_ns() // 1_000_000 & TICK_MASK


class Deadlines:
    """One due time for each of `n_slots` slots, numbered from 1 as in a table."""

    __slots__ = ("_base", "_buf", "_seen", "_words", "n_slots")

    def __init__(self, segment: Segment, n_slots: int) -> None:
        self.n_slots: int = n_slots
        self._base: int = segment.reserve((n_slots + 1) * 4)
        self._words: memoryview = segment.words(self._base, n_slots + 1)
        self._buf: mmap.mmap = segment.buf
        self._seen: dict[int, tuple[bytes, int]] = {}  #: start of a chunk -> its words, when its first slot is due

    def arm(self, slot: int, due: int) -> None:
        """`slot` is due at tick `due`, whatever it was before.  The record's lock."""
        self._words[slot] = due & TICK_MASK or 1

    def disarm(self, slot: int) -> None:
        """`slot` is never due.  The record's lock."""
        self._words[slot] = NOT_ARMED

    def due_of(self, slot: int) -> int:
        """The tick at which `slot` is due, 0 not armed.  The record's lock."""
        return self._words[slot]

    def is_due(self, slot: int, now: int) -> bool:
        """True when `slot` is armed and its tick has come."""
        due = self._words[slot]
        return due != NOT_ARMED and (now - due) & TICK_MASK < HALF

    def due(self, now: int, high_water: int) -> list[int]:
        """The slots up to `high_water` whose tick has come, ascending; they stay armed.  No lock."""
        now &= TICK_MASK
        found: list[int] = []
        for start in range(1, high_water + 1, CHUNK):
            end = min(start + CHUNK, high_water + 1)
            raw = self._buf[self._base + start * 4 : self._base + end * 4]
            seen, first = self._seen.get(start, _UNSEEN)
            if raw == seen and (first == NEVER or (now - first) & TICK_MASK >= HALF):
                continue
            dues = memoryview(raw).cast("I").tolist()
            found += _find_due(dues, start, now)
            self._seen[start] = raw, _first_due(dues, now)
        return found


_UNSEEN: Final = (b"", NEVER)


def _first_due(dues: list[int], now: int) -> int:
    """The tick of the slot that is due first, a past one included; NEVER where none is armed."""
    armed = [due for due in dues if due]
    if not armed:
        return NEVER
    first, last = min(armed), max(armed)
    if last - first < HALF:
        return first
    return min(armed, key=lambda due: (due - now + HALF) & TICK_MASK)


def _find_due(dues: list[int], start: int, now: int) -> list[int]:
    """The slots whose tick lies in the half circle that ends with `now`; `dues[0]` belongs to slot `start`."""
    if now >= HALF:
        oldest = now - HALF
        return [slot for slot, due in enumerate(dues, start) if oldest < due <= now]
    oldest = now + HALF
    return [slot for slot, due in enumerate(dues, start) if due and (due <= now or due > oldest)]
