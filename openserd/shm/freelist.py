"""Free units (blobs of one class, slots of one table) shared by all processes.

A unit is the index of its first u32 word in the segment.  Its first two words are

    word 0  state: 0 free, process << 2 | 1 reserved by a process, ... | 2 used
    word 1  next free unit, 0 ends the list; the unit's own while it is not free

and the list itself is two words

    word 0  head: the first free unit, 0 none
    word 1  count

The states are the truth and the list is derived from them: whoever dies in the middle of `take` or `give` leaves
units that are free or reserved, and `rebuild` makes the list anew from the free ones.
"""

from collections.abc import Iterable, Sequence
from typing import Final

FREE: Final = 0
RESERVED: Final = 1
USED: Final = 2
STATE_MASK: Final = 3

MAX_PROCESSES: Final = 1 << 10

BYTES: Final = 8


def reserved_by(process: int) -> int:
    """The state word of a unit that lies in the private list of `process`."""
    return process << 2 | RESERVED


class FreeList:
    """One list; every method expects the lock that belongs to it."""

    __slots__ = ("_head", "_words")

    def __init__(self, words: memoryview, offset: int) -> None:
        """`words` is the whole segment, `offset` the byte where the list's two words lie."""
        self._words: memoryview = words
        self._head: int = offset // 4

    def __len__(self) -> int:
        return self._words[self._head + 1]

    def take(self, n: int, process: int) -> list[int]:
        """At most `n` units, now reserved by `process`; pop from the end to get the one freed last."""
        words = self._words
        mark = reserved_by(process)
        unit = words[self._head]
        units: list[int] = []
        while unit and len(units) < n:
            units.append(unit)
            words[unit] = mark
            unit = words[unit + 1]
        words[self._head] = unit
        words[self._head + 1] -= len(units)
        units.reverse()
        return units

    def give(self, units: Sequence[int]) -> None:
        """Add `units`, whatever their state was; the last one is taken first."""
        words = self._words
        head = words[self._head]
        for unit in units:
            words[unit + 1] = head
            words[unit] = FREE
            head = unit
        words[self._head] = head
        words[self._head + 1] += len(units)

    def clear(self) -> None:
        """Forget all units; their states stay."""
        self._words[self._head] = 0
        self._words[self._head + 1] = 0

    def rebuild(self, units: Iterable[int]) -> int:
        """Make the list anew from `units`, all of them free; how many there are."""
        self.clear()
        words = self._words
        head = 0
        n_units = 0
        for unit in units:
            words[unit + 1] = head
            head = unit
            n_units += 1
        words[self._head] = head
        words[self._head + 1] = n_units
        return n_units
