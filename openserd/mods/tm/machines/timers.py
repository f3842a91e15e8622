"""Timers: the timer process looks for transactions whose time has come and takes their next step.

(OpenSER: timer.c of tm; its two ticks, 100 ms for retransmissions and 1 s for the rest, are one of 100 ms here.)
"""

import logging
from typing import Final

from openserd.errors import ResourceError
from openserd.mods.tm.machines import fsm
from openserd.mods.tm.machines.aftermath import Aftermath
from openserd.mods.tm.machines.machine import Driver, tick
from openserd.mods.tm.memory.record import CANCEL_SENT, FAILING, BranchRecord, is_settled
from openserd.mods.tm.memory.store import Transaction, TransactionStore, is_past
from openserd.mods.tm.replies.proxy import Proxy

log = logging.getLogger("openserd")

AGAIN_MS: Final = 1000  #: until a step is tried again for which there was no memory
PENDING_STATES: Final = frozenset((fsm.CALLING, fsm.PROCEEDING))


class Timers:
    """What happens to transactions when their timers run out."""

    def __init__(self, store: TransactionStore, driver: Driver, proxy: Proxy, aftermath: Aftermath) -> None:
        self.store = store
        self.driver = driver
        self.proxy = proxy
        self.aftermath = aftermath

    def run(self) -> None:
        """One tick: every transaction that is due takes its step; one for whose step there is no memory takes it later
        and holds up no other."""
        store = self.store
        for slot in store.deadlines.due(store.now(), store.table.high_water):
            try:
                self.run_slot(slot)
            except ResourceError as full:
                log.error("tm: a timer of transaction %d waits: %s", slot, full)

    def run_slot(self, slot: int) -> None:
        """The step of one transaction, if it is still due."""
        store = self.store
        hash_ = store.table.hash_of(slot)
        store.stripes.acquire(hash_)
        try:
            now = self.store.now()
            if store.table.hash_of(slot) != hash_ or not store.deadlines.is_due(slot, now):
                return
            if not store.table.is_live(slot, store.table.generation(slot)):
                store.deadlines.disarm(slot)
                return
            payload = store.table.payload(slot)
            if is_settled(payload):
                store.discard(slot, payload)
                return
            store.deadlines.arm(slot, tick(now, AGAIN_MS))  # unless the step below says otherwise
            t = store.load(slot, hash_)
            self.expire(t, now)
            store.save(t, now)
        finally:
            store.stripes.release(hash_)
        self.aftermath.perform(t)

    def expire(self, t: Transaction, now: int) -> None:
        """Feeds every timer of `t` that has run out to its machine."""
        for branch in t.branches:
            self.expire_branch(t, branch, now)
        server = t.server
        if is_past(server.wait_at, now):
            self.end(t, now)
        elif is_past(server.timeout_at, now):
            server.timeout_at = 0
            if server.flags & FAILING:
                self.proxy.check_claim(t, now)
            elif server.state == fsm.COMPLETED:
                self.driver.server_step(t, fsm.TIMER_H, now)
            else:
                t.is_over = not t.branches
        elif is_past(server.retransmit_at, now):
            server.retransmit_at = 0
            self.driver.server_step(t, fsm.TIMER_G, now)

    def expire_branch(self, t: Transaction, branch: BranchRecord, now: int) -> None:
        """The timers of one client transaction."""
        if is_past(branch.timeout_at, now):
            branch.timeout_at = branch.cancel_at = 0
            event = fsm.TIMER_C if t.is_invite and branch.state == fsm.PROCEEDING else fsm.TIMER_B
            if fsm.TIMEOUT in self.driver.client_step(t, branch, event, now):
                self.proxy.timeout(t, branch, now)
        elif is_past(branch.retransmit_at, now):
            branch.retransmit_at = 0
            self.driver.client_step(t, branch, fsm.TIMER_A, now)
        if is_past(branch.cancel_at, now):
            self.driver.repeat_cancel(t, branch, now)

    def end(self, t: Transaction, now: int) -> None:
        """The wait timer has run out: the record goes, or is looked at again where a branch is still being cancelled
        (OpenSER: where a process still refers to the record)."""
        if any(
            branch.state in PENDING_STATES and (branch.flags & CANCEL_SENT or branch.timeout_at)
            for branch in t.branches
        ):
            t.server.wait_at = tick(now, self.driver.timing.delete)
        else:
            t.is_over = True
