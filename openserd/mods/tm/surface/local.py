"""Requests made here: the server as a user agent client (OpenSER: uac.c).

Such a request is a transaction without a caller: one branch, whose final reply is told to a watcher, in whichever
process that reply comes in.

    METHOD ruri SIP/2.0
    Via, To, From, CSeq, Call-ID, Content-Length, User-Agent, further headers as given
"""

import os
import secrets
import zlib
from dataclasses import dataclass
from hashlib import md5
from typing import Final

from openserd.core.context import SERVER_NAME
from openserd.core.forward import NextHop, next_hop
from openserd.core.message import SipMsg
from openserd.core.network.transport import Listener
from openserd.mods.tm.machines.wire import build_dialog_ack
from openserd.mods.tm.memory.hand import InHand
from openserd.mods.tm.memory.keys import make_branch
from openserd.mods.tm.memory.record import LOCAL, BranchRecord
from openserd.mods.tm.memory.store import Transaction
from openserd.mods.tm.memory.travel import Armed
from openserd.mods.tm.requests.arrival import Requests
from openserd.mods.tm.requests.failover import Attempt, pack_attempts
from openserd.mods.tm.requests.forwarding import Forwarding

DEFAULT_CSEQ: Final = 10
PLACEHOLDER: Final = b"z9hG4bKlocal"


@dataclass
class LocalRequest:
    """What is to be sent. `from_` and `to` are whole values of these header fields, `headers` whole lines with CRLF.

    `next_hop` is a URI where the request goes elsewhere than its request URI says; a tag is added to `from_` where it
    has none; Call-ID and CSeq are made here where they are not given.
    """

    method: bytes
    ruri: bytes
    from_: bytes
    to: bytes
    headers: bytes = b""
    body: bytes = b""
    next_hop: bytes = b""
    call_id: bytes = b""
    cseq: int = DEFAULT_CSEQ
    listener: Listener | None = None


class LocalRequests:
    """Sends them."""

    def __init__(self, requests: Requests, forwarding: Forwarding) -> None:
        self.requests = requests
        self.forwarding = forwarding
        self.core = requests.core
        self.store = requests.store
        self.start = secrets.token_hex(8)
        self.count = secrets.randbits(28)
        agent = self.core.params.user_agent_header or f"User-Agent: {SERVER_NAME}"
        self.user_agent = agent.encode() + b"\r\n" if self.core.params.server_signature else b""

    def new_call_id(self, hop: NextHop) -> bytes:
        """A Call-ID that no other request has: counter, pid, address (OpenSER: callid.c)."""
        self.count += 1
        return b"%x-%d@%b" % (self.count, os.getpid(), hop.listener.host.encode())

    def new_tag(self, call_id: bytes) -> bytes:
        """The From tag of a request: what is this start's own, and what is the Call-ID's."""
        base = md5(self.start.encode(), usedforsecurity=False).hexdigest().encode()
        return b"%b-%04x" % (base, zlib.crc32(call_id) & 0xFFFF)

    def send(self, request: LocalRequest, watcher: str = "", data: bytes = b"") -> InHand:
        """Sends a request; its final reply is told to `watcher`, with `data`.

        Raises SipError where it cannot be sent to, ResourceError where memory is exhausted.
        """
        hop = next_hop(self.core, request.next_hop or request.ruri, request.listener, request.listener)
        text = self.build(request, hop)
        msg = SipMsg(text, hop.listener.address, hop.listener)
        if watcher:
            msg.extension = Armed()
            msg.extension.watchers.append((watcher.encode(), data))

        def prepare(t: Transaction, now: int) -> None:
            t.server.flags |= LOCAL
            self.add_branch(t, text, request, hop, now)

        made = self.requests.insert(msg, b"local|%b" % secrets.token_bytes(12), prepare)
        assert isinstance(made, Transaction), "a request made here is known already"
        self.forwarding.send_first(made, 0)
        return InHand(made.slot, made.generation, made.hash, 1)

    def build(self, request: LocalRequest, hop: NextHop) -> bytes:
        """The request; the branch in its Via is still to be written."""
        call_id = request.call_id or self.new_call_id(hop)
        from_ = request.from_
        if b";tag=" not in from_.rpartition(b">")[2].replace(b" ", b"").lower():
            from_ += b";tag=" + self.new_tag(call_id)
        via = b"Via: SIP/2.0/%b %b;branch=%b\r\n" % (hop.listener.via_proto, hop.listener.sent_by, PLACEHOLDER)
        parts = [
            b"%b %b SIP/2.0\r\n" % (request.method, request.ruri),
            via,
            b"To: %b\r\nFrom: %b\r\n" % (request.to, from_),
            b"CSeq: %d %b\r\nCall-ID: %b\r\n" % (request.cseq, request.method, call_id),
            b"Content-Length: %d\r\n" % len(request.body),
            self.user_agent,
            request.headers,
            b"\r\n",
            request.body,
        ]
        return b"".join(parts)

    def add_branch(self, t: Transaction, text: bytes, request: LocalRequest, hop: NextHop, now: int) -> None:
        """Makes the client transaction."""
        branch = make_branch(t.slot, self.store.label(t.generation), 0)
        sent = text.replace(PLACEHOLDER, branch, 1)
        host, port = hop.address
        record = BranchRecord(
            state=0,
            flags=0,
            listener=hop.listener.index,
            port=port,
            status=0,
            branch_flags=0,
            retransmit_at=0,
            interval=0,
            timeout_at=0,
            cancel_at=0,
            cancel_interval=0,
            sent=self.store.blobs.put(sent),
            cancel=0,
            reply=0,
            ack=0,
            others=self.put_others(hop),
            host=host.encode(),
            uri=request.ruri,
        )
        t.branches.append(record)
        self.requests.driver.start_client(t, record, now)
        t.outgoing.append((record.listener, hop.address, sent))
        self.requests.stats.uac_transactions.bump()

    def put_others(self, hop: NextHop) -> int:
        """A blob with the further addresses of a request, those that are reached by the same listener; 0 for none."""
        others = [other for other in hop.others if other.listener is hop.listener]
        attempts = [Attempt(other.listener.index, other.address, b"") for other in others]
        return self.store.blobs.put(pack_attempts(attempts)) if attempts else 0

    # -- afterwards -----------------------------------------------------------------------------------------

    def acknowledge(self, request: SipMsg, reply: SipMsg) -> None:
        """ACKs a 2xx to an INVITE made here, each time it comes (RFC 3261 13.2.2.4). Raises SipError."""
        ack, target = build_dialog_ack(request, reply)
        hop = next_hop(self.core, target, reply.listener, reply.listener)
        via = b"Via: SIP/2.0/%b %b;branch=z9hG4bK%b\r\n" % (
            hop.listener.via_proto,
            hop.listener.sent_by,
            md5(request.call_id + reply.buf, usedforsecurity=False).hexdigest().encode(),
        )
        line, _, rest = ack.partition(b"\r\n")
        hop.listener.send(b"%b\r\n%b%b" % (line, via, rest), hop.address)

    def cancel(self, call_id: bytes, cseq: int) -> bool:
        """Cancels every branch of the transactions with that Call-ID and CSeq number; False where there is none."""
        table = self.store.table
        found = False
        for slot in table.slots():
            place = InHand(slot, table.generation(slot), table.hash_of(slot))
            t = self.requests.look(place)
            if t is None or t.server.status >= 200 or not t.is_invite:
                continue
            msg = self.store.request(t)
            if msg.call_id == call_id and msg.cseq.number == cseq:
                found = True
                self.requests.change(place, lambda t, now: self.requests.proxy.cancel(t, now, b""))
        return found
