"""The proxy core: what one transaction makes of the replies of its branches (RFC 3261 section 16.7).

Provisional replies but 100 go on; the first 2xx goes on at once and cancels the other branches, later ones to INVITE go
on too; negative ones wait until every branch of the latest round has ended, then the numerically lowest is chosen, 487
before all when the caller has cancelled (OpenSER: t_reply.c, t_should_relay_response).

Everything here works on a transaction in hand, under its lock; nothing is sent.
"""

from typing import TYPE_CHECKING

from openserd.core.message import SipMsg
from openserd.core.reply import build_forwarded_reply, build_reply
from openserd.mods.tm import fsm
from openserd.mods.tm.machine import Driver
from openserd.mods.tm.record import (
    CANCEL_SENT,
    CANCEL_WANTED,
    CANCELLED,
    GOT_REPLY,
    LOCAL_REPLY,
    LOCAL_STATUS,
    BranchRecord,
)
from openserd.mods.tm.statistics import TmStats
from openserd.mods.tm.store import Transaction, TransactionStore
from openserd.mods.tm.wire import build_ack, build_cancel
from openserd.parser.status import reason_phrase

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.totag import ToTags


class Proxy:
    """Decides over replies, time-outs and cancellations."""

    def __init__(self, core: "Core", store: TransactionStore, driver: Driver, totags: "ToTags", stats: TmStats) -> None:
        self.core = core
        self.store = store
        self.driver = driver
        self.totags = totags
        self.stats = stats
        self.noisy = True  #: a call that rings for too long is cancelled and answered 408

    # -- events of branches ---------------------------------------------------------------------------------

    def reply(self, t: Transaction, branch: BranchRecord, msg: SipMsg, now: int) -> None:
        """A reply to the request of `branch` has come in."""
        status = msg.status
        branch.flags |= GOT_REPLY
        if status >= 200:
            branch.cancel_at = 0
        actions = self.driver.client_step(t, branch, fsm.reply_event(status), now)
        if fsm.SEND_ACK in actions:
            self.acknowledge(t, branch, msg)
        if fsm.PASS_UP not in actions:
            return
        if status < 200:
            self.provisional(t, branch, msg, now)
        elif status < 300:
            self.success(t, branch, msg, now)
        elif not branch.is_final:
            branch.status = status
            branch.reply = self.store.put(t, branch.reply, build_forwarded_reply(msg))
            self.finish(t, now)

    def timeout(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """A branch has not got its final reply in time: 408, or 487 where it was to be cancelled."""
        if not self.noisy and self.may_vanish(t, branch):
            t.is_over = True
            return
        if t.is_invite and branch.flags & GOT_REPLY and not branch.flags & CANCEL_SENT:
            self.cancel_branch(t, branch, now)
            branch.timeout_at = 0
        self.end_branch(
            t, branch, 487 if branch.flags & (CANCEL_WANTED | CANCEL_SENT) and t.server.flags & CANCELLED else 408, now
        )

    @staticmethod
    def may_vanish(t: Transaction, branch: BranchRecord) -> bool:
        """Whether OpenSER drops a call that rings for too long without a word (noisy_ctimer=0)."""
        return (
            t.is_invite and len(t.branches) == 1 and bool(branch.flags & GOT_REPLY) and not t.server.flags & CANCELLED
        )

    def end_branch(self, t: Transaction, branch: BranchRecord, status: int, now: int) -> None:
        """Gives a branch a final status made here."""
        if not branch.is_final:
            branch.status = status
            branch.flags |= LOCAL_STATUS
        self.finish(t, now)

    def acknowledge(self, t: Transaction, branch: BranchRecord, msg: SipMsg) -> None:
        """ACKs a negative reply to INVITE; the same datagram again when the reply comes again."""
        if not branch.ack:
            branch.ack = self.store.put(t, 0, build_ack(self.store.blobs.get(branch.sent), msg))
        t.outgoing.append((branch.listener, t.branch_address(branch), self.store.blobs.get(branch.ack)))

    def provisional(self, t: Transaction, branch: BranchRecord, msg: SipMsg, now: int) -> None:
        """A 1xx: relayed unless it is 100 or a final reply has gone; lets a wanted CANCEL go."""
        if not branch.is_final:
            branch.status = msg.status
        if branch.flags & CANCEL_WANTED and not branch.flags & CANCEL_SENT:
            self.cancel_branch(t, branch, now)
        if msg.status != 100 and t.server.status < 200:
            self.relay(t, msg.status, build_forwarded_reply(msg), now)

    def success(self, t: Transaction, branch: BranchRecord, msg: SipMsg, now: int) -> None:
        """A 2xx: relayed at once, the other branches cancelled."""
        branch.status = msg.status
        self.relay(t, msg.status, build_forwarded_reply(msg), now)
        if t.is_invite:
            self.cancel_others(t, branch, now)
            branch.sent = self.store.drop(t, branch.sent)

    # -- towards the caller ---------------------------------------------------------------------------------

    def finish(self, t: Transaction, now: int) -> None:
        """Answers the caller once every branch of the latest round has a final status."""
        if t.server.status >= 200:
            return
        branches = t.branches[t.server.first_branch :]
        if not branches or not all(branch.is_final for branch in branches):
            return
        best = self.choose(t, branches)
        if best.reply:
            self.relay(t, best.status, self.store.blobs.get(best.reply), now)
        else:
            self.local_reply(t, best.status, reason_phrase(best.status), now)

    @staticmethod
    def choose(t: Transaction, branches: list[BranchRecord]) -> BranchRecord:
        """The branch whose final reply goes on."""
        if t.server.flags & CANCELLED:
            for branch in branches:
                if branch.status == 487:
                    return branch
        return min(branches, key=lambda branch: branch.status)

    def relay(self, t: Transaction, status: int, data: bytes, now: int) -> None:
        """Passes a reply of a branch to the caller."""
        server = t.server
        if status < 200 or server.status < 200:
            server.status = status
        server.flags &= ~LOCAL_REPLY
        self.driver.server_step(t, fsm.send_event(status), now, data)
        self.stats.relayed_replies.bump()
        self.stats.count_final(status)

    def local_reply(self, t: Transaction, status: int, reason: bytes, now: int, msg: SipMsg | None = None) -> None:
        """Answers the caller with a reply made here; `msg` is the request where it is at hand."""
        server = t.server
        msg = msg or self.store.request(t)
        tag = server.to_tag or self.totags.tag(msg)
        if status >= 180:
            server.to_tag = tag
        server.status = status
        server.flags |= LOCAL_REPLY
        self.driver.server_step(t, fsm.send_event(status), now, build_reply(self.core, msg, status, reason, tag))
        self.stats.local_replies.bump()
        self.stats.count_final(status)

    # -- CANCEL ---------------------------------------------------------------------------------------------

    def cancel(self, t: Transaction, now: int, reason: bytes) -> None:
        """The caller has cancelled: branches of the latest round that ring get a CANCEL, those without any reply end
        with 487 here and get theirs when a provisional reply comes.

        Marks the transaction as cancelled if there was anything to cancel.
        """
        for branch in t.branches[t.server.first_branch :]:
            if branch.is_final or branch.flags & CANCEL_SENT:
                continue
            t.server.flags |= CANCELLED
            if branch.flags & GOT_REPLY:
                self.cancel_branch(t, branch, now, reason)
            else:
                branch.flags |= CANCEL_WANTED | LOCAL_STATUS
                branch.status = 487
        self.finish(t, now)

    def cancel_branch(self, t: Transaction, branch: BranchRecord, now: int, reason: bytes = b"") -> None:
        """Sends CANCEL on a branch that has had a provisional reply."""
        self.driver.send_cancel(t, branch, build_cancel(self.store.blobs.get(branch.sent), reason), now)

    def cancel_others(self, t: Transaction, winner: BranchRecord, now: int) -> None:
        """Cancels every branch but the one that answered; those without a reply once they have one."""
        for branch in t.branches:
            if branch is winner or branch.is_final or branch.flags & CANCEL_SENT:
                continue
            if branch.flags & GOT_REPLY:
                self.cancel_branch(t, branch, now)
            else:
                branch.flags |= CANCEL_WANTED
