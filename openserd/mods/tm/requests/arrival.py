"""Requests: new transactions, retransmissions, CANCEL and ACK, replies made here (RFC 3261 sections 16.10, 17.2)."""

import os
from typing import TYPE_CHECKING, Final

from openserd.core.avp import AvpList
from openserd.core.message import SipMsg
from openserd.core.reply import build_reply, reply_destination
from openserd.errors import ResourceError, SipError
from openserd.mods.tm.machines import fsm
from openserd.mods.tm.machines.aftermath import Aftermath
from openserd.mods.tm.machines.machine import Driver, tick
from openserd.mods.tm.memory.hand import FailureRun, InHand, in_hand
from openserd.mods.tm.memory.index import identity
from openserd.mods.tm.memory.keys import own_branch, request_key
from openserd.mods.tm.memory.record import CANCELLED, FAILING, INDEXED, INVITE, RPORT_FORCED, ScriptRecord, ServerRecord
from openserd.mods.tm.memory.store import Transaction, TransactionStore
from openserd.mods.tm.memory.travel import Armed, capture
from openserd.mods.tm.replies.proxy import Proxy
from openserd.mods.tm.surface.hooks import REPLY_OUT, Event
from openserd.mods.tm.surface.statistics import TmStats
from openserd.parser import names
from openserd.shm.table import key_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    from openserd.core.context import Core
    from openserd.script.variables.named import AvpName

    Step = Callable[[Transaction, int], None]

MERGED: Final = 482


