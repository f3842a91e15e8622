"""What other modules may know and do about transactions: the published object "tm".

    tm = core.require("tm")                       in on_init, tm being loaded before
    tm.add_watcher("acc", MyWatcher())            before the fork, so that every process has it
    tm.request_in.append(function)                called for each request that is about to get a transaction
    tm.watch(msg, "acc", b"data")                 there, or in the script: this transaction is watched

What happens to a watched transaction is told to its watchers, in whichever process it happens, with the data that were
left with the transaction.  They are called without any lock held.  (OpenSER: t_hooks.h, register_tmcb(); a function
pointer and its parameter there, a name and bytes here, because any process may be the one to call.)
"""

import logging
from collections.abc import Callable
from typing import Final

from openserd.core.message import SipMsg

log = logging.getLogger("openserd")

REPLY_IN: Final = 1  #: a reply has come in, before anything is decided
REPLY_OUT: Final = 2  #: a reply has gone out
COMPLETED: Final = 3  #: the first final reply has gone out
FAILURE: Final = 4  #: every branch has failed; before the failure route
ACK_IN: Final = 5  #: the ACK to a 2xx has come in
FORWARDED: Final = 6  #: a branch has been made of the request
ANSWERED: Final = 7  #: a request made here has got its final reply
ACK_DUE: Final = 8  #: a 2xx to an INVITE made here


class Event:
    """What happened to a transaction: `data` are the watcher's own, `code` the status, `reply` the message that came in
    where there is one, `datagram` what has gone out, `request` as it was received, with the script's lumps and AVPs.

    Its request URI is that of the branch whose reply it is; where it is no branch's, as the script has left it
    (OpenSER: relaied_reply_branch).
    """

    __slots__ = ("code", "data", "datagram", "kind", "reply", "request")

    def __init__(
        self, kind: int, request: SipMsg, data: bytes, code: int = 0, reply: SipMsg | None = None, datagram: bytes = b""
    ) -> None:
        self.kind = kind
        self.request = request
        self.data = data
        self.code = code
        self.reply = reply
        self.datagram = datagram


class Watcher:
    """Whoever watches transactions; a subclass overrides what it wants to know of."""

    wants_acks = False  #: whether the ACK to a 2xx is looked for, which costs an index

    def reply_in(self, event: Event) -> None:
        """A reply has come in; nothing is decided yet."""

    def reply_out(self, event: Event) -> None:
        """A reply has gone out."""

    def completed(self, event: Event) -> None:
        """The first final reply has gone out."""

    def failure(self, event: Event) -> None:
        """Every branch of the latest round has failed; `event.request` may be given new branches (OpenSER:
        TMCB_ON_FAILURE), before the script's failure route sees it."""

    def ack_in(self, event: Event) -> None:
        """The ACK to a 2xx has come in; it is `event.request`."""

    def forwarded(self, event: Event) -> None:
        """A branch is being made; `event.request` is as that branch will be sent, further lumps are for it alone."""

    def answered(self, event: Event) -> None:
        """A request made here has got its final reply, or none in time (`event.reply` is None then)."""


NAMES: Final = {
    REPLY_IN: "reply_in",
    REPLY_OUT: "reply_out",
    COMPLETED: "completed",
    FAILURE: "failure",
    ACK_IN: "ack_in",
    FORWARDED: "forwarded",
    ANSWERED: "answered",
}


class Watchers:
    """All watchers of a server by name."""

    def __init__(self) -> None:
        self.by_name: dict[bytes, Watcher] = {}
        self.request_in: list[Callable[[SipMsg], None]] = []

    def add(self, name: str, watcher: Watcher) -> None:
        """Registers a watcher; before the fork."""
        assert name.encode() not in self.by_name, f"there are two watchers {name}"
        self.by_name[name.encode()] = watcher

    def tell(self, kind: int, name: bytes, event: Event) -> None:
        """Tells one watcher; what goes wrong there is its own."""
        watcher = self.by_name.get(name)
        if watcher is None:
            return
        try:
            getattr(watcher, NAMES[kind])(event)
        except Exception:
            log.exception("tm: watcher %s failed", name.decode())
