"""Forwarding: from the destination set to client transactions (RFC 3261 section 16.6).

In a request route the set is the request URI and the additional branches, in a failure route only the latter (OpenSER:
t_forward_nonack).  Where a branch route is armed it runs over each branch before its next hop is looked for; what it
changes is for that branch alone.
"""

import copy
import logging
from typing import Final

from openserd.core import routes
from openserd.core.destinations import Branch, ruri_branch
from openserd.core.error_reply import error_reply
from openserd.core.forward import NextHop, branch_hop, build_request, forward, hop_to
from openserd.core.lumps import Lump
from openserd.core.message import SipMsg
from openserd.core.module import BRANCH
from openserd.core.network.transport import Address
from openserd.core.reply import build_reply
from openserd.errors import SipError
from openserd.mods.tm.memory.hand import FailureRun, InHand, in_hand
from openserd.mods.tm.memory.index import identity
from openserd.mods.tm.memory.keys import make_branch, request_digest
from openserd.mods.tm.memory.record import CANCELLED, DECLINED, LOCAL, MAX_TRANSACTION_BRANCHES, BranchRecord
from openserd.mods.tm.memory.store import Transaction
from openserd.mods.tm.memory.travel import Armed, unpack_pairs
from openserd.mods.tm.requests.arrival import Requests
from openserd.mods.tm.requests.failover import Attempt, pack_attempts
from openserd.mods.tm.requests.forking import Forks, loop_digest
from openserd.mods.tm.surface.hooks import ACK_IN, FORWARDED, Event

log = logging.getLogger("openserd")

NO_100: Final = 1
NO_ERROR_REPLY: Final = 2
NO_FAILOVER: Final = 4

Destination = tuple[str, Address]
Hop = tuple[Branch, NextHop, list[Lump] | None]  #: a branch, where it goes, its own edits after a branch route


