"""Transactions by what identifies their request end to end: Call-ID, CSeq, From tag.

Two questions need it, and only where they are asked it is kept: whether the same request has come by another way (a
merged request, RFC 3261 8.2.2.2), and which INVITE the ACK to a 2xx belongs to.

    key      method | CSeq number | From tag | Call-ID
    payload  u32 slot, u32 generation, u32 hash of the transaction

An entry goes with its transaction; one that is left behind by a process that died counts for nothing, because its slot
and generation are no longer there.  The lock of an entry is only ever taken inside that of its transaction.
"""

import struct
from typing import TYPE_CHECKING, Final

from openserd.core.message import SipMsg
from openserd.errors import ResourceError, SipError
from openserd.mods.tm.memory.hand import InHand
from openserd.mods.tm.memory.record import INDEXED

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.mods.tm.memory.store import Transaction, TransactionStore

_ENTRY: Final = struct.Struct("<III")
LOAD: Final = 2  #: entries per bucket


def identity(msg: SipMsg, method: bytes = b"") -> bytes:
    """What identifies a request end to end. Raises SipError."""
    return b"%b|%d|%b|%b" % (method or msg.method, msg.cseq.number, msg.from_tag or b"", msg.call_id)


class Identities:
    """The index."""

    def __init__(self, core: "Core", store: "TransactionStore", n_slots: int) -> None:
        n_buckets = 1 << max(6, (n_slots // LOAD - 1).bit_length())
        self.table = core.memory.table("requests end to end", n_slots, n_buckets)
        self.store = store

    def entry(self, slot: int) -> InHand:
        """Where the transaction of an entry is."""
        place, generation, hash_ = _ENTRY.unpack(self.table.payload(slot))
        return InHand(place, generation, hash_)

    def find(self, key: bytes) -> InHand | None:
        """The transaction with this identity, None where there is none."""
        table = self.table
        hash_ = table.hash(key)
        table.stripes.acquire(hash_)
        try:
            slot = table.find(key, hash_)
            found = self.entry(slot) if slot else None
        finally:
            table.stripes.release(hash_)
        return found if found is not None and self.store.table.is_live(found.slot, found.generation) else None

    def add(self, key: bytes, t: "Transaction") -> bool:
        """Enters a transaction that nobody can see yet; False where another has this identity.

        One with the same hash is the same request again, which is told apart later.  An index that is full lets
        everything pass.
        """
        table = self.table
        hash_ = table.hash(key)
        try:
            reserved = table.reserve()
        except ResourceError:
            return True
        table.stripes.acquire(hash_)
        try:
            slot = table.find(key, hash_)
            if slot:
                other = self.entry(slot)
                if self.store.table.is_live(other.slot, other.generation):
                    return other.hash == t.hash
                table.replace(slot, _ENTRY.pack(t.slot, t.generation, t.hash))
            else:
                table.insert(key, hash_, _ENTRY.pack(t.slot, t.generation, t.hash), reserved)
                reserved = 0
            t.server.flags |= INDEXED
            return True
        finally:
            table.stripes.release(hash_)
            if reserved:
                table.give_back(reserved)

    def remove(self, request: bytes, slot: int) -> None:
        """Takes the entry of the transaction in `slot` out; `request` is its datagram."""
        try:
            key = identity(SipMsg(request, ("", 0), self.store.core.listeners[0]))
        except SipError:
            return
        table = self.table
        hash_ = table.hash(key)
        table.stripes.acquire(hash_)
        try:
            found = table.find(key, hash_)
            if found and self.entry(found).slot == slot:
                table.remove(found)
        finally:
            table.stripes.release(hash_)
