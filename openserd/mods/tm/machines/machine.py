"""Drives the state machines of `fsm.py` over a transaction in hand: finds the step, performs its actions on the copy.

Nothing is sent here and no clock is read: `now` comes in as ticks, datagrams go out through `t.outgoing`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from openserd.core.message import SipMsg
from openserd.mods.tm.machines import fsm
from openserd.mods.tm.machines.fsm import (
    ACCEPTED,
    COMPLETED,
    CONFIRMED,
    INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_CLIENT,
    NON_INVITE_SERVER,
    SEND_REPLY,
)
from openserd.mods.tm.memory.record import CANCEL_SENT, BranchRecord
from openserd.mods.tm.memory.store import Transaction, TransactionStore
from openserd.shm.deadlines import TICK_MASK


@dataclass(slots=True)
class Timing:
    """How long timers run, in milliseconds (OpenSER's parameters of the same names)."""

    t1: int = 500
    t2: int = 4000
    fr: int = 30_000
    fr_inv: int = 185_000
    wait: int = 5_000
    delete: int = 2_000
    accepted: int = 32_000


def tick(now: int, milliseconds: int) -> int:
    """The tick `milliseconds` after `now`; never 0."""
    return (now + milliseconds) & TICK_MASK or 1


class Driver:
    """Performs the steps of server and client transactions."""

    def __init__(self, store: TransactionStore, timing: Timing) -> None:
        self.store = store
        self.timing = timing
        self.trying: Callable[[SipMsg], bytes] | None = None  #: makes the 100 for a request that comes again
        self.of_server: dict[int, Callable[[Transaction, int], None]] = {
            fsm.RESEND_REPLY: self.resend_reply,
            fsm.START_G: self.start_g,
            fsm.DOUBLE_G: self.double_g,
            fsm.START_H: self.start_h,
            fsm.STOP_TIMERS: self.stop_server_timers,
            fsm.START_WAIT: self.start_wait,
        }
        self.of_client: dict[int, Callable[[Transaction, BranchRecord, int], None]] = {
            fsm.RESEND_REQUEST: self.resend_request,
            fsm.DOUBLE_A: self.double_a,
            fsm.SLOW_A: self.slow_a,
            fsm.STOP_TIMERS: self.stop_client_timers,
            fsm.START_C: self.start_c,
        }

    # -- server ---------------------------------------------------------------------------------------------

    def server_step(self, t: Transaction, event: int, now: int, data: bytes = b"") -> None:
        """Feeds `event` to the server transaction; `data` is the reply to send."""
        server = t.server
        before = server.state
        move = (INVITE_SERVER if t.is_invite else NON_INVITE_SERVER).get((before, event))
        if move is None:
            return
        server.state, actions = move
        for action in actions:
            if action == SEND_REPLY:
                self.send_reply(t, before, data)
            else:
                self.of_server[action](t, now)

    def send_reply(self, t: Transaction, before: int, data: bytes) -> None:
        """Sends a reply and keeps it for retransmissions; a 2xx to INVITE is repeated by the callee (RFC 6026)."""
        server = t.server
        t.outgoing.append((server.listener, t.reply_address(), data))
        if server.state == ACCEPTED:
            server.reply = self.store.drop(t, server.reply)
        elif before != COMPLETED and before != CONFIRMED:
            server.reply = self.store.put(t, server.reply, data)

    def resend_reply(self, t: Transaction, now: int) -> None:
        """Sends the last reply again; a 100 is not kept and made anew."""
        server = t.server
        if server.reply:
            t.outgoing.append((server.listener, t.reply_address(), self.store.blobs.get(server.reply)))
        elif server.status == 100 and self.trying is not None:
            t.outgoing.append((server.listener, t.reply_address(), self.trying(self.store.request(t))))

    def start_g(self, t: Transaction, now: int) -> None:
        """Timer G: the negative reply is repeated until the ACK."""
        t.server.interval = self.timing.t1
        t.server.retransmit_at = tick(now, self.timing.t1)

    def double_g(self, t: Transaction, now: int) -> None:
        """Timer G again, at twice the interval and at most T2."""
        t.server.interval = min(2 * t.server.interval, self.timing.t2)
        t.server.retransmit_at = tick(now, t.server.interval)

    def start_h(self, t: Transaction, now: int) -> None:
        """Timer H: how long the ACK is waited for."""
        t.server.timeout_at = tick(now, self.timing.fr)

    def stop_server_timers(self, t: Transaction, now: int) -> None:
        """Ends G and H."""
        t.server.retransmit_at = t.server.timeout_at = 0

    def start_wait(self, t: Transaction, now: int) -> None:
        """Timer I, J or L: how long the record stays for what still may come."""
        server, timing = t.server, self.timing
        server.timeout_at = 0
        server.wait_at = tick(now, timing.accepted if server.state == ACCEPTED else timing.wait)

    # -- client ---------------------------------------------------------------------------------------------

    def start_client(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """A request has just been handed to the network: the first state and its timers (A or E, B or F)."""
        branch.state = fsm.CALLING if t.is_invite else fsm.TRYING
        branch.interval = self.timing.t1
        branch.retransmit_at = tick(now, self.timing.t1)
        branch.timeout_at = tick(now, (t.script is not None and t.script.fr) or self.timing.fr)

    def client_step(self, t: Transaction, branch: BranchRecord, event: int, now: int) -> tuple[int, ...]:
        """Feeds `event` to a client transaction; returns its actions, of which SEND_ACK, PASS_UP and TIMEOUT are left
        to the caller."""
        move = (INVITE_CLIENT if t.is_invite else NON_INVITE_CLIENT).get((branch.state, event))
        if move is None:
            return ()
        branch.state, actions = move
        for action in actions:
            act = self.of_client.get(action)
            if act is not None:
                act(t, branch, now)
        return actions

    def resend_request(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """Sends the request again."""
        t.outgoing.append((branch.listener, t.branch_address(branch), self.store.blobs.get(branch.sent)))

    def double_a(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """Timer A or E again, at twice the interval and at most T2."""
        branch.interval = min(2 * branch.interval, self.timing.t2)
        branch.retransmit_at = tick(now, branch.interval)

    def slow_a(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """Timer E from now on at T2."""
        branch.interval = self.timing.t2
        branch.retransmit_at = tick(now, self.timing.t2)

    def stop_client_timers(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """Ends A to F, and the repetition of a CANCEL."""
        branch.retransmit_at = branch.timeout_at = branch.cancel_at = 0

    def start_c(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """Timer C: how long a call may ring; a cancelled one has its own limit."""
        if not branch.flags & CANCEL_SENT:
            branch.timeout_at = tick(now, (t.script is not None and t.script.fr_inv) or self.timing.fr_inv)

    # -- CANCEL ---------------------------------------------------------------------------------------------

    def send_cancel(self, t: Transaction, branch: BranchRecord, cancel: bytes, now: int) -> None:
        """Sends a CANCEL on a branch, to be repeated until it is answered; the callee has `fr` to end the call."""
        branch.flags |= CANCEL_SENT
        branch.cancel = self.store.put(t, branch.cancel, cancel)
        branch.cancel_interval = self.timing.t1
        branch.cancel_at = tick(now, self.timing.t1)
        branch.timeout_at = tick(now, self.timing.fr)
        t.outgoing.append((branch.listener, t.branch_address(branch), cancel))

    def repeat_cancel(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """Sends the CANCEL again."""
        branch.cancel_interval = min(2 * branch.cancel_interval, self.timing.t2)
        branch.cancel_at = tick(now, branch.cancel_interval)
        t.outgoing.append((branch.listener, t.branch_address(branch), self.store.blobs.get(branch.cancel)))
