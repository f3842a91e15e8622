"""What was read once is not read again: tables of names and header lines that come in few forms."""

from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

#: A table stops learning at this many entries, so that a peer cannot make it grow without end.
MOST_LEARNED: Final = 4096
LONGEST_LEARNED: Final = 40  #: bytes
LONGEST_LINE: Final = 96  #: bytes of a header line with an address that is learned as a whole


class Learned(dict[bytes, T]):
    """Text -> what `read` makes of it: a text not listed is read and, up to the bounds, learned.

    `longest` is the length in bytes of the longest text that is learned.
    """

    __slots__ = ("longest", "read")

    def __init__(self, read: Callable[[bytes], T], longest: int = LONGEST_LEARNED) -> None:
        super().__init__()
        self.read = read
        self.longest = longest

    def __missing__(self, text: bytes) -> T:
        """What a text not listed says."""
        found = self.read(text)
        if len(self) < MOST_LEARNED and len(text) <= self.longest:
            self[text] = found
        return found
