"""Messages that processes have died of: one that has killed twice is not handled again.

A phone sends a request up to ten times until it is answered; without this each time would cost a process.  Twice,
because the first death may have had another cause.

    word 0      how many messages are refused
    word 1 ...  their marks: CRC-32 and length
"""

import mmap
import zlib
from typing import Final

N_MARKS: Final = 63  #: the latest; older ones are forgotten
MOST_SUSPECTS: Final = 1024


def mark_of(data: bytes) -> int:
    """What a message is recognised by: the same bytes again, as retransmissions are."""
    return zlib.crc32(data) << 32 | len(data)


class FatalMessages:
    """The refused messages of one server, in memory shared by all its processes; made before the fork."""

    __slots__ = ("suspects", "words")

    def __init__(self) -> None:
        self.words = memoryview(mmap.mmap(-1, (N_MARKS + 1) * 8)).cast("Q")
        self.suspects: set[int] = set()  #: have killed once; the master's alone

    def died_of(self, data: bytes) -> bool:
        """Notes in the master what a process has died of; True when it is refused from now on."""
        mark = mark_of(data)
        if mark not in self.suspects:
            if len(self.suspects) >= MOST_SUSPECTS:
                self.suspects.clear()
            self.suspects.add(mark)
            return False
        self.suspects.discard(mark)
        words = self.words
        words[words[0] % N_MARKS + 1] = mark
        words[0] += 1
        return True

    def holds(self, data: bytes) -> bool:
        """Whether a message is refused; ask only where `words[0]` is not 0."""
        return mark_of(data) in self.words[1 : min(self.words[0], N_MARKS) + 1]
