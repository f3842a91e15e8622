"""Replies: matched to their branch by what this server wrote into its Via, then given to the proxy core."""

from typing import TYPE_CHECKING

from openserd.core.message import SipMsg
from openserd.mods.tm.keys import OwnBranch, own_branch
from openserd.mods.tm.proxy import Proxy
from openserd.mods.tm.statistics import TmStats
from openserd.mods.tm.store import Transaction, TransactionStore

if TYPE_CHECKING:
    from openserd.core.context import Core


class Replies:
    """What transactions do with replies."""

    def __init__(self, core: "Core", store: TransactionStore, proxy: Proxy, stats: TmStats) -> None:
        self.core = core
        self.store = store
        self.proxy = proxy
        self.stats = stats

    def receive(self, msg: SipMsg) -> bool:
        """Takes a reply to a request of a live transaction; False for any other."""
        own = own_branch(msg.via1.branch)
        if own is None:
            return False
        t = self.step(own, msg)
        if t is None:
            return False
        self.stats.received_replies.bump()
        if t.server.owner != self.core.process:
            self.stats.other_process_replies.bump()
        self.store.send(t.outgoing)
        return True

    def step(self, own: OwnBranch, msg: SipMsg) -> Transaction | None:
        """The transaction after the reply; None where there is none for it."""
        store = self.store
        hash_ = store.table.hash_of(own.slot)
        method = msg.cseq.method
        store.lock(hash_)
        try:
            if not store.is_live(own.slot, own.label):
                return None
            t = store.load(own.slot, hash_)
            if own.number >= len(t.branches):
                return None
            now = self.store.now()
            branch = t.branches[own.number]
            if method == b"CANCEL":
                branch.cancel_at = 0
            else:
                self.proxy.reply(t, branch, msg, now)
            store.save(t, now)
        finally:
            store.unlock(hash_)
        return t
