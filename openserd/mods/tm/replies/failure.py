"""Failure routes: what the script does once every branch of the latest round has failed.

The transaction was claimed under its lock by whoever saw the last branch end, a worker or the timer process.  The route
runs without a lock, over the request made anew from what was stored, and ends in one of three ways: new branches go on
with the transaction, a reply has ended it, or else the chosen reply goes to the caller.  A process that dies in the
route is found by the timer (`Proxy.check_claim`).  (OpenSER: run_failure_handlers() in t_reply.c.)
"""

import logging

from openserd.core import routes
from openserd.core.message import SipMsg
from openserd.core.module import FAILURE
from openserd.errors import ResourceError
from openserd.mods.tm.memory.hand import FailureRun, InHand
from openserd.mods.tm.memory.record import ABANDONED
from openserd.mods.tm.memory.store import Transaction
from openserd.mods.tm.memory.travel import Armed, unpack_pairs
from openserd.mods.tm.requests.arrival import Requests
from openserd.mods.tm.surface.hooks import FAILURE as FAILED
from openserd.mods.tm.surface.hooks import Event

log = logging.getLogger("openserd")


class Failures:
    """Runs failure routes."""

    def __init__(self, requests: Requests) -> None:
        self.requests = requests
        self.core = requests.core
        self.store = requests.store
        self.proxy = requests.proxy
        self.aftermath = requests.aftermath

    def run(self, t: Transaction) -> None:
        """Runs the route that `t` was claimed for; what follows from its end is done as well."""
        msg = self.store_request(t)
        if msg is None:
            return
        run = msg.extension
        assert isinstance(run, FailureRun) and t.script is not None, "a failure route without its transaction"
        try:
            for name, data in unpack_pairs(t.script.watchers):
                self.aftermath.watchers.tell(FAILED, name, Event(FAILED, msg, data, run.status))
            route = self.core.routes.failure.get(t.script.on_failure.decode())
            if route is not None:
                routes.run(route, msg, FAILURE)
        except Exception:
            log.exception("failure_route[%s] failed", t.script.on_failure.decode())
        finally:
            after = self.concluded(msg, run)
        if after is not None:
            self.aftermath.perform(after)

    def store_request(self, t: Transaction) -> SipMsg | None:
        """The request as the failure route sees it: to the URI of the branch that was chosen; None where the
        transaction has gone."""
        store = self.store
        store.stripes.acquire(t.hash)
        try:
            if not store.table.is_live(t.slot, t.generation):
                return None
            msg = store.request(store.load(t.slot, t.hash))
        finally:
            store.stripes.release(t.hash)
        branch = t.branches[t.failed]
        msg.set_ruri(branch.uri)
        msg.branch_flags = branch.branch_flags
        msg.extension = self.started(t)
        return msg

    @staticmethod
    def started(t: Transaction) -> FailureRun:
        """A failure route about to run: the route itself is disarmed, the others stay."""
        armed = Armed()
        if t.script is not None:
            armed.on_reply, armed.on_branch = t.script.on_reply, t.script.on_branch
            armed.watchers = unpack_pairs(t.script.watchers)
        place = InHand(t.slot, t.generation, t.hash, len(t.branches))
        return FailureRun(place, t.failed, t.branches[t.failed].status, armed)

    def concluded(self, msg: SipMsg, run: FailureRun) -> Transaction | None:
        """As `conclude`; where there is no room for what comes of the route the timer has the chosen reply sent."""
        try:
            return self.conclude(msg, run)
        except ResourceError:
            self.requests.edit(run, self.abandon)
            raise

    @staticmethod
    def abandon(t: Transaction, now: int) -> None:
        """The failure route has ended to no effect."""
        t.server.flags |= ABANDONED

    def conclude(self, msg: SipMsg, run: FailureRun) -> Transaction | None:
        """Gives the claim back; without new branches the chosen reply goes to the caller."""
        store = self.store
        store.stripes.acquire(run.hash)
        try:
            t = store.reload(run.slot, run.generation, run.hash)
            if t is None or not self.requests.may_act(t, run):
                return None
            now = store.now()
            self.proxy.release_claim(t)
            relayed = run.relayed
            self.requests.take_over(t, msg, run)
            if relayed:
                self.proxy.finish(t, now)
            else:
                self.proxy.select_now(t, now)
            store.save(t, now)
        finally:
            store.stripes.release(run.hash)
        return t
