"""Requests: new transactions, retransmissions, forwarding, CANCEL and ACK (RFC 3261 sections 16.6, 16.10, 17.2)."""

from typing import TYPE_CHECKING, Final

from openserd.core.destinations import Branch, ruri_branch
from openserd.core.error_reply import error_reply
from openserd.core.forward import NextHop, branch_hop, build_request, forward, hop_to
from openserd.core.message import SipMsg
from openserd.core.reply import build_reply, reply_destination
from openserd.core.transport import Address
from openserd.errors import ResourceError, SipError
from openserd.mods.tm import fsm
from openserd.mods.tm.keys import make_branch, request_digest, request_key
from openserd.mods.tm.machine import Driver, tick
from openserd.mods.tm.proxy import Proxy
from openserd.mods.tm.record import CANCELLED, LOCAL_STATUS, RPORT_FORCED, BranchRecord, ServerRecord
from openserd.mods.tm.statistics import TmStats
from openserd.mods.tm.store import Transaction, TransactionStore
from openserd.parser import names

if TYPE_CHECKING:
    from openserd.core.context import Core

NO_100: Final = 1
NO_ERROR_REPLY: Final = 2

Hop = tuple[Branch, NextHop]


class InHand:
    """The transaction that belongs to the request being processed: its slot and generation."""

    __slots__ = ("generation", "hash", "slot")

    def __init__(self, slot: int, generation: int, hash_: int) -> None:
        self.slot = slot
        self.generation = generation
        self.hash = hash_


