"""The proxy core: what one transaction makes of the replies of its branches (RFC 3261 section 16.7).

Provisional replies but 100 go on; the first 2xx goes on at once and cancels the other branches, later ones to INVITE go
on too; negative ones wait until every branch of the latest round has ended, then `choice.py` says which one is the best
(OpenSER: t_reply.c, t_should_relay_response).  A 6xx cancels the other branches and ends the making of new ones.  Where
a failure route is armed the chosen one does not go on yet: the transaction is claimed for whoever holds it, to run the
route once the lock is released (`failure.py`).

Everything here works on a transaction in hand, under its lock; nothing is sent.
"""

from typing import TYPE_CHECKING, Final

from openserd.core.forward import SEND_FAILED as UNSENDABLE
from openserd.core.message import SipMsg
from openserd.core.reply import build_forwarded_reply, build_reply
from openserd.mods.tm.machines import fsm
from openserd.mods.tm.machines.machine import Driver, tick
from openserd.mods.tm.machines.wire import build_ack, build_cancel
from openserd.mods.tm.memory.record import (
    ABANDONED,
    CANCEL_SENT,
    CANCEL_WANTED,
    CANCELLED,
    DECLINED,
    FAILING,
    GOT_REPLY,
    LOCAL,
    LOCAL_REPLY,
    LOCAL_STATUS,
    SUPERSEDED,
    BranchRecord,
)
from openserd.mods.tm.memory.store import Transaction, TransactionStore
from openserd.mods.tm.replies.choice import CHALLENGES, UNAVAILABLE, Preference, with_challenges
from openserd.mods.tm.replies.claimant import Claimant, lives
from openserd.mods.tm.requests.failover import Failover
from openserd.mods.tm.surface.hooks import ACK_DUE, ANSWERED, COMPLETED, REPLY_OUT
from openserd.mods.tm.surface.statistics import TmStats
from openserd.parser.status import reason_phrase

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.totag import ToTags

SEND_FAILED: Final = 503  #: what a branch ends with that the system refused to send (RFC 3261 16.9)
CLAIM_MS: Final = 500  #: between two looks at whether a process that runs a failure route still lives
MAX_CLAIMS: Final = 2  #: how often a failure route is begun whose process dies in it


