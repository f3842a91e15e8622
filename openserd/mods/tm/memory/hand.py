"""The transaction that belongs to the message at hand: what `msg.extension` holds once there is one."""

from typing import TYPE_CHECKING

from openserd.mods.tm.memory.travel import Armed

if TYPE_CHECKING:
    from openserd.core.message import SipMsg


class InHand:
    """Where the record is, and how many branches it had when it was last looked at."""

    __slots__ = ("generation", "hash", "n_branches", "slot")

    def __init__(self, slot: int, generation: int, hash_: int, n_branches: int = 0) -> None:
        self.slot = slot
        self.generation = generation
        self.hash = hash_
        self.n_branches = n_branches


class FailureRun(InHand):
    """A failure route at work: which reply it is for, and what it has armed for the branches that it makes.

    Nothing of that is in the record before there is such a branch: a process that dies earlier leaves the transaction
    as it was, for another to run the same route.
    """

    __slots__ = ("armed", "branch", "relayed", "status")

    def __init__(self, place: InHand, branch: int, status: int, armed: Armed) -> None:
        super().__init__(place.slot, place.generation, place.hash, place.n_branches)
        self.branch = branch
        self.status = status
        self.armed = armed
        self.relayed = False


def in_hand(msg: "SipMsg") -> InHand | None:
    """The transaction of the message, None where it has none yet."""
    found = msg.extension
    return found if isinstance(found, InHand) else None
