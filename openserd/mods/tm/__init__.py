"""tm: stateful transactions (RFC 3261 section 17, RFC 6026), shared by all processes.

memory/      transactions in shared memory
  record       what is kept of one, field by field
  store        found, loaded, saved under its lock
  keys         which transaction a message belongs to
  index        transactions by what identifies a request end to end
  travel       what of the script's work travels with a transaction
  hand         the transaction of the message at hand
machines/    the machines of RFC 3261 section 17
  fsm          the four of them as tables
  machine      drives them over a transaction in hand
  timers       what happens when a timer runs out
  aftermath    what is done when the lock is released
  wire         the ACK and CANCEL made here
requests/    the way of a request
  arrival      requests, CANCEL and ACK
  forwarding   branches and their next hops, branch routes
  forking      loops and Max-Breadth
  failover     the next address of a destination
replies/     the way of a reply
  arrival      replies, onreply routes
  proxy        what the replies of all branches come to
  choice       which final reply is the best
  failure      failure routes
  claimant     which process runs one
surface/     what others have of it
  arguments    arguments of script functions
  questions    what the script may ask
  hooks        what other modules may know of transactions
  api          the published object "tm"
  results      what became of branches
  local        requests made here
  tell         requests written to other programs
  mi           management commands
  statistics   the numbers
"""

import logging
from typing import TYPE_CHECKING, Final

from openserd.core.context import Core
from openserd.core.management.mi import Reply
from openserd.core.management.statistics import Statistic
from openserd.core.message import SipMsg
from openserd.core.module import (
    BRANCH,
    FAILURE,
    FALSE,
    OK,
    ONREPLY,
    REQUEST,
    STOP,
    Choice,
    Context,
    Every,
    Fixup,
    Fn,
    Mi,
    Module,
    Pv,
    PvInt,
    PvStr,
    Regex,
    Str,
    Uri,
    between,
    not_negative,
    param,
    positive,
)
from openserd.core.reply import build_reply, reply_destination
from openserd.core.totag import ToTags
from openserd.errors import ConfigError, ResourceError, SipError
from openserd.mods.tm.machines.aftermath import Aftermath
from openserd.mods.tm.machines.machine import Driver, Timing
from openserd.mods.tm.machines.timers import Timers
from openserd.mods.tm.memory.index import Identities
from openserd.mods.tm.memory.store import TransactionStore
from openserd.mods.tm.replies.arrival import Replies
from openserd.mods.tm.replies.choice import Preference
from openserd.mods.tm.replies.failure import Failures
from openserd.mods.tm.replies.proxy import Proxy
from openserd.mods.tm.requests.arrival import Requests
from openserd.mods.tm.requests.forking import Forks
from openserd.mods.tm.requests.forwarding import Destination, Forwarding
from openserd.mods.tm.surface.api import TransactionService
from openserd.mods.tm.surface.arguments import OptionalRoute, parse_destination, parse_flags
from openserd.mods.tm.surface.hooks import Watchers
from openserd.mods.tm.surface.local import LocalRequests
from openserd.mods.tm.surface.mi import WATCHER, Answers, Management
from openserd.mods.tm.surface.questions import WHICH, Questions
from openserd.mods.tm.surface.statistics import TmStats
from openserd.mods.tm.surface.tell import Append, Info, Teller
from openserd.script.variables.named import avp_param

if TYPE_CHECKING:
    from regex import Pattern

log = logging.getLogger("openserd")

TICK_SECONDS: Final = 0.1
OUT_OF_MEMORY: Final = SipError("Excuse me I ran out of memory", 0, 500)
WRITE: Final = "action or action/append, and an absolute path"
ARMING: Final = REQUEST | FAILURE | ONREPLY | BRANCH


