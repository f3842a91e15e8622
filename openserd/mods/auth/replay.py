"""Replay protection: what each nonce has been used for, known to all processes (RFC 7616 sections 3.4 and 5.4).

A nonce enters the table when credentials with it have been found right for the first time; a challenge alone leaves
nothing.  From then on its count has to rise; used without a count, it is good for that one request.

    key       expiry and unique part of the nonce, 12 bytes
    payload   a packed `Use`

A table that is full forgets the nonces that expire first, and remembers up to when it has forgotten: a nonce from
before that is too old, as if it had expired.  A full table shortens the life of nonces; it never lets a replay pass.
"""

import logging
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from openserd.errors import ResourceError
from openserd.mods.auth.nonce import identity
from openserd.shm.record import U32, U64, Record

if TYPE_CHECKING:
    from openserd.core.message import SipMsg
    from openserd.mods.auth.credentials import Presented
    from openserd.shm.memory import SharedMemory

log = logging.getLogger("openserd")

LAST_COUNT: Final = 0xFFFFFFFF
FORGOTTEN_SHARE: Final = 8  #: one in so many is forgotten when the table is full


@dataclass(slots=True)
class Use(Record):
    """The latest use of one nonce."""

    expires: U32  # seconds since 1970
    count: U32  # the highest nonce count so far
    used_at: U32  # when that was, seconds since 1970
    request: U64  # which request that was, see `request_mark`


class History:
    """The nonces in use; made before the fork.

    For `window` seconds the very request that was accepted is accepted again: over UDP, phones repeat it until they
    have an answer.
    """

    __slots__ = ("floor", "table", "window")

    def __init__(self, memory: "SharedMemory", n_nonces: int, window: int) -> None:
        self.table = memory.table("auth", n_nonces, 1 << max(4, (n_nonces - 1).bit_length()))
        self.floor = memory.words(1)  #: nonces that expire up to here may have been forgotten
        self.window = window

    def accept(self, msg: "SipMsg", presented: "Presented", now: int) -> bool:
        """Whether the nonce may be used for this request; notes that it has been. False as well without memory."""
        nonce = identity(presented.credentials.nonce or b"")
        use = Use(presented.expires, presented.nc if presented.qop else LAST_COUNT, now, request_mark(msg, presented))
        try:
            return self.note(nonce, use)
        except ResourceError:
            self.make_room()
        try:
            return self.note(nonce, use)
        except ResourceError as error:
            log.error("auth: credentials are refused, as the use of their nonce cannot be noted: %s", error)
            return False

    def note(self, nonce: bytes, use: Use) -> bool:
        """Notes a use; False where it is a replay. ResourceError when there is no slot or memory."""
        table = self.table
        hash = table.hash(nonce)
        table.stripes.acquire(hash)
        try:
            if use.expires <= self.floor[0]:
                return False
            slot = table.find(nonce, hash)
            if not slot:
                if use.count:
                    table.insert(nonce, hash, use.pack())
                return use.count > 0
            known = Use.unpack(table.payload(slot))
            if use.count > known.count and use.count < LAST_COUNT:
                table.replace(slot, use.pack())
                return True
            return known.request == use.request and use.used_at - known.used_at < self.window
        finally:
            table.stripes.release(hash)

    def forget(self, limit: int) -> None:
        """Drops the nonces that expire before `limit` or at it."""
        for slot in self.table.slots():
            self.drop(slot, limit)

    def make_room(self) -> None:
        """Forgets those that expire first, at least one in eight, and refuses from now on what is as old."""
        expiries = sorted(use.expires for slot in self.table.slots() if (use := self.read(slot)) is not None)
        if expiries:
            limit = expiries[len(expiries) // FORGOTTEN_SHARE]
            self.floor[0] = max(self.floor[0], limit)
            log.warning("auth: the table of nonces is full; those that expire up to %d are too old already", limit)
            self.forget(limit)

    def read(self, slot: int) -> Use | None:
        """The use noted in a slot; None when it has gone meanwhile."""
        table = self.table
        hash = table.hash_of(slot)
        table.stripes.acquire(hash)
        try:
            is_same = table.hash_of(slot) == hash and table.is_live(slot, table.generation(slot))
            return Use.unpack(table.payload(slot)) if is_same else None
        finally:
            table.stripes.release(hash)

    def drop(self, slot: int, limit: int) -> None:
        """Removes what is in a slot, where it expires at `limit` or before."""
        table = self.table
        hash = table.hash_of(slot)
        table.stripes.acquire(hash)
        try:
            is_same = table.hash_of(slot) == hash and table.is_live(slot, table.generation(slot))
            if is_same and Use.unpack(table.payload(slot)).expires <= limit:
                table.remove(slot)
        finally:
            table.stripes.release(hash)


def request_mark(msg: "SipMsg", presented: "Presented") -> int:
    """What a request has in common with its retransmissions and with nothing else, in 64 bits."""
    parts = (
        msg.top_via().branch or b"",
        msg.call_id,
        b"%d" % msg.cseq.number,
        presented.credentials.response or b"",
        f"{msg.source_host}:{msg.source_port}".encode(),
    )
    return int.from_bytes(blake2b(b"\0".join(parts), digest_size=8).digest(), "little")
