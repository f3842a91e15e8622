"""Fail-over: the further addresses of a branch's destination (RFC 3263 section 4.3; OpenSER: do_dns_failover).

A branch whose destination has several addresses keeps those that are still to be tried in a blob:

    for each    u16 listener, u16 port, u32 length of host, u32 length of request, host, request

The request is empty where it leaves as it did for the address before; by another listener it is another one (Via,
Record-Route).

A branch that cannot be sent, is answered 503 or is not answered at all makes room for a new one to the next address, of
the same round and with the same request URI, and does not count any more.  Only the last one's end is the end.
"""

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from openserd.core.network.transport import Address
from openserd.errors import ResourceError
from openserd.mods.tm.memory.keys import renumbered
from openserd.mods.tm.memory.record import (
    CANCEL_SENT,
    CANCEL_WANTED,
    CANCELLED,
    DECLINED,
    MAX_TRANSACTION_BRANCHES,
    SUPERSEDED,
    BranchRecord,
)

if TYPE_CHECKING:
    from openserd.mods.tm.machines.machine import Driver
    from openserd.mods.tm.memory.store import Transaction, TransactionStore
    from openserd.mods.tm.surface.statistics import TmStats

_ATTEMPT: Final = struct.Struct("<HHII")
NOT_WANTED: Final = CANCELLED | DECLINED
TO_BE_CANCELLED: Final = CANCEL_WANTED | CANCEL_SENT


class Attempt(NamedTuple):
    """An address to be tried: index of the listener, where to, the request where it is another one."""

    listener: int
    address: Address
    request: bytes


def pack_attempts(attempts: Iterable[Attempt]) -> bytes:
    """What a branch keeps of them; nothing for none."""
    parts: list[bytes] = []
    for listener, (name, port), request in attempts:
        host = name.encode()
        parts += (_ATTEMPT.pack(listener, port, len(host), len(request)), host, request)
    return b"".join(parts)


def first_attempt(packed: bytes) -> tuple[Attempt, bytes]:
    """The next one, and those behind it as they were packed."""
    listener, port, n_host, n_request = _ATTEMPT.unpack_from(packed)
    start = _ATTEMPT.size
    middle, end = start + n_host, start + n_host + n_request
    return Attempt(listener, (packed[start:middle].decode(), port), packed[middle:end]), packed[end:]


class Failover:
    """Makes the new branches."""

    def __init__(self, store: "TransactionStore", driver: "Driver", stats: "TmStats") -> None:
        self.store = store
        self.driver = driver
        self.stats = stats

    def try_next(self, t: "Transaction", branch: BranchRecord, now: int) -> bool:
        """Sends the request of a branch that has failed to its next address; False where it has none, where nobody
        waits for it any more, or where there is no room."""
        if (
            not branch.others
            or t.server.status >= 200
            or t.server.flags & NOT_WANTED
            or branch.flags & TO_BE_CANCELLED
            or len(t.branches) >= MAX_TRANSACTION_BRANCHES
        ):
            return False
        try:
            attempt, others = first_attempt(self.store.blobs.get(branch.others))
            request = renumbered(attempt.request or self.store.blobs.get(branch.sent), len(t.branches))
            self.add(t, branch, attempt, request, others, now)
        except ResourceError:
            return False
        branch.flags |= SUPERSEDED
        branch.others = self.store.drop(t, branch.others)
        return True

    def add(
        self, t: "Transaction", branch: BranchRecord, attempt: Attempt, request: bytes, others: bytes, now: int
    ) -> None:
        """The new branch. Raises ResourceError."""
        host, port = attempt.address
        sent = self.store.blobs.put(request)
        try:
            rest = self.store.blobs.put(others) if others else 0
        except ResourceError:
            self.store.blobs.free(sent)
            raise
        record = BranchRecord(
            state=0,
            flags=0,
            listener=attempt.listener,
            port=port,
            status=0,
            branch_flags=branch.branch_flags,
            retransmit_at=0,
            interval=0,
            timeout_at=0,
            cancel_at=0,
            cancel_interval=0,
            sent=sent,
            cancel=0,
            reply=0,
            ack=0,
            others=rest,
            host=host.encode(),
            uri=branch.uri,
        )
        if t.attempts is None:
            t.attempts = []
        t.attempts.append((len(t.outgoing), len(t.branches)))
        t.branches.append(record)
        self.driver.start_client(t, record, now)
        t.outgoing.append((record.listener, attempt.address, request))
        self.stats.uac_transactions.bump()
