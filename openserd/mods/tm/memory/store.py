"""Transactions in shared memory: found, loaded, changed and put back under the lock of their stripe.

    store.stripes.acquire(hash)
    t = store.load(slot)            a copy: `Transaction`
    ... machines and proxy core change the copy and note what is to be sent
    store.save(t)                   published by one store; blobs no longer needed are freed after it
    store.stripes.release(hash)
    send what t.outgoing holds

A process that dies before `save` leaves the transaction as it was; what it had put aside is found by the sweep.
"""

import secrets
from typing import TYPE_CHECKING, Final

from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.network.transport import Address
from openserd.errors import ResourceError
from openserd.mods.tm.memory.keys import LABEL_MASK
from openserd.mods.tm.memory.record import (
    INDEXED,
    INVITE,
    RPORT_FORCED,
    SETTLED,
    BranchRecord,
    ScriptRecord,
    ServerRecord,
    payload_refs,
)
from openserd.mods.tm.memory.travel import restore
from openserd.shm.blobs import Blobs
from openserd.shm.deadlines import HALF, TICK_MASK, ticks

if TYPE_CHECKING:
    from openserd.mods.tm.memory.index import Identities

Outgoing = tuple[int, Address, bytes]  #: listener index, destination, datagram
#: kind, the request, the reply where there is one, its code, the datagram, the request URI of its branch or b""
Noted = tuple[int, SipMsg, SipMsg | None, int, bytes, bytes]

#: Bound once: CPython 3.11 looks a class method up anew at each call.
unpack_server: Final = ServerRecord.unpack_from
unpack_branch: Final = BranchRecord.unpack_from

LOAD: Final = 2  #: buckets per this many slots
MOST_UNCHECKED: Final = 32
LARGEST: Final = 1 << 18  #: bytes that one transaction may take at once


class Transaction:
    """One transaction in hand.

    Once the lock is released `outgoing` is to be sent, `events` to be told to whoever watches, and the failure route to
    be run for branch `failed` (-1 none).  `attempts` are the places in `outgoing` of what goes to a next address, each
    with the number of its branch.

    `garbage` are blobs to be freed once the change is saved, `is_over` says that the record is to be removed instead.
    """

    __slots__ = (
        "attempts", "branches", "events", "failed", "garbage", "generation", "hash", "is_invite", "is_over", "outgoing",
        "script", "server", "slot",
    )  # fmt: skip

    def __init__(
        self,
        slot: int,
        generation: int,
        hash_: int,
        server: ServerRecord,
        branches: list[BranchRecord],
        script: ScriptRecord | None = None,
    ) -> None:
        self.slot = slot
        self.generation = generation
        self.hash = hash_
        self.server = server
        self.is_invite = server.kind == INVITE
        self.branches = branches
        self.script = script
        self.failed = -1
        self.events: list[Noted] | None = None
        self.outgoing: list[Outgoing] = []
        self.attempts: list[tuple[int, int]] | None = None
        self.garbage: list[int] = []
        self.is_over = False

    def reply_address(self) -> Address:
        """Where replies go."""
        return self.server.reply_host.decode(), self.server.reply_port

    def branch_address(self, branch: BranchRecord) -> Address:
        """Where a branch was sent."""
        return branch.host.decode(), branch.port

    def is_pending(self) -> bool:
        """Whether a client transaction still waits for something."""
        for branch in self.branches:  # noqa: SIM110 - `any` over a generator takes three times as long
            if branch.timeout_at or branch.cancel_at:
                return True
        return False

    def pack(self) -> bytes:
        """The record's payload."""
        branches = self.branches
        return self.server.pack() + (branches[0].pack() if len(branches) == 1 else BranchRecord.pack_many(branches))

    def next_due(self) -> int:
        """The tick of the timer that ends first, 0 when none runs."""
        server = self.server
        due = 0
        for at in (server.retransmit_at, server.timeout_at, server.wait_at):
            if at and (not due or (due - at) & TICK_MASK < HALF):  # the ticks may begin again at 0 between them
                due = at
        for branch in self.branches:
            for at in (branch.retransmit_at, branch.timeout_at, branch.cancel_at):
                if at and (not due or (due - at) & TICK_MASK < HALF):
                    due = at
        return due


def is_past(at: int, now: int) -> bool:
    """Whether a timer set to tick `at` has run out at tick `now`."""
    return at != 0 and (now - at) & TICK_MASK < HALF