class Proxy:
    """Decides over replies, time-outs and cancellations."""

    def __init__(self, core: "Core", store: TransactionStore, driver: Driver, totags: "ToTags", stats: TmStats) -> None:
        self.core = core
        self.store = store
        self.driver = driver
        self.totags = totags
        self.stats = stats
        self.noisy = True  #: a call that rings for too long is cancelled and answered 408
        self.restart_fr = True  #: each provisional reply gives a call fr_inv_timer anew
        self.late_408 = False  #: a request other than INVITE that nobody answers is answered 408 (RFC 4320 forbids it)
        self.failover = Failover(store, driver, stats)
        self.claimant = Claimant()
        self.preference = Preference()
        self.ends_with_6xx = True  #: a 6xx cancels the other branches, and no new ones are made
        self.merges_challenges = True  #: a 401 or 407 goes on with the challenges of all branches
        self.forwards_503 = False  #: a 503 of a branch goes on as it is, else as 500
        self.pass_provisional = False  #: provisional replies to requests made here are told to whoever made them

    # -- events of branches ---------------------------------------------------------------------------------

    def reply(self, t: Transaction, branch: BranchRecord, msg: SipMsg, now: int, acknowledge: bool = True) -> None:
        """A reply to the request of `branch` has come in."""
        status = msg.status
        ends_at = branch.timeout_at
        branch.flags |= GOT_REPLY
        if status >= 200:
            branch.cancel_at = 0
        actions = self.driver.client_step(t, branch, fsm.REPLY_EVENTS[status], now)
        if acknowledge and fsm.SEND_ACK in actions:
            self.acknowledge(t, branch, msg)
        if fsm.PASS_UP not in actions:
            return
        if status < 200:
            if ends_at and not self.restart_fr and not is_rise(branch.status, status):
                branch.timeout_at = ends_at
            self.provisional(t, branch, msg, now)
        elif status < 300:
            self.success(t, branch, msg, now)
        elif not branch.is_final():
            branch.status = status
            if status == UNAVAILABLE and branch.others and self.failover.try_next(t, branch, now):
                return
            branch.reply = self.store.put(t, branch.reply, build_forwarded_reply(msg))
            if status >= 600 and self.ends_with_6xx:
                self.decline(t, branch, now)
            self.finish(t, now)

    def timeout(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """A branch has not got its final reply in time: 408, or 487 where it was to be cancelled; one that has had a
        provisional reply is cancelled (RFC 3261 16.8), and nobody waits for what comes of that."""
        if not self.noisy and self.may_vanish(t, branch):
            t.is_over = True
            return
        if t.is_invite and branch.flags & GOT_REPLY and not branch.flags & CANCEL_SENT:
            self.cancel_branch(t, branch, now)
        self.end_branch(
            t, branch, 487 if branch.flags & (CANCEL_WANTED | CANCEL_SENT) and t.server.flags & CANCELLED else 408, now
        )

    @staticmethod
    def may_vanish(t: Transaction, branch: BranchRecord) -> bool:
        """Whether OpenSER drops a call that rings for too long without a word (noisy_ctimer=0)."""
        if not t.is_invite or len(t.branches) != 1 or t.server.flags & CANCELLED or not branch.flags & GOT_REPLY:
            return False
        script = t.script
        return script is None or not (script.on_failure or script.watchers or script.fr_inv)

    def end_branch(self, t: Transaction, branch: BranchRecord, status: int, now: int) -> None:
        """Gives a branch a final status made here; one that was never answered may have another address to try."""
        if not branch.is_final():
            branch.status = status
            branch.flags |= LOCAL_STATUS
            if branch.others and not branch.flags & GOT_REPLY and self.failover.try_next(t, branch, now):
                return
        self.finish(t, now)

    def unsendable(self, t: Transaction, numbers: list[int], now: int) -> None:
        """The system refused to send on these branches: 503.

        Where that is so with all of a round, and there is no failure route to look at it, the caller is told 477.
        """
        is_told = t.script is not None and bool(t.script.on_failure or t.script.watchers)
        is_all = all(any(branch is t.branches[number] for number in numbers) for branch in self.latest(t))
        status = UNSENDABLE if is_all and not is_told else SEND_FAILED
        for number in numbers:
            branch = t.branches[number]
            self.driver.client_step(t, branch, fsm.TIMER_B, now)
            self.end_branch(t, branch, status, now)

    def acknowledge(self, t: Transaction, branch: BranchRecord, msg: SipMsg) -> None:
        """ACKs a negative reply to INVITE; the same datagram again when the reply comes again."""
        if not branch.ack:
            branch.ack = self.store.put(t, 0, build_ack(self.store.blobs.get(branch.sent), msg))
        t.outgoing.append((branch.listener, t.branch_address(branch), self.store.blobs.get(branch.ack)))

    def provisional(self, t: Transaction, branch: BranchRecord, msg: SipMsg, now: int) -> None:
        """A 1xx: relayed unless it is 100 or a final reply has gone; lets a wanted CANCEL go."""
        if not branch.is_final():
            branch.status = msg.status
        if branch.flags & CANCEL_WANTED and not branch.flags & CANCEL_SENT:
            self.cancel_branch(t, branch, now)
        if msg.status != 100 and t.server.status < 200:
            self.relay(t, branch, msg.status, build_forwarded_reply(msg), now, msg)

    def success(self, t: Transaction, branch: BranchRecord, msg: SipMsg, now: int) -> None:
        """A 2xx: relayed at once, the other branches cancelled."""
        branch.status = msg.status
        self.relay(t, branch, msg.status, build_forwarded_reply(msg), now, msg)
        if t.is_invite:
            self.cancel_others(t, branch, now)
            branch.sent = self.store.drop(t, branch.sent)

    def decline(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """A 6xx: the other branches are cancelled, it goes on once they have ended (RFC 3261 16.7 item 5)."""
        t.server.flags |= DECLINED
        if t.is_invite:
            self.cancel_others(t, branch, now)

    # -- the choice -----------------------------------------------------------------------------------------

    def finish(self, t: Transaction, now: int) -> None:
        """Answers the caller, or hands over to the failure route, once every branch of the latest round has ended."""
        if t.server.status >= 200 or t.server.flags & FAILING:
            return
        branches = self.latest(t)
        if not branches or not all(branch.is_final() for branch in branches):
            return
        best = self.choose(t, branches)
        if t.script is None or not self.claim(t, best, now):
            self.select(t, best, now)

    @staticmethod
    def latest(t: Transaction) -> list[BranchRecord]:
        """The branches of the latest round that count."""
        return [branch for branch in t.branches[t.server.first_branch :] if not branch.flags & SUPERSEDED]

    def choose(self, t: Transaction, branches: list[BranchRecord]) -> BranchRecord:
        """The branch whose final reply goes on."""
        return self.preference.choose(branches, bool(t.server.flags & CANCELLED))

    def select(self, t: Transaction, best: BranchRecord, now: int) -> None:
        """The reply of a branch goes to the caller; a 503 as 500 (RFC 3261 16.7 item 6)."""
        if best.status == UNAVAILABLE and not (self.forwards_503 or t.server.flags & LOCAL):
            self.local_reply(t, 500, reason_phrase(500), now, uri=best.uri)
        elif best.reply:
            self.relay(t, best, best.status, self.reply_of(t, best), now)
        elif best.status == 408 and not (t.is_invite or self.late_408 or t.server.flags & LOCAL):
            self.stay_silent(t, now)
        else:
            self.local_reply(t, best.status, reason_phrase(best.status), now, uri=best.uri)

    def reply_of(self, t: Transaction, best: BranchRecord) -> bytes:
        """The reply of a branch as it goes on."""
        get = self.store.blobs.get
        reply = get(best.reply)
        if best.status not in CHALLENGES or not self.merges_challenges:
            return reply
        others = [
            get(branch.reply)
            for branch in self.latest(t)
            if branch is not best and branch.status in CHALLENGES and branch.reply
        ]
        return with_challenges(reply, others) if others else reply

    def select_now(self, t: Transaction, now: int) -> None:
        """The best reply of the latest round goes to the caller, whatever is armed."""
        branches = self.latest(t)
        if t.server.status < 200 and branches and all(branch.is_final() for branch in branches):
            self.select(t, self.choose(t, branches), now)

    def stay_silent(self, t: Transaction, now: int) -> None:
        """A request other than INVITE has not been answered: its sender has given up by now (RFC 4320 4.2)."""
        t.server.status = 408
        t.server.flags = t.server.flags & ~FAILING | LOCAL_REPLY
        t.server.timeout_at = 0
        t.server.wait_at = tick(now, self.driver.timing.wait)
        self.stats.count_final(408)

    # -- the failure route ----------------------------------------------------------------------------------

    def claim(self, t: Transaction, best: BranchRecord, now: int) -> bool:
        """Takes the failure route of `t` for this process; False where there is none to run."""
        script = t.script
        if script is None or not (script.on_failure or script.watchers) or t.server.flags & LOCAL:
            return False
        script.claimant, script.claimant_since = self.claimant.identity()
        script.claims += 1
        t.server.flags |= FAILING
        t.server.timeout_at = tick(now, CLAIM_MS)
        t.failed = t.branches.index(best)
        self.store.keep_script(t)
        return True

    def check_claim(self, t: Transaction, now: int) -> None:
        """Looks whether the process that runs the failure route still lives; if not, it is run here or given up."""
        script = t.script
        assert script is not None, "a failure route without a script"
        is_abandoned = bool(t.server.flags & ABANDONED)
        if not is_abandoned and lives(script.claimant, script.claimant_since):
            t.server.timeout_at = tick(now, CLAIM_MS)
            return
        self.release_claim(t)
        if script.claims < MAX_CLAIMS and not is_abandoned:
            self.finish(t, now)
        else:
            self.select_now(t, now)

    @staticmethod
    def release_claim(t: Transaction) -> None:
        """The failure route has ended."""
        t.server.flags &= ~(FAILING | ABANDONED)
        t.server.timeout_at = 0

    # -- towards the caller ---------------------------------------------------------------------------------

    def relay(
        self, t: Transaction, branch: BranchRecord, status: int, data: bytes, now: int, msg: SipMsg | None = None
    ) -> None:
        """Passes a reply of a branch to the caller."""
        server = t.server
        if server.flags & LOCAL:
            self.keep_to_itself(t, status, data, now, msg)
            return
        is_first = server.status < 200
        if status < 200 or is_first:
            server.status = status
        server.flags &= ~LOCAL_REPLY if status < 200 else ~(LOCAL_REPLY | FAILING)
        self.driver.server_step(t, fsm.SEND_EVENTS[status], now, data)
        self.stats.relayed_replies.bump()
        if status >= 200:
            self.stats.count_final(status)
        if t.script is not None:
            self.tell(t, msg, status, data, branch.uri, is_first)

    def local_reply(
        self,
        t: Transaction,
        status: int,
        reason: bytes,
        now: int,
        msg: SipMsg | None = None,
        headers: bytes = b"",
        body: bytes = b"",
        uri: bytes = b"",
    ) -> None:
        """Answers the caller with a reply made here; `msg` is the request where it is at hand, `uri` that of the branch
        that is answered for."""
        server = t.server
        if server.flags & LOCAL:
            self.keep_to_itself(t, status, b"", now, None)
            return
        msg = msg or self.store.request(t)
        tag = server.to_tag or self.totags.tag(msg)
        if status >= 180:
            server.to_tag = tag
        server.status = status
        server.flags |= LOCAL_REPLY
        if status >= 200:
            server.flags &= ~FAILING
        data = build_reply(self.core, msg, status, reason, tag, headers, body)
        self.driver.server_step(t, fsm.SEND_EVENTS[status], now, data)
        self.stats.local_replies.bump()
        self.stats.count_final(status)
        if t.script is not None:
            self.tell(t, None, status, data, uri, True)

    def tell(self, t: Transaction, msg: SipMsg | None, status: int, data: bytes, uri: bytes, is_first: bool) -> None:
        """Notes for the watchers of a transaction that a reply goes out, and with its first final one that it ends."""
        self.note(t, REPLY_OUT, msg, status, data, uri)
        if status >= 200 and is_first:
            self.note(t, COMPLETED, msg, status, data, uri)

    def note(self, t: Transaction, kind: int, msg: SipMsg | None, status: int, data: bytes, uri: bytes = b"") -> None:
        """Notes something for those who watch the transaction; they are told once the lock is released."""
        if t.script is None or not t.script.watchers:
            return
        if t.events is None:
            t.events = [(kind, self.store.request(t), msg, status, data, uri)]
        else:
            t.events.append((kind, t.events[0][1], msg, status, data, uri))

    def keep_to_itself(self, t: Transaction, status: int, data: bytes, now: int, msg: SipMsg | None) -> None:
        """A reply to a request made here, or to a replica: nobody waits for it but whoever made it."""
        if status < 200 and not self.pass_provisional:
            return
        if msg is None and data:
            msg = SipMsg(data, ("", 0), self.core.listeners[t.server.listener])
        if t.server.status < 200:
            t.server.status = status
            self.stats.count_final(status)
            if status >= 200:
                timing = self.driver.timing
                t.server.wait_at = tick(now, timing.accepted if t.is_invite and status < 300 else timing.wait)
            self.note(t, ANSWERED, msg, status, data)
        if t.is_invite and 200 <= status < 300:
            self.note(t, ACK_DUE, msg, status, data)

    # -- CANCEL ---------------------------------------------------------------------------------------------

    def cancel(self, t: Transaction, now: int, reason: bytes) -> None:
        """The caller has cancelled: branches of the latest round that ring get a CANCEL, those without any reply end
        with 487 here and get theirs when a provisional reply comes.

        There will be no new branches, whatever a failure route at work asks for.
        """
        t.server.flags |= CANCELLED
        for branch in t.branches[t.server.first_branch :]:
            if branch.is_final() or branch.flags & CANCEL_SENT:
                continue
            if branch.flags & GOT_REPLY:
                self.cancel_branch(t, branch, now, reason)
            else:
                branch.flags |= CANCEL_WANTED | LOCAL_STATUS
                branch.status = 487
        self.finish(t, now)

    def cancel_branch(self, t: Transaction, branch: BranchRecord, now: int, reason: bytes = b"") -> None:
        """Sends CANCEL on a branch that has had a provisional reply."""
        self.driver.send_cancel(t, branch, build_cancel(self.store.blobs.get(branch.sent), reason), now)

    def cancel_others(self, t: Transaction, winner: BranchRecord | None, now: int) -> None:
        """Cancels every branch but the one that answered; those without a reply once they have one."""
        for branch in t.branches:
            if branch is not winner:
                self.end_early(t, branch, now)

    def end_early(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """Cancels a branch, once it has a reply where it has none yet; its own end still counts."""
        if branch.is_final() or branch.flags & CANCEL_SENT:
            return
        if branch.flags & GOT_REPLY:
            self.cancel_branch(t, branch, now)
        else:
            branch.flags |= CANCEL_WANTED


def is_rise(before: int, status: int) -> bool:
    """Whether a provisional reply says more than those before it (OpenSER: restart_fr_on_each_reply=0)."""
    return before < status and (status >= 180 or before == 0)
