"""When records are made: what tm tells of transactions whose flags ask for it.

    flags of the request        INVITE, every branch failed     a reply has gone out           the ACK to a 2xx
    log_flag, db_flag                                           answered *                     acknowledged (report_ack)
    log_missed_flag, ...        call missed, flag cleared       call missed (300 and above)

    * 2xx always, 300 and above with failed_transaction_flag, 183 with early_media

The request URI in a record is that of the branch whose reply went on, whatever its code; where the script has answered,
the one that it had given the request.  (OpenSER: acc_logic.c.)
"""

from typing import TYPE_CHECKING, Final

from openserd.mods.acc.record import ACKNOWLEDGED, ANSWERED, MISSED, Answer, make_record, own_to_tag
from openserd.parser.message import Message
from openserd.parser.status import reason_phrase

if TYPE_CHECKING:
    from openserd.core.message import SipMsg
    from openserd.mods.acc import Acc
    from openserd.mods.tm.surface.hooks import Event

SESSION_PROGRESS: Final = 183


class Accountant:
    """Watches transactions for `acc`; what it leaves with one is the message flags at its begin."""

    def __init__(self, acc: "Acc") -> None:
        self.acc = acc
        self.wants_acks = bool(acc.report_ack)

    def should_watch(self, msg: "SipMsg") -> bool:
        """Whether a request that gets a transaction is accounted for."""
        if msg.method == b"CANCEL" and not self.acc.report_cancels:
            return False
        return bool(msg.flags & (self.acc.answered_mask | self.acc.missed_mask))

    def reply_in(self, event: "Event") -> None:
        """A reply has come in."""

    def completed(self, event: "Event") -> None:
        """The first final reply has gone out."""

    def forwarded(self, event: "Event") -> None:
        """A branch is being made."""

    def answered(self, event: "Event") -> None:
        """A request made here has been answered."""

    def reply_out(self, event: "Event") -> None:
        """A reply has gone out."""
        msg = event.request
        if event.code >= 300 and msg.method == b"INVITE":
            self.missed(event)
        if msg.flags & self.acc.answered_mask and self.is_of_interest(msg, event.code):
            self.record(event, ANSWERED, self.acc.db_table_acc, self.acc.log_mask, self.acc.db_mask)

    def failure(self, event: "Event") -> None:
        """Every branch has failed: the call is missed, however it goes on."""
        if event.request.method != b"INVITE":
            return
        branch = self.acc.tm.picked_branch(event.request)
        self.missed(event, None if branch is None else branch.reply)

    def ack_in(self, event: "Event") -> None:
        """The ACK to a 2xx has come in; the flags are those of the INVITE."""
        flags = int(event.data or b"0")
        ack = event.request
        answer = Answer(b"%d" % event.code, reason_phrase(event.code), own_to_tag(ack))
        self.acc.write(
            ack, make_record(ack, answer, False), ACKNOWLEDGED, self.acc.db_table_acc,
            bool(flags & self.acc.log_mask), bool(flags & self.acc.db_mask),
        )  # fmt: skip

    def is_of_interest(self, msg: "SipMsg", code: int) -> bool:
        """Whether a reply is recorded."""
        if code >= 300:
            return bool(msg.flags & self.acc.failed_mask)
        return code >= 200 or (bool(self.acc.early_media) and code == SESSION_PROGRESS)

    def missed(self, event: "Event", reply: Message | None = None) -> None:
        """A call that was not answered, `reply` where one has been chosen: recorded once, whatever is tried then."""
        msg = event.request
        acc = self.acc
        if not msg.flags & acc.missed_mask:
            return
        self.record(event, MISSED, acc.db_table_missed_calls, acc.log_missed_mask, acc.db_missed_mask, reply)
        msg.flags &= ~acc.missed_mask

    def record(
        self, event: "Event", kind: bytes, table: str, log_mask: int, db_mask: int, reply: Message | None = None
    ) -> None:
        """Makes a record for the masks that the request's flags meet."""
        msg = event.request
        made = make_record(msg, answer_of(event, reply), self.acc.is_upstream(msg))
        self.acc.write(msg, made, kind, table, bool(msg.flags & log_mask), bool(msg.flags & db_mask))


def answer_of(event: "Event", reply: Message | None = None) -> Answer:
    """The answer in an event: the reply that came in, or else what was sent, or what a code alone says."""
    reply = reply or event.reply
    if reply is None and event.datagram:
        reply = Message(event.datagram)
    if reply is None or reply.is_request:
        return Answer(b"%d" % event.code, reason_phrase(event.code), own_to_tag(event.request))
    return Answer(b"%d" % event.code, reply.reason, reply.to_tag or b"")
