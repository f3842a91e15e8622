"""When a database that is down may be tried again, known to all processes.

    word 0   monotonic milliseconds until which nobody tries, 0 while the database is there
    word 1   how often in a row it was found missing

One process tries at a time: who comes after the pause moves it forward before trying.  Two that come in the same
moment may both try, which does no harm, so there is no lock.
"""

from array import array
from collections.abc import MutableSequence
from typing import Final

FIRST_PAUSE_MS: Final = 1000
LONGEST_PAUSE_MS: Final = 8000


class Breaker:
    """The state of one database; `words` are two numbers, shared between processes by whoever has shared memory."""

    __slots__ = ("words",)

    def __init__(self, words: "MutableSequence[int] | memoryview | None" = None) -> None:
        self.words = array("q", (0, 0)) if words is None else words

    def may_try(self, now_ms: int, longest_ms: int) -> bool:
        """Whether to try to reach the database; others hold back for the time that this may take."""
        until = self.words[0]
        if until == 0:
            return True
        if now_ms < until:
            return False
        self.words[0] = now_ms + longest_ms
        return True

    def failed(self, now_ms: int) -> bool:
        """Notes that the database was not reached; True for the first to find out."""
        first = self.words[0] == 0
        pause = min(FIRST_PAUSE_MS << min(self.words[1], 8), LONGEST_PAUSE_MS)
        self.words[1] += 1
        self.words[0] = now_ms + pause
        return first

    def succeeded(self) -> bool:
        """Notes that the database was reached; True for the first to find out that it is back."""
        if self.words[0] == 0:
            return False
        self.words[0] = 0
        self.words[1] = 0
        return True
