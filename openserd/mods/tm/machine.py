"""Drives the state machines of `fsm.py` over a transaction in hand: finds the step, performs its actions on the copy.

Nothing is sent here and no clock is read: `now` comes in as ticks, datagrams go out through `t.outgoing`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from openserd.core.message import SipMsg
from openserd.mods.tm import fsm
from openserd.mods.tm.record import CANCEL_SENT, BranchRecord
from openserd.mods.tm.store import Transaction, TransactionStore
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

    # -- server ---------------------------------------------------------------------------------------------

    def server_step(self, t: Transaction, event: int, now: int, data: bytes = b"") -> None:
        """Feeds `event` to the server transaction; `data` is the reply to send."""
        server = t.server
        machine = fsm.INVITE_SERVER if t.is_invite else fsm.NON_INVITE_SERVER
        before = server.state
        server.state, actions = fsm.step(machine, before, event)
        for action in actions:
            if action == fsm.SEND_REPLY:
                self.send_reply(t, before, data)
            else:
                self.server_action(t, action, now)

    def send_reply(self, t: Transaction, before: int, data: bytes) -> None:
        """Sends a reply and keeps it for retransmissions; a 2xx to INVITE is repeated by the callee (RFC 6026)."""
        server = t.server
        t.outgoing.append((server.listener, t.reply_address, data))
        if server.state == fsm.ACCEPTED:
            server.reply = self.store.drop(t, server.reply)
        elif before != fsm.COMPLETED and before != fsm.CONFIRMED:
            server.reply = self.store.put(t, server.reply, data)

    def server_action(self, t: Transaction, action: int, now: int) -> None:
        """One action other than sending a new reply."""
        server, timing = t.server, self.timing
        if action == fsm.RESEND_REPLY:
            if server.reply:
                t.outgoing.append((server.listener, t.reply_address, self.store.blobs.get(server.reply)))
            elif server.status == 100 and self.trying is not None:
                t.outgoing.append((server.listener, t.reply_address, self.trying(self.store.request(t))))
        elif action == fsm.START_G:
            server.interval = timing.t1
            server.retransmit_at = tick(now, timing.t1)
        elif action == fsm.DOUBLE_G:
            server.interval = min(2 * server.interval, timing.t2)
            server.retransmit_at = tick(now, server.interval)
        elif action == fsm.START_H:
            server.timeout_at = tick(now, timing.fr)
        elif action == fsm.STOP_TIMERS:
            server.retransmit_at = server.timeout_at = 0
        elif action == fsm.START_WAIT:
            server.timeout_at = 0
            server.wait_at = tick(now, timing.accepted if server.state == fsm.ACCEPTED else timing.wait)

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
        machine = fsm.INVITE_CLIENT if t.is_invite else fsm.NON_INVITE_CLIENT
        branch.state, actions = fsm.step(machine, branch.state, event)
        for action in actions:
            self.client_action(t, branch, action, now)
        return actions

    def client_action(self, t: Transaction, branch: BranchRecord, action: int, now: int) -> None:
        """One action that concerns timers or the request itself."""
        timing = self.timing
        if action == fsm.RESEND_REQUEST:
            t.outgoing.append((branch.listener, t.branch_address(branch), self.store.blobs.get(branch.sent)))
        elif action == fsm.DOUBLE_A:
            branch.interval = min(2 * branch.interval, timing.t2)
            branch.retransmit_at = tick(now, branch.interval)
        elif action == fsm.SLOW_A:
            branch.interval = timing.t2
            branch.retransmit_at = tick(now, timing.t2)
        elif action == fsm.STOP_TIMERS:
            branch.retransmit_at = branch.timeout_at = branch.cancel_at = 0
        elif action == fsm.START_C and not branch.flags & CANCEL_SENT:
            branch.timeout_at = tick(now, (t.script is not None and t.script.fr_inv) or timing.fr_inv)

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