class Forwarding:
    """Makes client transactions."""

    def __init__(self, requests: Requests, forks: Forks) -> None:
        self.requests = requests
        self.forks = forks
        self.told = requests.told
        self.core = requests.core
        self.store = requests.store
        self.driver = requests.driver
        self.proxy = requests.proxy
        self.stats = requests.stats
        self.syn_branch = True
        self.branch_index = 0  #: of the branch whose branch route runs, from 1 ($T_branch_idx)
        self.driver.trying = self.build_trying

    # -- what the script asks for ---------------------------------------------------------------------------

    def relay(self, msg: SipMsg, flags: int, destination: Destination | None) -> int:
        """t_relay: 1 sent, 0 absorbed or answered here, below 0 nothing could be sent and nothing was answered."""
        if msg.method == b"ACK":
            return self.relay_ack(msg, destination)
        if msg.method == b"CANCEL" and self.requests.cancel(msg):
            return 1
        if self.told:
            self.requests.announce(msg)
        try:
            if msg.extension is not None and self.needs_record(msg.extension):
                return self.relay_known(msg, flags, destination)
            hops = self.hops(msg, [ruri_branch(msg), *msg.branches], destination)
            if flags:
                hops = limited(hops, flags)
            return 1 if self.relay_new(msg, hops, bool(flags & NO_100)) else 0
        except SipError as error:
            return self.refuse(msg, error, flags)

    @staticmethod
    def needs_record(known: object) -> bool:
        """Whether the transaction must be there before its branches, so that a retransmission runs no branch route, or
        is there already."""
        return not isinstance(known, Armed) or bool(known.on_branch or known.watchers)

    def relay_known(self, msg: SipMsg, flags: int, destination: Destination | None) -> int:
        """Forwards in steps: the transaction, the branches, what is to be sent."""
        found = in_hand(msg)
        if isinstance(found, FailureRun):
            return self.relay_again(msg, found, flags, destination)
        if found is None:
            t = self.requests.create(msg, lambda t, now: self.prepare(t, msg, bool(flags & NO_100), now))
            if t is None:
                return 0
            self.requests.aftermath.perform(t)
            found = in_hand(msg)
            assert found is not None, "a new transaction that is not in hand"
        branches = [ruri_branch(msg), *msg.branches] if found.n_branches == 0 else msg.branches
        if not branches:
            return -1
        hops = limited(self.routed_hops(msg, branches, destination), flags)
        return 1 if self.relay_more(msg, found, hops, bool(flags & NO_100)) else -1

    def prepare(self, t: Transaction, msg: SipMsg, no_100: bool, now: int) -> None:
        """A transaction whose branches are still to be made: the caller is told at once that it has been heard."""
        self.requests.await_reply(t, now)
        if t.is_invite and not no_100:
            self.trying(t, msg, now)

    def relay_again(self, msg: SipMsg, run: FailureRun, flags: int, destination: Destination | None) -> int:
        """t_relay in a failure route: 1 sent, below 0 there was nowhere to send to."""
        if not msg.branches:
            return -1
        try:
            hops = limited(self.routed_hops(msg, msg.branches, destination), flags)
        except SipError as error:
            msg.error = error
            return -abs(error.code)
        return 1 if self.relay_more(msg, run, hops, no_100=True) else -1

    def replicate(self, msg: SipMsg, uri: bytes, flags: int) -> bool:
        """t_replicate: a copy to another server in a transaction of its own, whose replies stay here.

        False where it cannot be sent; a retransmission is not sent again.
        """
        try:
            hops = limited(self.hops(msg, [Branch(msg.ruri, dst_uri=uri)], None), flags)
        except SipError as error:
            msg.error = error
            return False

        def prepare(t: Transaction, now: int) -> None:
            t.server.flags |= LOCAL
            self.add_branches(t, msg, hops, now)

        kept, msg.extension = msg.extension, None
        try:
            made = self.requests.insert(msg, b"%b|%b" % (uri, self.requests.key(msg, msg.method)), prepare)
        finally:
            msg.extension = kept
        if isinstance(made, Transaction):
            self.send_first(made, 0)
        return True

    def refuse(self, msg: SipMsg, error: SipError, flags: int) -> int:
        """Answers a request that could not be forwarded, unless the script wants to (flag 2)."""
        msg.error = error
        if flags & NO_ERROR_REPLY:
            return -abs(error.code)
        code, reason = error_reply(error, b"TM")
        self.requests.reply(msg, code, reason)
        return 0

    def relay_ack(self, msg: SipMsg, destination: Destination | None) -> int:
        """An ACK: absorbed when it is for a negative reply of this server, else passed on without state."""
        if self.requests.absorb_ack(msg):
            return 1
        if self.store.index is not None:
            self.tell_ack(msg)
        if destination is None:
            return 1 if forward(self.core, msg) else -1
        return 1 if forward(self.core, msg, destination[1], destination[0]) else -1

    def tell_ack(self, msg: SipMsg) -> None:
        """Tells the watchers of an INVITE that the ACK to its 2xx has come."""
        index = self.store.index
        found = None if index is None else index.find(identity(msg, b"INVITE"))
        t = None if found is None else self.requests.look(found)
        if t is not None and t.script is not None:
            for name, data in unpack_pairs(t.script.watchers):
                self.requests.aftermath.watchers.tell(ACK_IN, name, Event(ACK_IN, msg, data, t.server.status))

    # -- where to -------------------------------------------------------------------------------------------

    def hops(self, msg: SipMsg, branches: list[Branch], destination: Destination | None) -> list[Hop]:
        """Next hops of branches; those that cannot be reached are left out.

        Raises the SipError of the last one when none is left.
        """
        found: list[Hop] = []
        failure: SipError | None = None
        for branch in branches:
            try:
                hop = (
                    branch_hop(self.core, branch, msg)
                    if destination is None
                    else hop_to(self.core, *destination, branch.listener, msg.listener, msg)
                )
            except SipError as error:
                failure = error
            else:
                found.append((branch, hop, None))
        if not found:
            raise failure or SipError("no destination", 0, 500)
        return self.forks.guarded(msg, found) if len(found) > 1 else found

    # -- branch routes --------------------------------------------------------------------------------------

    def over_branches(self, msg: SipMsg) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """The branch route that is armed, b"" none, and those who want to see each branch."""
        found = msg.extension
        if isinstance(found, FailureRun):
            return found.armed.on_branch, found.armed.watchers
        if not isinstance(found, InHand):
            return b"", []
        t = self.requests.look(found)
        if t is None or t.script is None:
            return b"", []
        return t.script.on_branch, unpack_pairs(t.script.watchers)

    def routed_hops(self, msg: SipMsg, branches: list[Branch], destination: Destination | None) -> list[Hop]:
        """As `hops`, with the branch route run over each branch where one is armed; dropped ones are left out, and the
        message is afterwards as it was."""
        route, watching = self.over_branches(msg)
        if not (route or watching):
            return self.hops(msg, branches, destination)
        found: list[Hop] = []
        failure: SipError | None = None
        kept = (ruri_branch(msg), msg.lumps, msg.branches)
        place = in_hand(msg)
        first = 0 if place is None else place.n_branches
        for number, branch in enumerate(branches, first + 1):
            try:
                hop = self.routed_hop(msg, branch, number, kept[1], route, watching, destination)
                found += [hop] if hop is not None else []
            except SipError as error:
                failure = error
        become(msg, kept[0])
        msg.lumps, msg.branches = kept[1], kept[2]
        if not found:
            raise failure or SipError("every branch was dropped", 0, 500)
        return self.forks.guarded(msg, found) if len(found) > 1 else found

    def routed_hop(
        self,
        msg: SipMsg,
        branch: Branch,
        number: int,
        lumps: list[Lump],
        route: bytes,
        watching: list[tuple[bytes, bytes]],
        destination: Destination | None,
    ) -> Hop | None:
        """One branch after its branch route; None where that drops it."""
        become(msg, branch)
        msg.lumps = [(start, end, data if isinstance(data, bytes) else copy.copy(data)) for start, end, data in lumps]
        msg.branches = []
        self.branch_index = number
        try:
            block = self.core.routes.branch.get(route.decode()) if route else None
            if block is not None:
                routes.run(block, msg, BRANCH)
                if msg.dropped:
                    msg.dropped = False
                    return None
            for name, data in watching:
                self.requests.aftermath.watchers.tell(FORWARDED, name, Event(FORWARDED, msg, data))
        finally:
            self.branch_index = 0
        left = ruri_branch(msg)
        return left, self.hops(msg, [left], destination)[0][1], msg.lumps

    # -- client transactions --------------------------------------------------------------------------------

    def add_branches(self, t: Transaction, msg: SipMsg, hops: list[Hop], now: int) -> None:
        """Makes the client transactions of one round of forwarding; their requests go to `t.outgoing`."""
        t.server.first_branch = len(t.branches)
        label = self.store.label(t.generation)
        digest = b"" if self.syn_branch and len(hops) == 1 else self.digest(msg, len(hops))
        for branch, hop, lumps in hops:
            via_branch = make_branch(t.slot, label, len(t.branches), digest)
            if lumps is None:
                data = build_request(msg, branch, via_branch, hop.listener)
            else:
                data = build(msg, branch, via_branch, hop, lumps)
            host, port = hop.address
            record = BranchRecord.blank()
            record.host = host.encode()
            record.port = port
            record.listener = hop.listener.index
            record.uri = branch.uri
            record.branch_flags = branch.flags
            record.sent = self.store.blobs.put(data)
            if hop.others:
                record.others = self.put_others(msg, branch, via_branch, hop, lumps)
            t.branches.append(record)
            self.driver.start_client(t, record, now)
            t.outgoing.append((record.listener, hop.address, data))
        self.stats.uac_transactions.bump(len(hops))

    def digest(self, msg: SipMsg, n_hops: int) -> bytes:
        """The digest in the branches of one round."""
        if n_hops > 1 and self.forks.detects_loops:
            return loop_digest(msg)
        return b"" if self.syn_branch else request_digest(msg)

    def put_others(self, msg: SipMsg, branch: Branch, via_branch: bytes, hop: NextHop, lumps: list[Lump] | None) -> int:
        """A blob with the further addresses of a branch, for `failover.py`."""
        attempts: list[Attempt] = []
        before = hop
        for other in hop.others:
            is_same = other.listener is before.listener
            request = b"" if is_same else build(msg, branch, via_branch, other, lumps)
            attempts.append(Attempt(other.listener.index, other.address, request))
            before = other
        return self.store.blobs.put(pack_attempts(attempts))

    def relay_new(self, msg: SipMsg, hops: list[Hop], no_100: bool) -> bool:
        """Forwards a request in a new transaction; False where it was a retransmission."""

        def prepare(t: Transaction, now: int) -> None:
            if t.is_invite and not no_100:
                self.trying(t, msg, now)
            self.add_branches(t, msg, hops, now)

        t = self.requests.create(msg, prepare)
        if t is None:
            return False
        self.send_first(t, 0)
        return True

    def relay_more(self, msg: SipMsg, found: InHand, hops: list[Hop], no_100: bool) -> bool:
        """Forwards the request of a transaction that exists already; False where it cannot have more branches."""
        accepted = False

        def step(t: Transaction, now: int) -> None:
            nonlocal accepted
            accepted = self.requests.may_act(t, found) and self.may_grow(t, len(hops), now)
            if not accepted:
                return
            if t.is_invite and not no_100 and t.server.status == 0:
                self.trying(t, msg, now)
            self.keep_script(t, msg, found)
            t.server.msg_flags = msg.flags
            self.add_branches(t, msg, hops, now)

        t = self.requests.edit(found, step)
        if t is None:
            return False
        if accepted:
            found.n_branches = len(t.branches)
            msg.branches = []
        elif t.server.flags & DECLINED:
            log.error("t_relay: a 6xx has come, no new branches are made (disable_6xx_block=1 allows them)")
        self.send_first(t, t.server.first_branch)
        return accepted

    def may_grow(self, t: Transaction, n_more: int, now: int) -> bool:
        """Whether more branches are possible; a request that was cancelled before it had any is answered 487."""
        if t.server.status >= 200 or t.server.flags & DECLINED or len(t.branches) + n_more > MAX_TRANSACTION_BRANCHES:
            return False
        if not t.server.flags & CANCELLED:
            return True
        if not t.branches:
            self.proxy.local_reply(t, 487, b"Request Terminated", now)
        return False

    def keep_script(self, t: Transaction, msg: SipMsg, found: InHand) -> None:
        """Notes what the script has left for further branches and failure routes."""
        if isinstance(found, FailureRun):
            self.requests.take_over(t, msg, found)
            return
        t.server.timeout_at = 0
        if t.script is None:
            return
        script, armed = t.script, Armed()
        armed.on_failure, armed.on_reply, armed.on_branch = script.on_failure, script.on_reply, script.on_branch
        armed.watchers = unpack_pairs(script.watchers)
        t.script = self.requests.capture(msg, armed)
        self.store.keep_script(t)

    def trying(self, t: Transaction, msg: SipMsg, now: int) -> None:
        """Answers 100 (OpenSER: `Giving a try`)."""
        t.server.status = 100
        t.outgoing.append((t.server.listener, t.reply_address(), self.build_trying(msg)))

    def build_trying(self, msg: SipMsg) -> bytes:
        """The 100: it is not kept, whoever has to repeat it makes it again."""
        return build_reply(self.core, msg, 100, b"Giving a try")

    def send_first(self, t: Transaction, first_branch: int) -> None:
        """Sends what a step has made, new branches last, and ends those that the system refuses to send."""
        refused = self.requests.aftermath.perform(t)
        if not refused:
            return
        offset = len(t.outgoing) - len(t.branches)
        failed = [index - offset for index in refused if index - offset >= first_branch]
        if failed:
            self.requests.unsendable(t, failed)


def limited(hops: list[Hop], flags: int) -> list[Hop]:
    """Next hops, with flag 4 of t_relay without further addresses."""
    if flags & NO_FAILOVER:
        for _, hop, _ in hops:
            hop.others = []
    return hops


def build(msg: SipMsg, branch: Branch, via_branch: bytes, hop: NextHop, lumps: list[Lump] | None) -> bytes:
    """The request of a branch, with its own edits where it has some."""
    if lumps is None:
        return build_request(msg, branch, via_branch, hop.listener)
    kept, msg.lumps = msg.lumps, lumps
    try:
        return build_request(msg, branch, via_branch, hop.listener)
    finally:
        msg.lumps = kept


def become(msg: SipMsg, branch: Branch) -> None:
    """Makes `branch` what the message is sent to."""
    msg.set_ruri(branch.uri)
    msg.q = branch.q
    msg.dst_uri = branch.dst_uri
    msg.path = branch.path
    msg.branch_flags = branch.flags
    msg.force_listener = branch.listener
