"""sl: replies without a transaction, and the end of the ACKs that answer them (RFC 3261 section 16.11).

A stateless reply is the same for every retransmission of its request, its To tag included.  The ACK that a
peer sends to a stateless final reply is recognised by that tag and goes no further.
"""

import time
from collections.abc import Callable
from typing import Final

from openserd.core.context import Core
from openserd.core.error_reply import error_reply
from openserd.core.management.statistics import Statistic
from openserd.core.message import SipMsg
from openserd.core.module import (
    ERROR,
    FALSE,
    OK,
    REQUEST,
    Context,
    Fixup,
    Fn,
    Module,
    PvInt,
    PvStr,
    Stat,
    param,
    stat,
)
from openserd.core.network.transport import Address
from openserd.core.reply import build_reply, reply_destination
from openserd.core.totag import ToTags
from openserd.errors import ConfigError

FIRST_CODE: Final = 100
LAST_CODE: Final = 699
ACK_WAIT: Final = 20  #: tenths of a second after a stateless reply in which ACKs are looked at (OpenSER: 2 s)

#: Told of every reply before it is sent: request, reply, code, reason, where it goes.
ReplyCallback = Callable[[SipMsg, bytes, int, bytes, Address], None]


class StatelessReplies:
    """What other modules use as "sl".

    `quiet_after` is one u32 shared by all processes: the tenth of a second (monotonic) from which on no ACK
    to a stateless reply to INVITE is due.  `sent` and `sent_by_class` count; `sent` is None where statistics are off.
    """

    def __init__(self, core: Core, sent: Statistic | None, sent_by_class: list[Statistic]) -> None:
        self.core = core
        self.sent = sent
        self.sent_by_class = sent_by_class
        self.tags = ToTags(b"OpenSER-stateless", b".", [str(one).encode() for one in core.listeners])
        own = memoryview(bytearray(4)).cast("I")
        self.quiet_after = core.memory.words(1) if core.shared is not None else own
        self.callbacks: list[ReplyCallback] = []
        self.clock: Callable[[], float] = time.monotonic

    def reply(self, msg: SipMsg, code: int, reason: bytes, to_tag: bytes | None = None) -> bool:
        """Answers the request; False for an ACK, which never is, and where the system refuses to send.

        `to_tag` is used instead of our own where the request has none.
        """
        method = msg.method
        if method == b"ACK":
            return False
        core = self.core
        if to_tag is None and code >= 180:
            to_tag = self.tags.tag(msg)
        data = build_reply(core, msg, code, reason, to_tag)
        destination = reply_destination(msg, core)
        for callback in self.callbacks:
            callback(msg, data, code, reason, destination)
        if not msg.listener.send(data, destination):
            return False
        if method == b"INVITE":
            self.quiet_after[0] = int(self.clock() * 10) + ACK_WAIT & 0xFFFFFFFF
        if self.sent is not None:
            self.sent.bump()
            self.sent_by_class[code // 100 - 1].bump()
        return True

    def register(self, callback: ReplyCallback) -> None:
        """Has `callback` told of every reply (OpenSER: register_slcb)."""
        self.callbacks.append(callback)

    def is_own_ack(self, msg: SipMsg) -> bool:
        """Whether the ACK `msg` answers a stateless reply of the last two seconds, by whichever process."""
        return int(self.clock() * 10) < self.quiet_after[0] and self.tags.is_ours(msg.to_tag)


class Sl(Module):
    name = "sl"
    enable_stats: int = param(1)  #: whether replies are counted
    replies_1xx = stat("1xx_replies")
    replies_2xx = stat("2xx_replies")
    replies_3xx = stat("3xx_replies")
    replies_4xx = stat("4xx_replies")
    replies_5xx = stat("5xx_replies")
    replies_6xx = stat("6xx_replies")
    sent_replies = stat("sent_replies")
    sent_err_replies = stat("sent_err_replies")
    received_acks = stat("received_ACKs")
    functions = {
        "sl_send_reply": Fn(
            Fixup("code", "fix_code", expects="a number from 100 to 699, or variables"),
            Fixup("reason", "fix_reason", expects="text, with variables where wanted"),
            routes=REQUEST | ERROR,
        ),
        "sl_reply_error": Fn(routes=REQUEST),
    }
    hooks = ("ack_in",)
    replies: StatelessReplies

    def on_init(self, core: Core) -> None:
        """Publishes "sl", a `StatelessReplies`."""
        by_class = [
            self.replies_1xx,
            self.replies_2xx,
            self.replies_3xx,
            self.replies_4xx,
            self.replies_5xx,
            self.replies_6xx,
        ]
        self.replies = StatelessReplies(core, self.sent_replies if self.enable_stats else None, by_class)
        core.publish("sl", self.replies)

    def statistics(self) -> list[Stat]:
        """None where they are off."""
        return super().statistics() if self.enable_stats else []

    def fix_code(self, text: str, context: Context) -> object:
        """The reply code: a number, or what evaluates to one."""
        code = PvInt("code").compile(text, context)
        if isinstance(code, int) and not FIRST_CODE <= code <= LAST_CODE:
            raise ConfigError(f"{code} is no reply code", expected="a number from 100 to 699")
        return code

    def fix_reason(self, text: str, context: Context) -> object:
        """The reason phrase, which cannot be empty."""
        if not text:
            raise ConfigError("a reply needs a reason phrase", expected='text such as "Not Found"')
        return PvStr("reason").compile(text, context)

    def sl_send_reply(self, msg: SipMsg, code: int, reason: bytes) -> int:
        """1 sent, -1 not: the request is an ACK, code or reason hold nothing usable, or sending failed."""
        if not FIRST_CODE <= code <= LAST_CODE or not reason:
            return FALSE
        return OK if self.replies.reply(msg, code, reason) else FALSE

    def sl_reply_error(self, msg: SipMsg) -> int:
        """1 the reply that the last error earns was sent, -1 it was not."""
        code, reason = error_reply(msg.error, b"SL")
        if not self.replies.reply(msg, code, reason):
            return FALSE
        if self.enable_stats:
            self.sent_err_replies.bump()
        return OK

    def on_ack_in(self, msg: SipMsg) -> bool:
        """Swallows an ACK to a stateless reply."""
        if not self.replies.is_own_ack(msg):
            return True
        if self.enable_stats:
            self.received_acks.bump()
        return False