class Requests:
    """What transactions do with requests. Times are read here, sends happen here, both outside the locks."""

    def __init__(self, core: "Core", store: TransactionStore, driver: Driver, proxy: Proxy, stats: TmStats) -> None:
        self.core = core
        self.store = store
        self.driver = driver
        self.proxy = proxy
        self.stats = stats
        self.ruri_matching = True
        self.via1_matching = True
        self.syn_branch = True

    # -- finding --------------------------------------------------------------------------------------------

    def key(self, msg: SipMsg, method: bytes) -> bytes:
        """The key of the transaction of `method` that `msg` belongs to."""
        return request_key(msg, method, self.ruri_matching, self.via1_matching)

    def find(self, msg: SipMsg, method: bytes) -> InHand | None:
        """The transaction of `method` that `msg` belongs to."""
        key = self.key(msg, method)
        table = self.store.table
        hash_ = table.hash(key)
        table.lock(hash_)
        try:
            slot = table.find(key, hash_)
            return InHand(slot, table.generation(slot), hash_) if slot else None
        finally:
            table.unlock(hash_)

    def absorb(self, msg: SipMsg, found: InHand) -> None:
        """A request that has come again: its last reply is sent again; an ACK ends the retransmission of the reply."""
        event = fsm.ACK if msg.method == b"ACK" else fsm.REQUEST
        self.change(found, lambda t, now: self.driver.server_step(t, event, now))

    def change(self, found: InHand, step: "Step") -> Transaction | None:
        """Runs `step` over a transaction under its lock, then sends what it asks for; None where it has gone."""
        store = self.store
        store.lock(found.hash)
        try:
            t = store.reload(found.slot, found.generation, found.hash)
            if t is None:
                return None
            now = self.store.now()
            step(t, now)
            store.save(t, now)
        finally:
            store.unlock(found.hash)
        if t.server.owner != self.core.process:
            self.stats.other_process_requests.bump()
        store.send(t.outgoing)
        return t

    # -- making ---------------------------------------------------------------------------------------------

    def new_server(self, msg: SipMsg, now: int) -> ServerRecord:
        """The server transaction for `msg`, with nothing answered and nothing sent."""
        host, port = reply_destination(msg, self.core)
        invite = msg.method == b"INVITE"
        return ServerRecord(
            state=fsm.PROCEEDING if invite else fsm.TRYING,
            kind=int(invite),
            flags=RPORT_FORCED if msg.rport_forced else 0,
            status=0,
            listener=msg.listener.index,
            owner=self.core.process,
            first_branch=0,
            source_port=msg.source_port,
            reply_port=port,
            msg_flags=msg.flags,
            retransmit_at=0,
            interval=0,
            timeout_at=0,
            wait_at=0,
            request=self.store.blobs.put(msg.buf),
            reply=0,
            avps=0,
            source_host=msg.source_host.encode(),
            reply_host=host.encode(),
            to_tag=b"",
            on_failure=b"",
            on_reply=b"",
            on_branch=b"",
        )

    def create(self, msg: SipMsg, prepare: "Step") -> Transaction | None:
        """A new transaction for `msg`, completed by `prepare` before anybody can see it, and what that asks to be sent.

        None where the request was already known: it has been absorbed. Raises ResourceError when memory is exhausted.
        """
        store, table = self.store, self.store.table
        key = self.key(msg, msg.method)
        hash_ = table.hash(key)
        slot = table.reserve()
        now = self.store.now()
        t = Transaction(slot, table.generation(slot), hash_, self.new_server(msg, now), [])
        try:
            prepare(t, now)
            table.lock(hash_)
            try:
                known = table.find(key, hash_)
                if known:
                    found = InHand(known, table.generation(known), hash_)
                else:
                    table.insert(key, hash_, t.pack(), slot)
                    store.deadlines.arm(slot, t.next_due(now) or tick(now, self.driver.timing.fr))
            finally:
                table.unlock(hash_)
        except (ResourceError, SipError):
            self.give_up(t)
            raise
        store.free(t)
        if known:
            self.give_up(t)
            self.absorb(msg, found)
            return None
        msg.extension = InHand(slot, t.generation, hash_)
        self.stats.uas_transactions.bump()
        return t

    def give_up(self, t: Transaction) -> None:
        """Gives back what a transaction that nobody has seen had put aside."""
        self.store.free_all(t)
        self.store.table.give_back(t.slot)

    # -- forwarding -----------------------------------------------------------------------------------------

    def hops(self, msg: SipMsg, destination: tuple[str, Address] | None) -> list[Hop]:
        """Next hops of the whole destination set; those that cannot be reached are left out.

        Raises the SipError of the last one when none can.
        """
        found: list[Hop] = []
        failure: SipError | None = None
        for branch in [ruri_branch(msg), *msg.branches]:
            try:
                hop = (
                    branch_hop(self.core, branch, msg)
                    if destination is None
                    else hop_to(self.core, *destination, branch.listener, msg.listener, msg)
                )
            except SipError as error:
                failure = error
            else:
                found.append((branch, hop))
        if not found:
            raise failure or SipError("no destination", 0, 500)
        return found

    def add_branches(self, t: Transaction, msg: SipMsg, hops: list[Hop], now: int) -> None:
        """Makes the client transactions of one round of forwarding; their requests go to `t.outgoing`."""
        t.server.first_branch = len(t.branches)
        label = self.store.label(t.generation)
        digest = b"" if self.syn_branch else request_digest(msg)
        for branch, hop in hops:
            via_branch = make_branch(t.slot, label, len(t.branches), digest)
            data = build_request(msg, branch, via_branch, hop.listener)
            host, port = hop.address
            record = BranchRecord(
                state=0,
                flags=0,
                listener=hop.listener.index,
                port=port,
                status=0,
                branch_flags=branch.flags,
                retransmit_at=0,
                interval=0,
                timeout_at=0,
                cancel_at=0,
                cancel_interval=0,
                sent=self.store.blobs.put(data),
                cancel=0,
                reply=0,
                ack=0,
                host=host.encode(),
                uri=branch.uri,
            )
            t.branches.append(record)
            self.driver.start_client(t, record, now)
            t.outgoing.append((record.listener, hop.address, data))
        t.server.timeout_at = 0
        self.stats.uac_transactions.bump(len(hops))

    def relay_new(self, msg: SipMsg, hops: list[Hop], no_100: bool) -> bool:
        """Forwards a request in a new transaction; False where it was a retransmission."""

        def prepare(t: Transaction, now: int) -> None:
            if t.is_invite and not no_100:
                self.trying(t, msg, now)
            self.add_branches(t, msg, hops, now)

        t = self.create(msg, prepare)
        if t is None:
            return False
        self.send_first(t)
        return True

    def relay_more(self, msg: SipMsg, found: InHand, hops: list[Hop], no_100: bool) -> bool:
        """Forwards the request of a transaction that exists already; False where it cannot have more branches."""
        accepted = False

        def step(t: Transaction, now: int) -> None:
            nonlocal accepted
            accepted = t.server.status < 200 and not t.server.flags & LOCAL_STATUS
            if not accepted:
                return
            if t.is_invite and not no_100 and t.server.status == 0:
                self.trying(t, msg, now)
            self.add_branches(t, msg, hops, now)

        self.change(found, step)
        return accepted

    def trying(self, t: Transaction, msg: SipMsg, now: int) -> None:
        """Answers 100 (OpenSER: `Giving a try`)."""
        t.server.status = 100
        t.outgoing.append((t.server.listener, t.reply_address, self.build_trying(msg)))

    def build_trying(self, msg: SipMsg) -> bytes:
        """The 100: it is not kept, whoever has to repeat it makes it again."""
        return build_reply(self.core, msg, 100, b"Giving a try")

    def send_first(self, t: Transaction) -> None:
        """Sends what a new transaction holds; a branch that the system refuses to send ends with 477."""
        refused = self.store.send(t.outgoing)
        if not refused:
            return
        first = len(t.outgoing) - len(t.branches)
        failed = [index - first for index in refused if index >= first]

        def step(t: Transaction, now: int) -> None:
            for index in failed:
                branch = t.branches[index]
                self.driver.client_step(t, branch, fsm.TIMER_B, now)
                self.proxy.end_branch(t, branch, 477, now)

        self.change(InHand(t.slot, t.generation, t.hash), step)

    # -- what the script asks for ---------------------------------------------------------------------------

    def relay(self, msg: SipMsg, flags: int, destination: tuple[str, Address] | None) -> int:
        """t_relay: 1 sent, 0 absorbed or answered here, below 0 nothing could be sent and nothing was answered."""
        if msg.method == b"ACK":
            return self.relay_ack(msg, destination)
        if msg.method == b"CANCEL" and self.cancel(msg):
            return 1
        found = msg.extension
        try:
            hops = self.hops(msg, destination)
            if isinstance(found, InHand):
                return 1 if self.relay_more(msg, found, hops, bool(flags & NO_100)) else -1
            return int(self.relay_new(msg, hops, bool(flags & NO_100)))
        except SipError as error:
            return self.refuse(msg, error, flags)

    def refuse(self, msg: SipMsg, error: SipError, flags: int) -> int:
        """Answers a request that could not be forwarded, unless the script wants to (flag 2)."""
        msg.error = error
        if flags & NO_ERROR_REPLY:
            return -abs(error.code)
        code, reason = error_reply(error, b"TM")
        self.reply(msg, code, reason)
        return 0

    def relay_ack(self, msg: SipMsg, destination: tuple[str, Address] | None) -> int:
        """An ACK: absorbed when it is for a negative reply of this server, else passed on without state."""
        found = self.find(msg, b"INVITE")
        if found is not None:
            self.absorb(msg, found)
            return 1
        if destination is None:
            return 1 if forward(self.core, msg) else -1
        return 1 if forward(self.core, msg, destination[1], destination[0]) else -1

    def cancel(self, msg: SipMsg) -> bool:
        """A CANCEL of a known INVITE: its branches are cancelled and the CANCEL answered. False where unknown."""
        found = self.find(msg, b"INVITE")
        if found is None:
            return False
        reason = b"".join(msg.buf[slice(*msg.line_span(i))] for i in msg.indexes(names.REASON))
        cancelled = False

        def step(t: Transaction, now: int) -> None:
            nonlocal cancelled
            if t.server.status < 200:
                self.proxy.cancel(t, now, reason)
            cancelled = bool(t.server.flags & CANCELLED)

        if self.change(found, step) is None:
            return False
        text = b"canceling" if cancelled else b"ok -- no more pending branches"
        tag = self.proxy.totags.tag(msg)
        msg.listener.send(build_reply(self.core, msg, 200, text, tag), reply_destination(msg, self.core))
        return True

    def new_transaction(self, msg: SipMsg) -> int:
        """t_newtran: 1 created, 0 a retransmission that has been absorbed."""
        if isinstance(msg.extension, InHand):
            return -1
        if msg.method == b"ACK":
            found = self.find(msg, b"INVITE")
            if found is not None:
                self.absorb(msg, found)
            return 0 if found is not None else -1
        t = self.create(msg, self.await_reply)
        return 0 if t is None else 1

    def await_reply(self, t: Transaction, now: int) -> None:
        """A transaction without branches is given up when the script never answers it."""
        t.server.timeout_at = tick(now, self.driver.timing.fr)

    def reply(self, msg: SipMsg, code: int, reason: bytes) -> int:
        """t_reply: answers statefully, in a new transaction where there is none yet."""
        if msg.method == b"ACK":
            return -1
        found = msg.extension
        if isinstance(found, InHand):
            done = False

            def step(t: Transaction, now: int) -> None:
                nonlocal done
                done = t.server.status < 200
                if done:
                    self.proxy.local_reply(t, code, reason, now, msg)

            self.change(found, step)
            return 1 if done else -1

        def prepare(t: Transaction, now: int) -> None:
            self.await_reply(t, now)
            self.proxy.local_reply(t, code, reason, now, msg)

        t = self.create(msg, prepare)
        if t is None:
            return 0
        self.store.send(t.outgoing)
        return 1

    def release(self, msg: SipMsg) -> int:
        """t_release: the transaction goes after the wait timer, whatever it still waits for."""
        found = msg.extension
        if not isinstance(found, InHand):
            return -1

        def step(t: Transaction, now: int) -> None:
            t.server.timeout_at = 0
            if not t.server.wait_at:
                t.server.wait_at = tick(now, self.driver.timing.wait)

        return 1 if self.change(found, step) is not None else -1

    def check(self, msg: SipMsg) -> int:
        """t_check_trans: 1 the request (an INVITE for its CANCEL or negative ACK) has a transaction, 0 it was a
        retransmission and has been absorbed, -1 it has none."""
        if msg.method in (b"CANCEL", b"ACK"):
            found = self.find(msg, b"INVITE")
            if found is not None and msg.method == b"ACK":
                self.absorb(msg, found)
            return 1 if found is not None else -1
        if isinstance(msg.extension, InHand):
            return 1
        found = self.find(msg, msg.method)
        if found is None:
            return -1
        self.absorb(msg, found)
        return 0

    def retransmit_reply(self, msg: SipMsg) -> int:
        """t_retransmit_reply: sends the last reply of the request's transaction again."""
        found = msg.extension if isinstance(msg.extension, InHand) else self.find(msg, msg.method)
        if found is None:
            return -1
        sent = self.change(found, lambda t, now: self.driver.server_action(t, fsm.RESEND_REPLY, now))
        return 1 if sent is not None and sent.outgoing else -1


if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[Transaction, int], None]
