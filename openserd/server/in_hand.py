"""The datagram that a receiver works on, in memory shared with the master: what it died of, if it does not come back.

    word 0          its length in bytes, 0 while the receiver waits for the next
    from byte 8 on  the datagram

Datagrams are received into it, so nothing is copied for it.
"""

import logging
import mmap
from typing import Final

from openserd.server.fatal import FatalMessages

log = logging.getLogger("openserd")

LARGEST_DATAGRAM: Final = 65535
HEAD_BYTES: Final = 8
LINE_BYTES: Final = 256  #: of a datagram in one line of the log
MOST_LINES: Final = 32


class InHand:
    """The place of one receiver's datagram; made before the fork."""

    __slots__ = ("buf", "fatal", "length", "room")

    def __init__(self, fatal: FatalMessages) -> None:
        self.fatal = fatal
        self.buf = mmap.mmap(-1, HEAD_BYTES + LARGEST_DATAGRAM)
        whole = memoryview(self.buf)
        self.length = whole[:HEAD_BYTES].cast("Q")
        self.room = whole[HEAD_BYTES:]

    def tell(self) -> None:
        """Logs in hex what a receiver that has died was working on, if it was; its successor begins without.

        A message that does so again is refused from then on.
        """
        length = min(self.length[0], LARGEST_DATAGRAM)
        if not length:
            return
        self.length[0] = 0
        data = bytes(self.room[:length])
        log.error("it was handling this message of %d bytes, in hex:", length)
        for start in range(0, min(length, LINE_BYTES * MOST_LINES), LINE_BYTES):
            log.error("%5d: %s", start, data[start : start + LINE_BYTES].hex())
        if length > LINE_BYTES * MOST_LINES:
            log.error("and %d bytes more", length - LINE_BYTES * MOST_LINES)
        if self.fatal.died_of(data):
            log.error("it is the second process that this message has killed: it is not handled again")
