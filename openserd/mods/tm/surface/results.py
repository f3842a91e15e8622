"""What became of branches, for modules that go on from there: uac_redirect, uac, acc."""

from openserd.core.message import SipMsg
from openserd.mods.tm.memory.hand import FailureRun
from openserd.mods.tm.memory.record import SUPERSEDED, BranchRecord
from openserd.mods.tm.memory.store import Transaction, TransactionStore
from openserd.mods.tm.requests.arrival import Requests
from openserd.parser.message import Message


class BranchResult:
    """A branch that has ended: its request URI, its final status, the reply with it, None where it was made here."""

    __slots__ = ("reply", "status", "uri")

    def __init__(self, uri: bytes, status: int, reply: Message | None) -> None:
        self.uri = uri
        self.status = status
        self.reply = reply


class Results:
    """Answers from the record."""

    def __init__(self, requests: Requests) -> None:
        self.requests = requests
        self.store: TransactionStore = requests.store

    def latest(self, msg: SipMsg) -> list[BranchResult]:
        """In a failure route: the branches of the latest round; none elsewhere."""
        t, datagrams = self.read(msg)
        if t is None:
            return []
        return [
            result_of(branch, data)
            for branch, data in list(zip(t.branches, datagrams, strict=True))[t.server.first_branch :]
            if not branch.flags & SUPERSEDED
        ]

    def chosen(self, msg: SipMsg) -> BranchResult | None:
        """In a failure route: the branch whose reply was chosen; None elsewhere."""
        t, datagrams = self.read(msg)
        if t is None or not isinstance(msg.extension, FailureRun):
            return None
        return result_of(t.branches[msg.extension.branch], datagrams[msg.extension.branch])

    def read(self, msg: SipMsg) -> tuple[Transaction | None, list[bytes]]:
        """The transaction whose failure route runs, with the final reply of each branch, b"" for none."""
        run = msg.extension
        if not isinstance(run, FailureRun):
            return None, []
        store = self.store
        store.stripes.acquire(run.hash)
        try:
            t = store.reload(run.slot, run.generation, run.hash)
            if t is None:
                return None, []
            return t, [store.blobs.get(branch.reply) if branch.reply else b"" for branch in t.branches]
        finally:
            store.stripes.release(run.hash)


def result_of(branch: BranchRecord, datagram: bytes) -> BranchResult:
    """A branch with the reply that was kept of it."""
    return BranchResult(branch.uri, branch.status, Message(datagram) if datagram else None)
