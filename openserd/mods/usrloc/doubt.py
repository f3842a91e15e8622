"""How long writes that were given up may still reach the database.

A statement that got no answer in time is still with the server, or on its way: once the server goes on it may be
executed behind statements that were sent later, and leave a row that memory has deleted or changed since.  So what is
written while the database is away, and for some seconds after it is back, is not the last word: it stays pending and
is written once more when nothing of before can be under way.
"""

from collections.abc import MutableSequence
from typing import Final

SETTLE_SECONDS: Final = 5  #: how long after its first answer the database may still execute what it was sent before
AWAY: Final = (1 << 32) - 1


class Doubt:
    """Whether what the database is told can be relied on.

    `words` is one u32 shared by all processes: 0 when it can, AWAY from a write that failed on, else the monotonic
    second from which it can again.
    """

    __slots__ = ("words",)

    def __init__(self, words: "MutableSequence[int] | memoryview") -> None:
        self.words = words

    def begin(self) -> None:
        """Notes that a write was given up."""
        self.words[0] = AWAY

    def answered(self, now: int) -> None:
        """Notes that the database has taken a write."""
        if self.words[0] == AWAY:
            self.words[0] = now + SETTLE_SECONDS

    def holds(self, now: int) -> bool:
        """Whether what has been written by now is to be written again."""
        until = self.words[0]
        return until != 0 and now < until
