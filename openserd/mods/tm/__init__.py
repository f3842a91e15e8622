"""tm: stateful transactions (RFC 3261 section 17, RFC 6026), shared by all processes.

fsm.py         the four state machines as tables
record.py      a transaction in shared memory
store.py       found, loaded, saved under its lock
keys.py        which transaction a message belongs to
machine.py     drives the machines over a transaction in hand
proxy.py       what the replies of all branches come to
requests.py    requests, CANCEL and ACK
replies.py     replies
timers.py      what happens when a timer runs out
wire.py        the ACK and CANCEL made here
"""

import logging
from typing import Final

from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.mi import Reply
from openserd.core.module import (
    BRANCH,
    FALSE,
    REQUEST,
    Context,
    Every,
    Fixup,
    Fn,
    Mi,
    Module,
    PvInt,
    PvStr,
    between,
    param,
    positive,
)
from openserd.core.statistics import Statistic
from openserd.core.totag import ToTags
from openserd.core.transport import Address
from openserd.errors import ConfigError, ResourceError, SipError
from openserd.mods.tm.machine import Driver, Timing
from openserd.mods.tm.proxy import Proxy
from openserd.mods.tm.replies import Replies
from openserd.mods.tm.requests import Requests
from openserd.mods.tm.statistics import TmStats
from openserd.mods.tm.store import TransactionStore
from openserd.mods.tm.timers import Timers

log = logging.getLogger("openserd")

TICK_SECONDS: Final = 0.1
OUT_OF_MEMORY: Final = SipError("Excuse me I ran out of memory", 0, 500)

Destination = tuple[str, Address]


class Tm(Module):
    """Stateful processing."""

    name = "tm"
    late_statistics = True
    fr_timer: int = param(30, check=positive)  #: seconds to wait for the first reply, and for an ACK
    fr_inv_timer: int = param(120, check=positive)  #: seconds to wait for the final reply to INVITE
    wt_timer: int = param(5, check=positive)  #: seconds that an answered transaction is kept
    delete_timer: int = param(2, check=positive)  #: accepted; a record here is removed at once
    T1_timer: int = param(500, check=between(1, 60_000))  #: ms to the first retransmission
    T2_timer: int = param(4000, check=between(1, 60_000))  #: ms between retransmissions at most
    ruri_matching: int = param(1, check=between(0, 1))  #: compare request URIs of requests without RFC 3261 branch
    via1_matching: int = param(1, check=between(0, 1))  #: compare their top Via
    syn_branch: int = param(1, check=between(0, 1))  #: 0 puts a digest of the request into branches
    noisy_ctimer: int = param(
        1, check=between(0, 1)
    )  #: 0 drops a call that rings too long silently (OpenSER's default)
    enable_stats: int = param(1, check=between(0, 1))  #: accepted; statistics cost nothing here
    max_transactions: int = param(32_768, check=between(64, 4_000_000))  #: ours: the most there can be at a time
    functions = {
        "t_newtran": Fn(routes=REQUEST),
        "t_relay": Fn(
            Fixup("destination or flags", "fix_relay", expects="proto:host:port or a number", optional=True),
            Fixup("flags", "fix_flags", expects="a number", optional=True),
            routes=REQUEST,
        ),
        "t_reply": Fn(PvInt("code"), PvStr("reason"), routes=REQUEST),
        "t_release": Fn(routes=REQUEST),
        "t_retransmit_reply": Fn(routes=REQUEST),
        "t_check_trans": Fn(routes=REQUEST | BRANCH),
    }
    mi = {"t_hash": Mi()}
    timers = {"transactions": Every(TICK_SECONDS)}
    hooks = ("reply_in",)

    def on_init(self, core: Core) -> None:
        """Makes the table and joins the parts."""
        stats = TmStats()
        for statistic in stats.all():
            core.statistics.add(statistic)
        self.store = TransactionStore(core, self.max_transactions)
        core.statistics.add(Statistic("tm", "inuse_transactions", compute=lambda: self.store.table.used))
        timing = Timing(
            self.T1_timer, self.T2_timer, self.fr_timer * 1000, self.fr_inv_timer * 1000, self.wt_timer * 1000
        )
        driver = Driver(self.store, timing)
        addresses = [str(listener).encode() for listener in core.listeners]
        self.proxy = Proxy(core, self.store, driver, ToTags(b"OpenSER-TM/tags", b"-", addresses), stats)
        self.proxy.noisy = bool(self.noisy_ctimer)
        self.requests = Requests(core, self.store, driver, self.proxy, stats)
        driver.trying = self.requests.build_trying
        self.requests.ruri_matching = bool(self.ruri_matching)
        self.requests.via1_matching = bool(self.via1_matching)
        self.requests.syn_branch = bool(self.syn_branch)
        self.replies = Replies(core, self.store, self.proxy, stats)
        self.clock = Timers(self.store, driver, self.proxy)

    # -- script functions -----------------------------------------------------------------------------------

    def fix_relay(self, text: str) -> Destination | int:
        """The first argument of t_relay: flags, or where to send."""
        return int(text, 0) if text.strip().isdigit() else parse_destination(text.strip())

    def fix_flags(self, text: str, context: Context) -> int:
        """The flags of t_relay: 1 no 100, 2 no error reply, 4 no DNS fail-over."""
        if not text.strip().isdigit():
            raise ConfigError(f"'{text}' is not a number", expected="the sum of 1, 2 and 4")
        return int(text)

    def t_relay(self, msg: SipMsg, first: Destination | int = 0, flags: int = 0) -> int:
        """1 sent on or absorbed, 0 a retransmission or answered with an error (the script ends), below 0 an error that
        the script has to answer (flag 2)."""
        destination = first if isinstance(first, tuple) else None
        if isinstance(first, int):
            flags = first
        try:
            return self.requests.relay(msg, flags, destination)
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

    @staticmethod
    def out_of_memory(msg: SipMsg, full: ResourceError) -> int:
        """No room for another transaction: the script is told, sl_reply_error answers 500."""
        log.error("%s", full)
        msg.error = OUT_OF_MEMORY
        return FALSE

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


def parse_destination(text: str) -> Destination:
    """`[proto:]host[:port]` as transport and address. Raises ConfigError."""
    proto, rest = "udp", text
    head, _, tail = text.partition(":")
    if head.lower() in ("udp", "tcp", "tls"):
        proto, rest = head.lower(), tail
    host, separator, port = rest.rpartition(":")
    if not separator or rest.endswith("]"):
        host, port = rest, "5061" if proto == "tls" else "5060"
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"'{text}' is no destination", expected="[proto:]host[:port], as udp:192.0.2.1:5060")
    return proto, (host.strip("[]"), int(port))
