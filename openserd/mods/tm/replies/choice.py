"""Which final reply goes to the caller (RFC 3261 section 16.7 items 6 and 7), as pure functions.

    6xx    before all others
    487    then, where the caller has cancelled
    3xx    then the lowest class that there is, the lowest number in it first
    4xx    but 401, 407, 415, 420 and 484 before the others: they tell how to ask again
    5xx    but 503 last: it speaks of one server, not of the call

A 401 or 407 carries the challenges of all branches that were challenged, so that one more attempt satisfies them all.
(OpenSER: the lowest number, 487 before it where the caller has cancelled; challenges of the chosen branch alone.)
"""

from collections.abc import Sequence
from typing import Final

from openserd.mods.tm.memory.record import BranchRecord
from openserd.parser import names
from openserd.parser.message import Message

CHALLENGES: Final = frozenset((401, 407))
TELLING: Final = frozenset((401, 407, 415, 420, 484))
CHALLENGE_FIELDS: Final = frozenset((names.WWW_AUTHENTICATE, names.PROXY_AUTHENTICATE))
REQUEST_TERMINATED: Final = 487
UNAVAILABLE: Final = 503

Rank = tuple[int, int, int, int]


class Preference:
    """The order of final replies: `by_class` as the RFC has it, else by number; `decline_first` 6xx before all."""

    def __init__(self, by_class: bool = True, decline_first: bool = True) -> None:
        self.by_class = by_class
        self.decline_first = decline_first

    def rank(self, status: int, cancelled: bool) -> Rank:
        """What replies are compared by; the lowest goes on."""
        if status >= 600 and self.decline_first:
            return 0, 0, 0, status
        if cancelled and status == REQUEST_TERMINATED:
            return 1, 0, 0, status
        if not self.by_class:
            return 2, 0, 0, status
        return 2, status // 100, 0 if status in TELLING else 2 if status == UNAVAILABLE else 1, status

    def choose(self, branches: Sequence[BranchRecord], cancelled: bool) -> BranchRecord:
        """The branch whose final reply goes on; the first of equals."""
        return min(branches, key=lambda branch: self.rank(branch.status, cancelled))


def with_challenges(reply: bytes, others: Sequence[bytes]) -> bytes:
    """A 401 or 407 with the challenges of other ones, unchanged and in their order, behind its own."""
    added = b"".join(line for other in others for line in challenges(Message(other)))
    if not added:
        return reply
    message = Message(reply)
    own = [index for index, header in enumerate(message.hdr_ids) if header in CHALLENGE_FIELDS]
    at = message.line_span(own[-1])[1] if own else message.hdr_starts[-1]
    return reply[:at] + added + reply[at:]


def challenges(reply: Message) -> list[bytes]:
    """The lines with challenges of a reply."""
    return [
        reply.buf[slice(*reply.line_span(index))]
        for index, header in enumerate(reply.hdr_ids)
        if header in CHALLENGE_FIELDS
    ]
