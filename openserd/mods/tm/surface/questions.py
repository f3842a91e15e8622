"""What a script may ask about the transaction at hand: t_check_status, t_local_replied, t_was_cancelled, variables."""

from typing import Any, Final

from openserd.core.message import SipMsg
from openserd.core.module import FAILURE, ONREPLY
from openserd.mods.tm.memory.hand import FailureRun
from openserd.mods.tm.memory.record import CANCELLED, GOT_REPLY, LOCAL_REPLY
from openserd.mods.tm.memory.store import Transaction
from openserd.mods.tm.requests.arrival import Requests

WHICH: Final = ("all", "branch", "last")  #: replies that t_local_replied asks about


class Questions:
    """Answers from the record."""

    def __init__(self, requests: Requests) -> None:
        self.requests = requests

    def transaction(self, msg: SipMsg) -> Transaction | None:
        """The transaction of a message, as it is now."""
        found = self.requests.current(msg)
        return None if found is None else self.requests.look(found)

    def reply_code(self, msg: SipMsg) -> int:
        """The code of the reply at hand: in a reply route the one that came, in a failure route the one chosen, else
        the last one sent; 0 for none."""
        if not msg.is_request:
            return msg.status
        if isinstance(msg.extension, FailureRun):
            return msg.extension.status
        t = self.transaction(msg)
        return 0 if t is None else t.server.status

    def check_status(self, msg: SipMsg, pattern: Any) -> bool:
        """Whether that code matches."""
        code = self.reply_code(msg)
        return bool(code) and pattern.search(b"%d" % code) is not None

    def was_cancelled(self, msg: SipMsg) -> bool:
        """Whether the caller has cancelled the INVITE."""
        t = self.transaction(msg)
        return t is not None and bool(t.server.flags & CANCELLED)

    def local_replied(self, msg: SipMsg, which: str) -> bool:
        """Whether no reply of `which` came from outside."""
        t = self.transaction(msg)
        if t is None:
            return False
        if which == "all":
            return not any(branch.flags & GOT_REPLY for branch in t.branches)
        if which == "last":
            return bool(t.server.flags & LOCAL_REPLY)
        run = msg.extension
        return isinstance(run, FailureRun) and not t.branches[run.branch].flags & GOT_REPLY

    def variable_code(self, msg: SipMsg) -> int:
        """$T_reply_code: 0 where a route of another kind runs."""
        if msg.route_kind == ONREPLY and self.requests.current(msg) is None:
            return 0
        if msg.route_kind == FAILURE and not isinstance(msg.extension, FailureRun):
            return 0
        return self.reply_code(msg)