class Tm(Module):
    """Stateful processing."""

    name = "tm"
    late_statistics = True
    fr_timer: int = param(30, check=positive)  #: seconds to wait for the first reply, and for an ACK
    fr_inv_timer: int = param(185, check=positive)  #: seconds from a provisional reply to the final one (Timer C)
    wt_timer: int = param(5, check=positive)  #: seconds that an answered transaction is kept
    delete_timer: int = param(
        2, check=positive
    )  #: seconds until the removal is tried again of one with a branch that is still being cancelled
    T1_timer: int = param(500, check=between(1, 60_000))  #: ms to the first retransmission
    T2_timer: int = param(4000, check=between(1, 60_000))  #: ms between retransmissions at most
    ruri_matching: int = param(1, check=between(0, 1))  #: compare request URIs of requests without RFC 3261 branch
    via1_matching: int = param(1, check=between(0, 1))  #: compare their top Via
    syn_branch: int = param(1, check=between(0, 1))  #: 0 puts a digest of the request into branches
    noisy_ctimer: int = param(
        1, check=between(0, 1)
    )  #: 0 drops a call that rings too long silently (OpenSER's default)
    enable_stats: int = param(1, check=between(0, 1))  #: whether there are statistics
    max_transactions: int = param(32_768, check=between(64, 4_000_000))  #: ours: the most there can be at a time
    fr_timer_avp: str = param("")  #: AVP with fr_timer for one transaction, such as "$avp(i:708)"
    fr_inv_timer_avp: str = param("")  #: AVP with fr_inv_timer for one transaction
    restart_fr_on_each_reply: int = param(
        1, check=between(0, 1)
    )  #: 0 only a higher provisional starts fr_inv_timer anew
    onreply_avp_mode: int = param(0, check=between(0, 1))  #: 1 onreply_route sees the AVPs of the transaction
    pass_provisional_replies: int = param(
        0, check=between(0, 1)
    )  #: 1 tells who made a request of its provisional replies
    tw_append: list[str] = param([])  #: further lines of t_write_req and t_write_unix, "name:title=$variable;$rb"
    unix_tx_timeout: int = param(2, check=positive)  #: seconds that t_write_unix waits for its socket
    retry_after: int = param(
        10, check=not_negative
    )  #: ours: seconds in the 503 when memory is full; 0 leaves it to the script
    memory_reserve: int = param(
        10, check=between(0, 90)
    )  #: ours: percent of shared memory that new transactions leave to those there are
    accepted_timer: int = param(
        32, check=not_negative
    )  #: ours: seconds that a call answered with 2xx is kept; 0 wt_timer
    late_408: int = param(0, check=between(0, 1))  #: ours: 1 answers 408 to requests other than INVITE (RFC 4320)
    reply_choice: int = param(
        1, check=between(0, 1)
    )  #: ours: 0 the lowest final reply goes on (OpenSER), 1 the best one (RFC 3261 16.7)
    disable_6xx_block: int = param(
        0, check=between(0, 1)
    )  #: ours: 0 a 6xx goes before all and ends the other branches and the hunt, 1 is a failure like others (OpenSER)
    aggregate_challenges: int = param(
        1, check=between(0, 1)
    )  #: ours: 0 a 401 or 407 goes on with its own challenges only (OpenSER), 1 with those of all branches
    forward_503: int = param(0, check=between(0, 1))  #: ours: 1 a 503 goes on as it is (OpenSER), 0 as 500
    loop_detection: int = param(
        1, check=between(0, 1)
    )  #: ours: 1 a fork that comes back to itself is answered 482 (RFC 5393)
    max_breadth: int = param(60, check=not_negative)  #: ours: Max-Breadth of a fork that has none; 0 leaves it alone
    merged_requests: int = param(
        1, check=between(0, 1)
    )  #: ours: 0 a request that comes by a second way is answered 482
    forward_stray_replies: int = param(0, check=between(0, 1))  #: ours: 1 forwards replies of ended transactions
    functions = {
        "t_newtran": Fn(routes=REQUEST),
        "t_relay": Fn(
            Fixup("destination or flags", "fix_relay", expects="proto:host:port or a number", optional=True),
            Fixup("flags", "fix_flags", expects="a number", optional=True),
            routes=REQUEST | FAILURE,
        ),
        "t_reply": Fn(PvInt("code"), PvStr("reason"), routes=REQUEST | FAILURE),
        "t_release": Fn(routes=REQUEST),
        "t_retransmit_reply": Fn(routes=REQUEST),
        "t_check_trans": Fn(routes=REQUEST | BRANCH),
        "t_on_failure": Fn(OptionalRoute("block", FAILURE), routes=ARMING),
        "t_on_reply": Fn(OptionalRoute("block", ONREPLY), routes=ARMING),
        "t_on_branch": Fn(OptionalRoute("block", BRANCH), routes=ARMING),
        "t_check_status": Fn(Regex("code"), routes=ARMING),
        "t_local_replied": Fn(Choice("replies", WHICH), routes=ARMING),
        "t_was_cancelled": Fn(routes=FAILURE | ONREPLY),
        "t_cancel_branch": Fn(Fixup("which", "fix_which", expects="a, o or nothing", optional=True), routes=ONREPLY),
        "t_flush_flags": Fn(routes=REQUEST | BRANCH),
        "t_replicate": Fn(Uri("uri"), Fixup("flags", "fix_flags", expects="a number", optional=True), routes=REQUEST),
        "t_write_req": Fn(
            Fixup("info", "fix_write", expects=WRITE),
            Fixup("fifo", "fix_write", expects=WRITE),
            routes=REQUEST | FAILURE | BRANCH,
        ),
        "t_write_unix": Fn(
            Fixup("info", "fix_write", expects=WRITE),
            Fixup("socket", "fix_write", expects=WRITE),
            routes=REQUEST | FAILURE | BRANCH,
        ),
    }
    pvars = {"T_branch_idx": Pv(), "T_reply_code": Pv()}
    mi = {
        "t_hash": Mi(),
        "t_reply": Mi(
            Str("code"), Str("reason"), Str("trans_id"), Str("to_tag"), Str("headers"), Str("body", optional=True)
        ),
        "t_uac_cancel": Mi(Str("call_id"), Str("cseq")),
        "t_uac_dlg": Mi(
            Str("method"),
            Str("ruri"),
            Str("next_hop"),
            Str("socket"),
            Str("headers"),
            Str("body", optional=True),
            later=True,
        ),
    }
    timers = {"transactions": Every(TICK_SECONDS)}
    hooks = ("reply_in",)

    def on_init(self, core: Core) -> None:
        """Makes the table and joins the parts."""
        stats = self.counts = TmStats()
        self.store = TransactionStore(core, self.max_transactions)
        self.store.reserve = self.memory_reserve
        in_use = Statistic("tm", "inuse_transactions", compute=lambda: self.store.table.used)
        for statistic in [*stats.all(), in_use] if self.enable_stats else []:
            core.statistics.add(statistic)
        timing = Timing(
            t1=self.T1_timer,
            t2=self.T2_timer,
            fr=self.fr_timer * 1000,
            fr_inv=self.fr_inv_timer * 1000,
            wait=self.wt_timer * 1000,
            delete=self.delete_timer * 1000,
            accepted=(self.accepted_timer or self.wt_timer) * 1000,
        )
        driver = Driver(self.store, timing)
        addresses = [str(listener).encode() for listener in core.listeners]
        self.proxy = Proxy(core, self.store, driver, ToTags(b"OpenSER-TM/tags", b"-", addresses), stats)
        self.proxy.noisy = bool(self.noisy_ctimer)
        self.proxy.restart_fr = bool(self.restart_fr_on_each_reply)
        self.proxy.pass_provisional = bool(self.pass_provisional_replies)
        self.proxy.late_408 = bool(self.late_408)
        self.set_choice()
        self.watchers = Watchers()
        aftermath = Aftermath(self.store, self.watchers)
        self.requests = Requests(core, self.store, driver, self.proxy, stats, aftermath)
        self.set_matching(core)
        self.requests.refuses_merged = not self.merged_requests
        self.requests.is_curious = self.requests.timer_avps or not self.merged_requests
        if not self.merged_requests:
            self.store.index = Identities(core, self.store, self.max_transactions)
        self.forwarding = Forwarding(self.requests, Forks(core, bool(self.loop_detection), self.max_breadth))
        self.forwarding.syn_branch = bool(self.syn_branch)
        aftermath.run_failure = Failures(self.requests).run
        self.questions = Questions(self.requests)
        self.teller = Teller(self.requests, self.unix_tx_timeout)
        self.replies = Replies(core, self.store, self.proxy, stats, aftermath)
        self.replies.transaction_avps = bool(self.onreply_avp_mode)
        self.replies.forward_stray = bool(self.forward_stray_replies)
        local = LocalRequests(self.requests, self.forwarding)
        aftermath.acknowledge = local.acknowledge
        self.service = TransactionService(self.watchers, local, self.t_relay, self.t_reply, self.max_transactions)
        core.publish("tm", self.service)
        self.service.add_watcher(WATCHER, Answers(core.mi))
        self.management = Management(self.service, core.listening)
        self.clock = Timers(self.store, driver, self.proxy, aftermath)

    def set_choice(self) -> None:
        """Which final reply goes on."""
        proxy = self.proxy
        proxy.preference = Preference(bool(self.reply_choice), not self.disable_6xx_block)
        proxy.ends_with_6xx = not self.disable_6xx_block
        proxy.merges_challenges = bool(self.aggregate_challenges)
        proxy.forwards_503 = bool(self.forward_503)

    def set_matching(self, core: Core) -> None:
        """How requests are matched, and where their timers may come from. Raises ConfigError."""
        requests = self.requests
        requests.ruri_matching = bool(self.ruri_matching)
        requests.via1_matching = bool(self.via1_matching)
        aliases = core.params.avp_aliases or ""
        requests.fr_avp = avp_param(self.fr_timer_avp, aliases)
        requests.fr_inv_avp = avp_param(self.fr_inv_timer_avp, aliases)
        requests.timer_avps = requests.fr_avp is not None or requests.fr_inv_avp is not None

    # -- script functions -----------------------------------------------------------------------------------

    def fix_relay(self, text: str) -> Destination | int:
        """The first argument of t_relay: flags, or where to send."""
        flags = parse_flags(text)
        return parse_destination(text.strip()) if flags is None else flags

    def fix_flags(self, text: str, context: Context) -> int:
        """The flags of t_relay: 1 no 100, 2 no error reply, 4 no DNS fail-over."""
        flags = parse_flags(text)
        if flags is None:
            raise ConfigError(f"'{text}' is not a number", expected="the sum of 1, 2 and 4")
        return flags

    def fix_which(self, text: str) -> str:
        """The argument of t_cancel_branch."""
        if text.strip() not in ("a", "o", ""):
            raise ConfigError(
                f"'{text}' names no branches", expected="a for all, o for all others, nothing for this one"
            )
        return text.strip()

    def fix_write(self, text: str, context: Context) -> Info | str:
        """An argument of t_write_*: the path, which begins with "/", or the action (the manual and the code of OpenSER
        disagree on their order)."""
        return text if text.startswith("/") else Info(text, [Append(one) for one in self.tw_append], context)

    def t_relay(self, msg: SipMsg, first: Destination | int = 0, flags: int = 0) -> int:
        """1 sent on or absorbed, 0 a retransmission or answered with an error (the script ends), below 0 an error that
        the script has to answer (flag 2)."""
        destination = first if isinstance(first, tuple) else None
        if isinstance(first, int):
            flags = first
        try:
            return self.forwarding.relay(msg, flags, destination)
        except ResourceError as full:
            return self.out_of_memory(msg, full)

    def t_newtran(self, msg: SipMsg) -> int:
        """1 created, 0 a retransmission that has been absorbed (the script ends), -1 not possible."""
        try:
            return self.requests.new_transaction(msg)
        except ResourceError as full:
            return self.out_of_memory(msg, full)

    def t_reply(self, msg: SipMsg, code: int, reason: bytes) -> int:
        """1 sent, 0 a retransmission (the script ends), -1 not possible: an ACK, or a final reply has gone already."""
        if not 100 <= code <= 699:
            log.error("t_reply: %d is no status code", code)
            return FALSE
        try:
            return self.requests.reply(msg, code, reason)
        except ResourceError as full:
            return self.out_of_memory(msg, full)

    def t_release(self, msg: SipMsg) -> int:
        """1 done, -1 there is no transaction."""
        return self.requests.release(msg)

    def t_retransmit_reply(self, msg: SipMsg) -> int:
        """1 sent again, -1 there is no transaction or it has sent nothing yet."""
        return self.requests.retransmit_reply(msg)

    def t_check_trans(self, msg: SipMsg) -> int:
        """1 belongs to a transaction (a CANCEL or ACK to that of its INVITE), 0 a retransmission (the script ends), -1
        belongs to none."""
        return self.requests.check(msg)

    # -- routes, and questions about the transaction --------------------------------------------------------

    def t_on_failure(self, msg: SipMsg, block: bytes) -> int:
        """1 armed, or disarmed by "0"."""
        self.requests.arm(msg, "on_failure", block)
        return OK

    def t_on_reply(self, msg: SipMsg, block: bytes) -> int:
        """1 armed, or disarmed by "0"."""
        self.requests.arm(msg, "on_reply", block)
        return OK

    def t_on_branch(self, msg: SipMsg, block: bytes) -> int:
        """1 armed, or disarmed by "0"."""
        self.requests.arm(msg, "on_branch", block)
        return OK

    def t_check_status(self, msg: SipMsg, code: "Pattern[bytes]") -> int:
        """1 the code matches (in a failure route the one chosen, in a reply route that of the reply, else the last one
        sent), -1 it does not or there is none."""
        return OK if self.questions.check_status(msg, code) else FALSE

    def t_local_replied(self, msg: SipMsg, replies: str) -> int:
        """1 these were made here: "all" replies so far, the "last" one sent, that of the failed "branch"; -1 not."""
        return OK if self.questions.local_replied(msg, replies) else FALSE

    def t_was_cancelled(self, msg: SipMsg) -> int:
        """1 the caller has cancelled, -1 not."""
        return OK if self.questions.was_cancelled(msg) else FALSE

    def t_cancel_branch(self, msg: SipMsg, which: str = "") -> int:
        """1 cancelled, at once or when it rings: the branch that the reply came in for, with "o" all others, "a" all;
        -1 no INVITE, or answered already."""
        return OK if self.requests.cancel_branches(msg, which) else FALSE

    def t_flush_flags(self, msg: SipMsg) -> int:
        """1 the transaction has the flags of the message now, -1 there is none."""
        return OK if self.requests.flush_flags(msg) else FALSE

    def t_replicate(self, msg: SipMsg, uri: bytes, flags: int = 0) -> int:
        """1 sent, also when a retransmission is not sent again, -1 it cannot be sent."""
        try:
            return OK if self.forwarding.replicate(msg, uri, flags) else FALSE
        except ResourceError as full:
            log.error("%s", full)
            return FALSE

    def t_write_req(self, msg: SipMsg, info: Info | str, fifo: Info | str) -> int:
        """1 written, -1 not: no transaction, nobody reads the FIFO, or it has been answered."""
        return self.tell(msg, info, fifo, unix=False)

    def t_write_unix(self, msg: SipMsg, info: Info | str, socket: Info | str) -> int:
        """1 sent, -1 not: no transaction, nobody takes it from the socket, or it has been answered."""
        return self.tell(msg, info, socket, unix=True)

    def tell(self, msg: SipMsg, one: Info | str, other: Info | str, unix: bool) -> int:
        """1 handed over, -1 not."""
        info, path = (one, other) if isinstance(one, Info) else (other, one)
        if not isinstance(info, Info) or not isinstance(path, str):
            log.error("t_write_req, t_write_unix: an action and an absolute path are needed")
            return FALSE
        return OK if self.teller.tell(msg, info, path, unix) else FALSE

    def pv_T_branch_idx(self, msg: SipMsg) -> int:
        """The number, from 1, of the branch whose branch_route runs; 0 elsewhere."""
        return self.forwarding.branch_index

    def pv_T_reply_code(self, msg: SipMsg) -> int:
        """The code that t_check_status looks at, 0 where there is none."""
        return self.questions.variable_code(msg)

    def out_of_memory(self, msg: SipMsg, full: ResourceError) -> int:
        """No room for another transaction. 0 answered 503 with Retry-After (the script ends), -1 left to the script,
        whose sl_reply_error answers 500."""
        log.error("%s", full)
        self.counts.refused_requests.bump()
        msg.error = OUT_OF_MEMORY
        if not self.retry_after or msg.method == b"ACK" or msg.route_kind == FAILURE:
            return FALSE
        headers = b"Retry-After: %d\r\n" % self.retry_after
        tag = self.proxy.totags.tag(msg)
        data = build_reply(self.core, msg, 503, b"Service Unavailable", tag, headers)
        msg.listener.send(data, reply_destination(msg, self.core))
        msg.error = None
        return STOP

    # -- hooks ----------------------------------------------------------------------------------------------

    def on_reply_in(self, msg: SipMsg) -> bool:
        """Takes replies that belong to a transaction."""
        return self.replies.receive(msg)

    def timer_transactions(self) -> None:
        """Retransmissions, time-outs, removals."""
        self.clock.run()

    def mi_t_hash(self) -> Reply:
        """How many transactions there are (OpenSER lists hash slots; here the table as one)."""
        reply = Reply()
        table = self.store.table
        reply.add("Transactions", table.used, Current=table.used, Total=table.high_water)
        return reply

    def mi_t_reply(self, code: str, reason: str, trans_id: str, to_tag: str, headers: str, body: str = "") -> Reply:
        """Answers a transaction, SLOT:LABEL as t_write_req tells it; headers or "." for none."""
        return self.management.reply(code, reason, trans_id, to_tag, headers, body)

    def mi_t_uac_cancel(self, call_id: str, cseq: str) -> Reply:
        """Cancels an INVITE."""
        return self.management.cancel(call_id, cseq)

    def mi_t_uac_dlg(
        self, ticket: str, method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str = ""
    ) -> Reply | None:
        """Sends a request; "." for a next hop, socket or headers that are not given."""
        return self.management.uac(ticket, method, ruri, next_hop, socket, headers, body)