class Requests:
    """What transactions do with requests. Times are read here, sends happen here, both outside the locks."""

    def __init__(
        self,
        core: "Core",
        store: TransactionStore,
        driver: Driver,
        proxy: Proxy,
        stats: TmStats,
        aftermath: Aftermath,
    ) -> None:
        self.core = core
        self.store = store
        self.driver = driver
        self.proxy = proxy
        self.stats = stats
        self.aftermath = aftermath
        aftermath.unsendable = self.unsendable
        self.told = aftermath.watchers.request_in
        self.ruri_matching = True
        self.via1_matching = True
        self.fr_avp: AvpName | None = None  #: AVP with fr_timer for one transaction, in seconds
        self.fr_inv_avp: AvpName | None = None
        self.timer_avps = False  #: whether either is set
        self.refuses_merged = False  #: a request that comes by two ways is answered 482 the second time
        self.is_curious = False  #: whether either of the two is so

    # -- finding --------------------------------------------------------------------------------------------

    def key(self, msg: SipMsg, method: bytes) -> bytes:
        """The key of the transaction of `method` that `msg` belongs to."""
        return request_key(msg, method, self.ruri_matching, self.via1_matching)

    def find(self, msg: SipMsg, method: bytes) -> InHand | None:
        """The transaction of `method` that `msg` belongs to."""
        key = request_key(msg, method, self.ruri_matching, self.via1_matching)
        table = self.store.table
        hash_ = key_hash(key)
        table.stripes.acquire(hash_)
        try:
            slot = table.find(key, hash_)
            return InHand(slot, table.generation(slot), hash_) if slot else None
        finally:
            table.stripes.release(hash_)

    def absorb(self, msg: SipMsg, found: InHand) -> None:
        """A request that has come again: its last reply is sent again."""
        self.change(found, lambda t, now: self.driver.server_step(t, fsm.REQUEST, now))

    def absorb_ack(self, msg: SipMsg) -> bool:
        """An ACK to a negative reply of this server: it ends the retransmission of the reply. False for any other, one
        to a 2xx that repeats the branch of its INVITE among them."""
        found = self.find(msg, b"INVITE")
        if found is None:
            return False
        is_ours = False

        def step(t: Transaction, now: int) -> None:
            nonlocal is_ours
            is_ours = not 200 <= t.server.status < 300
            if is_ours:
                self.driver.server_step(t, fsm.ACK, now)

        self.change(found, step)
        return is_ours

    def change(self, found: InHand, step: "Step") -> Transaction | None:
        """Runs `step` over a transaction under its lock, then does what it asks for; None where it has gone."""
        t = self.edit(found, step)
        if t is not None:
            self.aftermath.perform(t)
        return t

    def unsendable(self, t: Transaction, numbers: list[int]) -> None:
        """Ends the branches of a transaction on which the system refused to send."""
        place = InHand(t.slot, t.generation, t.hash)
        self.change(place, lambda t, now: self.proxy.unsendable(t, numbers, now))

    def edit(self, found: InHand, step: "Step") -> Transaction | None:
        """Runs `step` over a transaction under its lock; what it asks for is left to the caller."""
        store = self.store
        store.stripes.acquire(found.hash)
        try:
            t = store.reload(found.slot, found.generation, found.hash)
            if t is None:
                return None
            now = self.store.now()
            step(t, now)
            store.save(t, now)
        finally:
            store.stripes.release(found.hash)
        if t.server.owner != self.core.process:
            self.stats.other_process_requests.bump()
        return t

    def current(self, msg: SipMsg) -> InHand | None:
        """The transaction of a message, looked for where it is not known yet: by key, of a reply by its branch, of an
        ACK or CANCEL that of its INVITE."""
        found = in_hand(msg)
        if found is not None:
            return found
        if msg.is_request:
            return self.find(msg, b"INVITE" if msg.method in (b"ACK", b"CANCEL") else msg.method)
        own = own_branch(msg.top_branch())
        if own is None or not self.store.is_live(own[0], own[1]):
            return None
        table = self.store.table
        return InHand(own[0], table.generation(own[0]), table.hash_of(own[0]))

    def look(self, found: InHand) -> Transaction | None:
        """A copy of a transaction, to look at only; None where it has gone."""
        store = self.store
        store.stripes.acquire(found.hash)
        try:
            return store.reload(found.slot, found.generation, found.hash)
        finally:
            store.stripes.release(found.hash)

    # -- what the script arms -------------------------------------------------------------------------------

    def armed_by(self, msg: SipMsg) -> Armed | None:
        """Where what the script arms is noted while there is no record to write it to; None where there is one."""
        if msg.extension is None:
            msg.extension = Armed()
        if isinstance(msg.extension, Armed):
            return msg.extension
        return msg.extension.armed if isinstance(msg.extension, FailureRun) else None

    def arm(self, msg: SipMsg, route: str, name: bytes) -> None:
        """Arms a route block: `route` is on_failure, on_reply or on_branch, the empty name disarms."""
        if not msg.is_request and msg.extension is None:
            msg.extension = self.current(msg)
        armed = self.armed_by(msg)
        if armed is not None:
            setattr(armed, route, name)
        if isinstance(msg.extension, InHand) and (armed is None or getattr(msg.extension, "relayed", False)):
            self.change_script(msg, msg.extension, lambda script: setattr(script, route, name))

    def change_script(self, msg: SipMsg, found: InHand, edit: "Callable[[ScriptRecord], None]") -> None:
        """Changes what the script has left with a transaction, which comes to be if it is not there."""

        def step(t: Transaction, now: int) -> None:
            if t.script is None:
                t.script = self.capture(msg, Armed()) if msg.is_request else capture(self.store.request(t), Armed(), [])
            edit(t.script)
            self.store.keep_script(t)

        self.change(found, step)

    @staticmethod
    def may_act(t: Transaction, found: InHand) -> bool:
        """Whether whoever holds `found` still has a say: a failure route that took so long that another process has
        been given it has none."""
        if not isinstance(found, FailureRun):
            return True
        return bool(t.server.flags & FAILING) and t.script is not None and t.script.claimant == os.getpid()

    def take_over(self, t: Transaction, msg: SipMsg, run: FailureRun) -> None:
        """A failure route has made a branch: what it has armed, its AVPs and flags are the transaction's now.

        Its edits are not: they are for its own branches.
        """
        run.relayed = True
        t.server.msg_flags = msg.flags
        script, armed = t.script, run.armed
        assert script is not None, "a failure route without a script"
        script.claims = 0
        script.on_failure, script.on_reply, script.on_branch = armed.on_failure, armed.on_reply, armed.on_branch
        script.avps = msg.avps.pack()
        self.store.keep_script(t)

    def capture(self, msg: SipMsg, armed: Armed) -> ScriptRecord:
        """What goes on with the transaction of `msg`, timers from AVPs among it."""
        script = capture(msg, armed, self.core.listeners)
        self.set_timers(script, msg.avps)
        return script

    def flush_flags(self, msg: SipMsg) -> bool:
        """Gives the transaction the flags that the message has now; False where there is none."""
        found = self.current(msg)

        def step(t: Transaction, now: int) -> None:
            t.server.msg_flags = msg.flags

        return found is not None and self.change(found, step) is not None

    def set_timers(self, script: ScriptRecord, avps: AvpList) -> None:
        """Takes the timers of one transaction from AVPs where parameters name some."""
        script.fr = seconds_of(avps, self.fr_avp) * 1000
        script.fr_inv = seconds_of(avps, self.fr_inv_avp) * 1000

    def needs_script(self, msg: SipMsg) -> Armed | None:
        """What the script has armed, where it has armed anything, somebody watches or an AVP sets a timer."""
        if isinstance(msg.extension, Armed):
            return msg.extension
        if not self.timer_avps:
            return None
        named = seconds_of(msg.avps, self.fr_avp) or seconds_of(msg.avps, self.fr_inv_avp)
        return Armed() if named else None

    # -- making ---------------------------------------------------------------------------------------------

    def new_server(self, msg: SipMsg) -> ServerRecord:
        """The server transaction for `msg`, with nothing answered and nothing sent."""
        server = ServerRecord.blank()
        if msg.method == b"INVITE":
            server.kind = INVITE
            server.state = fsm.PROCEEDING
        else:
            server.state = fsm.TRYING
        if msg.rport_forced:
            server.flags = RPORT_FORCED
        host, server.reply_port = reply_destination(msg, self.core)
        server.reply_host = host.encode()
        server.source_host = msg.source_host.encode()
        server.source_port = msg.source_port
        server.listener = msg.listener.index
        server.owner = self.core.process
        server.msg_flags = msg.flags
        server.request = self.store.blobs.put(msg.buf)
        return server

    def create(self, msg: SipMsg, prepare: "Step") -> Transaction | None:
        """A new transaction for `msg`, completed by `prepare` before anybody can see it, and what that asks to be sent.

        None where the request was already known: it has been absorbed. Raises ResourceError when memory is exhausted.
        """
        key = request_key(msg, msg.method, self.ruri_matching, self.via1_matching)
        made = self.insert(msg, key, prepare)
        if isinstance(made, InHand):
            self.absorb(msg, made)
            return None
        msg.extension = InHand(made.slot, made.generation, made.hash, len(made.branches))
        self.stats.uas_transactions.bump()
        return made

    def announce(self, msg: SipMsg) -> None:
        """Tells of a request that is about to get a transaction, if it has none."""
        if in_hand(msg) is None:
            for function in self.told:
                function(msg)

    def insert(self, msg: SipMsg, key: bytes, prepare: "Step") -> Transaction | InHand:
        """A new transaction, or the one that has the key already. Raises ResourceError when memory is exhausted."""
        store, table = self.store, self.store.table
        store.check_room()
        hash_ = key_hash(key)
        slot = table.reserve()
        clock = store.now
        now = clock()
        t = Transaction(slot, table.generation(slot), hash_, self.new_server(msg), [])
        try:
            if msg.extension is not None or self.is_curious:
                self.take_script(t, msg)
            prepare(t, now)
            table.stripes.acquire(hash_)
            try:
                known = table.find(key, hash_)
                if not known:
                    table.insert(key, hash_, t.pack(), slot)
                    store.deadlines.arm(slot, t.next_due() or tick(now, self.driver.timing.fr))
                else:
                    found = InHand(known, table.generation(known), hash_)
            finally:
                table.stripes.release(hash_)
        except (ResourceError, SipError):
            self.give_up(t)
            raise
        if t.garbage:
            store.free(t)
        if known:
            self.give_up(t)
            return found
        return t

    def check_merged(self, t: Transaction, msg: SipMsg) -> None:
        """Raises SipError 482 where the request, which begins a dialog, has already come by another way."""
        index = self.store.index
        known = msg.error is not None and msg.error.code == MERGED
        if msg.to_tag is None and index is not None and not known and not index.add(identity(msg), t):
            raise SipError("Request merged", 0, MERGED)

    def take_script(self, t: Transaction, msg: SipMsg) -> None:
        """Gives a new transaction what the script has left for it. Raises SipError for a merged request."""
        if self.refuses_merged:
            self.check_merged(t, msg)
        armed = self.needs_script(msg)
        if armed is None:
            return
        t.script = self.capture(msg, armed)
        self.store.keep_script(t)
        index = self.store.index
        if armed.watchers and t.is_invite and index is not None and not t.server.flags & INDEXED:
            index.add(identity(msg), t)

    def give_up(self, t: Transaction) -> None:
        """Gives back what a transaction that nobody has seen had put aside."""
        self.store.forget(t.slot, t.server)
        self.store.free_all(t)
        self.store.table.give_back(t.slot)

    # -- what the script asks for ---------------------------------------------------------------------------

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
        reply = build_reply(self.core, msg, 200, text, self.proxy.totags.tag(msg))
        msg.listener.send(reply, reply_destination(msg, self.core))
        self.tell_answered(msg, reply)
        return True

    def cancel_branches(self, msg: SipMsg, which: str) -> bool:
        """t_cancel_branch, for a reply: cancels the branch that it came in for, "o" all others, "a" all; False where
        there is nothing to cancel any more."""
        found, own = in_hand(msg), own_branch(msg.top_branch())
        done = False

        def step(t: Transaction, now: int) -> None:
            nonlocal done
            done = t.is_invite and t.server.status < 200
            for number, branch in enumerate(t.branches if done else ()):
                is_this = own is not None and number == own[2]
                is_meant = which == "a" or is_this is (which == "")
                if is_meant and not (is_this and msg.status >= 200):
                    self.proxy.end_early(t, branch, now)

        return found is not None and self.change(found, step) is not None and done

    def tell_answered(self, msg: SipMsg, reply: bytes) -> None:
        """Tells those who watch a CANCEL that it has been answered; it has no transaction of its own here."""
        if not self.told:
            return
        self.announce(msg)
        watching = msg.extension.watchers if isinstance(msg.extension, Armed) else []
        for name, data in watching:
            self.aftermath.watchers.tell(REPLY_OUT, name, Event(REPLY_OUT, msg, data, 200, None, reply))

    def new_transaction(self, msg: SipMsg) -> int:
        """t_newtran: 1 created, 0 a retransmission that has been absorbed."""
        if in_hand(msg) is not None:
            return -1
        if msg.method == b"ACK":
            return 0 if self.absorb_ack(msg) else -1
        self.announce(msg)
        t = self.create(msg, self.await_reply)
        return 0 if t is None else 1

    def await_reply(self, t: Transaction, now: int) -> None:
        """A transaction without branches is given up when the script never answers it."""
        t.server.timeout_at = tick(now, self.driver.timing.fr)

    def reply(self, msg: SipMsg, code: int, reason: bytes) -> int:
        """t_reply: answers statefully, in a new transaction where there is none yet."""
        if msg.method == b"ACK":
            return -1
        found = in_hand(msg)
        if found is not None:
            return 1 if self.reply_to(found, code, reason, msg) else -1

        self.announce(msg)

        def prepare(t: Transaction, now: int) -> None:
            self.await_reply(t, now)
            self.proxy.local_reply(t, code, reason, now, msg)

        t = self.create(msg, prepare)
        if t is None:
            return 0
        self.aftermath.perform(t)
        return 1

    def reply_to(
        self,
        found: InHand,
        code: int,
        reason: bytes,
        msg: SipMsg | None = None,
        headers: bytes = b"",
        body: bytes = b"",
        to_tag: bytes = b"",
    ) -> bool:
        """Answers a transaction and cancels what is still open; False where it is too late."""
        done = False

        def step(t: Transaction, now: int) -> None:
            nonlocal done
            done = t.server.status < 200 and self.may_act(t, found)
            if not done:
                return
            t.server.to_tag = to_tag or t.server.to_tag
            self.proxy.local_reply(t, code, reason, now, msg, headers, body)
            if code >= 200 and t.is_invite:
                self.proxy.cancel_others(t, None, now)

        self.change(found, step)
        return done

    def release(self, msg: SipMsg) -> int:
        """t_release: the transaction goes after the wait timer, whatever it still waits for."""
        found = in_hand(msg)
        if found is None:
            return -1

        def step(t: Transaction, now: int) -> None:
            t.server.timeout_at = 0
            if not t.server.wait_at:
                t.server.wait_at = tick(now, self.driver.timing.wait)

        return 1 if self.change(found, step) is not None else -1

    def check(self, msg: SipMsg) -> int:
        """t_check_trans: 1 the request (an INVITE for its CANCEL or negative ACK) has a transaction, 0 it was a
        retransmission and has been absorbed, -1 it has none."""
        if msg.method == b"ACK":
            return 1 if self.absorb_ack(msg) else -1
        if msg.method == b"CANCEL":
            return 1 if self.find(msg, b"INVITE") is not None else -1
        if in_hand(msg) is not None:
            return 1
        found = self.find(msg, msg.method)
        if found is None:
            return -1
        self.absorb(msg, found)
        return 0

    def retransmit_reply(self, msg: SipMsg) -> int:
        """t_retransmit_reply: sends the last reply of the request's transaction again."""
        found = in_hand(msg) or self.find(msg, msg.method)
        if found is None:
            return -1
        sent = self.change(found, self.driver.resend_reply)
        return 1 if sent is not None and sent.outgoing else -1


def seconds_of(avps: AvpList, named: "AvpName | None") -> int:
    """The seconds that an AVP holds, 0 where it is not there or holds no number."""
    if named is None:
        return 0
    value = avps.get(*named)
    try:
        return max(0, int(value or 0))
    except ValueError:
        return 0
