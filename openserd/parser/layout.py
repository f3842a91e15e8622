"""Which header fields a message has and in what order: found out once, because peers write few different orders.

    Via: ... CRLF       ids[0] = VIA       first[VIA] = 0
    From: ... CRLF      ids[1] = FROM      first[FROM] = 1, as `sender`
    ...

Where a field is, and whether it is there once, costs a message nothing but the look at its layout.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

from openserd.parser import names

ABSENT: Final = -1
SEVERAL: Final = -2

MOST_LAYOUTS: Final = 1024  #: at so many all are forgotten: a peer cannot make them grow without end
LONGEST_NAMES: Final = 1024  #: bytes of the names of one layout that is kept

#: What may be there once; the order in which it is complained of.
_SINGLE: Final = (names.FROM, names.TO, names.CALL_ID, names.CSEQ, names.MAX_FORWARDS)
#: What a reply takes over (RFC 3261 section 8.2.6.2), and Record-Route where it makes a dialog (12.1.1).
_COPIED: Final = frozenset((names.VIA, names.TO, names.FROM, names.CALL_ID, names.CSEQ))
_COPIED_WITH_ROUTE: Final = _COPIED | {names.RECORD_ROUTE}


class Layout:
    """The header fields of a message, a line each.

    `ids[i]` is the field of line i, `first` and `only` give the index of a field's first line and of the line of a
    field that has one.  `via`, `sender` (From), `target` (To), `call_id`, `cseq`, `max_forwards` are such first
    indexes, ABSENT where there is none; so is `content_length`, but SEVERAL where there are more.  `is_complete` tells
    that none of those that every message needs is absent, `repeated` which fields are there twice that must not be.
    `is_folded` tells that a line begins with white space: it goes on with the one before, and nothing else here holds.
    `copied(lines)` and `copied_with_route(lines)` are the lines that a reply takes over, a copy.
    """

    __slots__ = (
        "call_id", "content_length", "copied", "copied_with_route", "cseq", "first", "ids", "is_complete",
        "is_folded", "max_forwards", "only", "repeated", "sender", "target", "via",
    )  # fmt: skip

    def __init__(self, ids: tuple[int, ...], *, is_folded: bool = False) -> None:
        self.ids = ids
        self.is_folded = is_folded
        self.first = dict(zip(reversed(ids), reversed(range(len(ids))), strict=True))
        self.only = {hid: index for hid, index in self.first.items() if ids.count(hid) == 1}
        at = self.first.get
        self.via = at(names.VIA, ABSENT)
        self.sender = at(names.FROM, ABSENT)
        self.target = at(names.TO, ABSENT)
        self.call_id = at(names.CALL_ID, ABSENT)
        self.cseq = at(names.CSEQ, ABSENT)
        self.max_forwards = at(names.MAX_FORWARDS, ABSENT)
        self.content_length = self.only.get(names.CONTENT_LENGTH, SEVERAL if names.CONTENT_LENGTH in ids else ABSENT)
        self.is_complete = min(self.via, self.sender, self.target, self.call_id, self.cseq) >= 0
        self.repeated = tuple(hid for hid in _SINGLE if ids.count(hid) > 1)
        self.copied = _choice([index for index, hid in enumerate(ids) if hid in _COPIED])
        self.copied_with_route = _choice([index for index, hid in enumerate(ids) if hid in _COPIED_WITH_ROUTE])


def _choice(indexes: list[int]) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    """A function that takes the lines with these indexes out of all."""
    return itemgetter(*indexes) if len(indexes) > 1 else lambda lines: [lines[index] for index in indexes]


class Layouts(dict[bytes, Layout]):
    """The names of all header lines, colons between them -> their layout."""

    __slots__ = ()

    def __missing__(self, joined: bytes) -> Layout:
        """The layout of names that come for the first time."""
        written = joined.split(b":")
        is_folded = any(name[:1] in (b" ", b"\t") for name in written)
        layout = Layout(tuple(names.SPELLINGS[name] for name in written), is_folded=is_folded)
        if len(joined) <= LONGEST_NAMES:
            if len(self) >= MOST_LAYOUTS:
                self.clear()
            self[joined] = layout
        return layout


LAYOUTS: Final = Layouts()
NO_LINES: Final = Layout(())


def layout_of(lines: list[bytes]) -> Layout:
    """The layout of header lines."""
    if not lines:
        return NO_LINES
    written = []
    for line in lines:
        written.append(line.partition(b":")[0])
    return LAYOUTS[b":".join(written)]