class TransactionStore:
    """The table of transactions of a server."""

    def __init__(self, core: Core, n_slots: int) -> None:
        self.core = core
        n_buckets = 1 << max(6, (n_slots // LOAD - 1).bit_length())
        self.table = core.memory.table("transactions", n_slots, n_buckets, payload_refs)
        self.deadlines = core.memory.deadlines(n_slots)
        self.blobs: Blobs = core.memory.blobs
        self.epoch = secrets.randbits(32)
        self.index: Identities | None = None  #: of requests end to end, where somebody asks for it
        self.reserve = 0  #: percent of shared memory that new transactions leave to those there are
        self.most_bytes = 0  #: that may be used before a new transaction; computed when the first is made
        self.most_taken = LARGEST * core.memory.n_processes  #: while each process makes one transaction
        self.n_unchecked = 0  #: how many transactions this process may make before it looks again
        self.now = ticks  #: the clock; a test may put its own here
        self.stripes = self.table.stripes

    def label(self, generation: int) -> int:
        """What makes a branch of this start of the server unlike one of another: for branches and management.

        The label of a label is the generation again.
        """
        return (generation ^ self.epoch) & LABEL_MASK

    def is_live(self, slot: int, label: int) -> bool:
        """Whether the record that had this slot and label is still there."""
        return self.table.is_live(slot, self.label(label))

    def check_room(self) -> None:
        """Raises ResourceError where only the reserve is left.

        Each step of a transaction puts its new record beside the old one: without a free block those there are could
        neither go on nor end.  Where there is plenty only each MOST_UNCHECKED-th transaction is asked about.
        """
        if self.n_unchecked:
            self.n_unchecked -= 1
            return
        used = self.blobs.used_bytes
        if not self.most_bytes:
            self.most_bytes = self.blobs.heap_bytes * (100 - self.reserve) // 100
        if used > self.most_bytes:
            raise ResourceError(
                f"no room for another transaction: {used} of {self.blobs.heap_bytes} bytes of shared memory used, "
                f"{self.reserve} % are kept for those there are: raise -m"
            )
        self.n_unchecked = min(MOST_UNCHECKED, (self.most_bytes - used) // self.most_taken)

    def load(self, slot: int, hash_: int) -> Transaction:
        """A copy of a live record, whose hash is `hash_`; under its lock."""
        t = self.reload(slot, self.table.generation(slot), hash_)
        assert t is not None, "a record that has gone"
        return t

    def reload(self, slot: int, generation: int, hash_: int) -> Transaction | None:
        """A copy of the record as it is now, None where it has gone; under its lock."""
        payload = self.table.payload_of(slot, generation)
        if payload is None:
            return None
        server, end = unpack_server(payload)
        branches: list[BranchRecord] = []
        while end < len(payload):
            branch, end = unpack_branch(payload, end)
            branches.append(branch)
        script = ScriptRecord.unpack(self.blobs.get(server.script)) if server.script else None
        return Transaction(slot, generation, hash_, server, branches, script)

    def save(self, t: Transaction, now: int) -> None:
        """Puts a changed transaction back, or removes it when it is over; under its lock."""
        if t.is_over:
            self.remove(t)
            return
        server = t.server
        due = t.next_due()
        if due and due == server.wait_at and not t.is_pending():
            server.flags |= SETTLED
        elif server.flags & SETTLED:
            server.flags &= ~SETTLED
        self.table.replace(t.slot, t.pack())
        self.deadlines.arm(t.slot, due) if due else self.deadlines.disarm(t.slot)
        if t.garbage:
            self.free(t)

    def free(self, t: Transaction) -> None:
        """Frees what the saved record no longer refers to."""
        for ref in t.garbage:
            self.blobs.free(ref)
        t.garbage.clear()

    def remove(self, t: Transaction) -> None:
        """Takes the record out of the table with all that it owns; under its lock."""
        self.deadlines.disarm(t.slot)
        self.forget(t.slot, t.server)
        self.table.remove(t.slot)
        self.free_all(t)

    def forget(self, slot: int, server: ServerRecord) -> None:
        """Takes a transaction out of the index."""
        if server.flags & INDEXED and self.index is not None:
            self.index.remove(self.blobs.get(server.request), slot)
            server.flags &= ~INDEXED

    def discard(self, slot: int, payload: bytes) -> None:
        """Takes a settled record out of the table with all that it owns, without reading it; under its lock."""
        self.deadlines.disarm(slot)
        if self.index is not None:
            self.forget(slot, ServerRecord.unpack(payload))
        self.table.remove(slot)
        free = self.blobs.free
        for ref in payload_refs(payload):
            free(ref)

    def free_all(self, t: Transaction) -> None:
        """Frees every blob that a transaction refers to or no longer refers to."""
        server = t.server
        owned = [server.request, server.reply, server.script, *t.garbage]
        for branch in t.branches:
            owned += (branch.sent, branch.cancel, branch.reply, branch.ack, branch.others)
        for ref in owned:
            if ref:
                self.blobs.free(ref)
        t.garbage.clear()

    def put(self, t: Transaction, old: int, data: bytes) -> int:
        """A blob with `data` in the place of blob `old` (0 none), which is freed once the change is saved."""
        ref = self.blobs.put(data)
        if old:
            t.garbage.append(old)
        return ref

    def keep_script(self, t: Transaction) -> None:
        """Puts what the script has left with a transaction, which has changed, into memory."""
        if t.script is not None:
            t.server.script = self.put(t, t.server.script, t.script.pack())

    def drop(self, t: Transaction, old: int) -> int:
        """0 in the place of blob `old`, which is freed once the change is saved."""
        if old:
            t.garbage.append(old)
        return 0

    def request(self, t: Transaction) -> SipMsg:
        """The request of a transaction: as it was received, and with what its script has left on it."""
        server = t.server
        msg = SipMsg(
            self.blobs.get(server.request),
            (server.source_host.decode(), server.source_port),
            self.core.listeners[server.listener],
        )
        msg.flags = server.msg_flags
        msg.rport_forced = bool(server.flags & RPORT_FORCED)
        if t.script is not None:
            restore(msg, t.script, self.core.listeners)
        return msg
