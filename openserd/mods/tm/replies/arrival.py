"""Replies: matched to their branch by what this server wrote into its Via, then given to the proxy core.

Where an onreply_route is armed it runs first, without a lock: the retransmission of the request has been stopped then
and a negative reply to INVITE acknowledged, but nothing is decided (OpenSER: reply_received()).
"""

from typing import TYPE_CHECKING

from openserd.core import routes
from openserd.core.avp import AvpList
from openserd.core.message import SipMsg
from openserd.core.module import ONREPLY
from openserd.mods.tm.machines import fsm
from openserd.mods.tm.machines.aftermath import Aftermath
from openserd.mods.tm.memory.hand import InHand
from openserd.mods.tm.memory.keys import OwnBranch, own_branch
from openserd.mods.tm.memory.store import Transaction, TransactionStore
from openserd.mods.tm.replies.proxy import Proxy
from openserd.mods.tm.surface.hooks import REPLY_IN
from openserd.mods.tm.surface.statistics import TmStats

if TYPE_CHECKING:
    from openserd.core.context import Core


class Replies:
    """What transactions do with replies."""

    def __init__(
        self, core: "Core", store: TransactionStore, proxy: Proxy, stats: TmStats, aftermath: Aftermath
    ) -> None:
        self.core = core
        self.store = store
        self.proxy = proxy
        self.stats = stats
        self.aftermath = aftermath
        self.transaction_avps = False  #: an onreply_route sees the AVPs of the transaction
        self.forward_stray = False  #: replies to transactions that have gone are forwarded without state

    def receive(self, msg: SipMsg) -> bool:
        """Takes a reply to a request that was sent in a transaction; False for any other."""
        own = own_branch(msg.top_branch())
        if own is None:
            return False
        t = self.step(own, msg, False)
        if t is None:
            return self.is_stray(own, msg)
        self.stats.received_replies.bump()
        if t.server.owner != self.core.process:
            self.stats.other_process_replies.bump()
        self.aftermath.perform(t)
        if t.script is not None and self.is_watched(t) and not (t.is_invite and msg.cseq.method == b"CANCEL"):
            self.route(own, t, msg)
        return True

    def is_stray(self, own: OwnBranch, msg: SipMsg) -> bool:
        """A reply to a request of a transaction that has gone: it goes no further (RFC 6026 7.3, RFC 4320 4.2)."""
        if self.forward_stray:
            return False
        self.core.stats.drop_replies.bump()
        return True

    def step(self, own: OwnBranch, msg: SipMsg, is_seen: bool) -> Transaction | None:
        """The transaction after the reply, or before it where its script wants to see it first and has not yet; None
        where there is none for it."""
        store = self.store
        clock = store.now
        slot, label, number = own
        hash_ = store.table.hash_of(slot)
        method = msg.cseq.method
        store.stripes.acquire(hash_)
        try:
            t = store.reload(slot, store.label(label), hash_)
            if t is None or number >= len(t.branches):
                return None
            now = clock()
            branch = t.branches[number]
            if method == b"CANCEL" and t.is_invite:
                branch.cancel_at = 0
            elif (method == b"INVITE") is not t.is_invite:
                return None
            elif t.script is not None and not is_seen and self.is_watched(t):
                self.prepare(t, number, msg, now)
            else:
                self.proxy.reply(t, branch, msg, now, not is_seen)
            store.save(t, now)
        finally:
            store.stripes.release(hash_)
        return t

    # -- onreply routes -------------------------------------------------------------------------------------

    @staticmethod
    def is_watched(t: Transaction) -> bool:
        """Whether anybody wants to see replies before they count."""
        return t.script is not None and bool(t.script.on_reply or t.script.watchers)

    def prepare(self, t: Transaction, number: int, msg: SipMsg, now: int) -> None:
        """What cannot wait for the route: the request is not repeated, a negative reply is acknowledged."""
        branch = t.branches[number]
        branch.retransmit_at = 0
        if msg.status >= 300 and t.is_invite and branch.state != fsm.ACCEPTED and branch.sent:
            self.proxy.acknowledge(t, branch, msg)
        self.proxy.note(t, REPLY_IN, msg, msg.status, b"", branch.uri)

    def route(self, own: OwnBranch, t: Transaction, msg: SipMsg) -> None:
        """Runs the onreply_route over a reply, then has it count; a provisional one can be dropped there."""
        assert t.script is not None, "a watched transaction without a script"
        msg.extension = InHand(t.slot, t.generation, t.hash, len(t.branches))
        block = self.core.routes.onreply.get(t.script.on_reply.decode())
        if block is not None:
            self.lend(t, own[2], msg)
            routes.run(block, msg, ONREPLY)
            dropped = msg.dropped and msg.status < 200
            self.take_back(own[2], msg)
            if dropped:
                self.core.stats.drop_replies.bump()
                return
        after = self.step(own, msg, True)
        if after is not None:
            self.aftermath.perform(after)

    def lend(self, t: Transaction, number: int, msg: SipMsg) -> None:
        """The reply takes over the flags of its transaction and branch, and its AVPs where a parameter says so."""
        msg.flags = t.server.msg_flags
        msg.branch_flags = t.branches[number].branch_flags
        if self.transaction_avps and t.script is not None:
            msg.avps = AvpList.unpack(t.script.avps)

    def take_back(self, number: int, msg: SipMsg) -> None:
        """What the route has changed of these is the transaction's again."""
        place = msg.extension
        assert isinstance(place, InHand), "a reply whose transaction is not in hand"
        store = self.store
        store.stripes.acquire(place.hash)
        try:
            t = store.reload(place.slot, place.generation, place.hash)
            if t is None:
                return
            t.server.msg_flags = msg.flags
            t.branches[number].branch_flags = msg.branch_flags
            if self.transaction_avps and t.script is not None:
                t.script.avps = msg.avps.pack()
                store.keep_script(t)
            store.save(t, store.now())
        finally:
            store.stripes.release(place.hash)
