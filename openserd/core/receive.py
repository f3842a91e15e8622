"""One message in: from a datagram to the script and what follows.

Parse, refuse what breaks the protocol, ask the modules that want it first, run the route (OpenSER: receive.c).  A
broken message costs a counter and, where it can be answered, a reply; it never stops the worker.
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from openserd.core import routes
from openserd.core.error_reply import BAD_REQUEST
from openserd.core.message import SipMsg
from openserd.core.module import ERROR, ONREPLY, REQUEST
from openserd.core.network.transport import Address, Listener
from openserd.core.reply import forward_reply, reject
from openserd.core.ruri import drop_own_maddr
from openserd.errors import SipError
from openserd.parser.methods import METHOD_BITS
from openserd.parser.uri import UriError

if TYPE_CHECKING:
    from openserd.core.context import Core

log = logging.getLogger("openserd")

SEMICOLON: Final = ord(";")
SHORTEST: Final = 32  #: bytes; anything below is a keep-alive (OpenSER: MIN_UDP_PACKET)


class Receiver:
    """What a worker does with each datagram."""

    def __init__(self, core: "Core") -> None:
        self.core = core
        self.number = 0

    def receive(self, buf: bytes, source: Address, listener: Listener) -> None:
        """Handles one message completely."""
        if len(buf) < SHORTEST:
            return
        self.number += 1
        core = self.core
        try:
            msg = SipMsg(buf, source, listener, self.number)
        except SipError as error:
            is_reply = buf.startswith(b"SIP/")
            (core.stats.err_replies if is_reply else core.stats.err_requests).bump()
            log.info("dropped a %s from %s:%d: %s", "reply" if is_reply else "request", *source[:2], error)
            return
        if msg.is_request:
            self.receive_request(msg)
        else:
            self.receive_reply(msg)

    def drop(self, buf: bytes, source: Sequence[object]) -> None:
        """Leaves a message unhandled that processes have died of."""
        stats = self.core.stats
        (stats.drop_replies if buf.startswith(b"SIP/") else stats.drop_requests).bump()
        log.info("a message from %s:%s is not handled: processes have died of it", *source[:2])

    def receive_request(self, msg: SipMsg) -> None:
        """Validates a request and runs the request route over it."""
        core = self.core
        core.stats.rcv_requests.bump()
        try:
            msg.validate_request()
        except SipError as error:
            self.refuse(msg, error)
            return
        if SEMICOLON in msg.ruri and b"maddr=" in msg.ruri.lower():
            drop_own_maddr(core, msg)
        if msg.method not in METHOD_BITS:
            core.stats.unsupported_methods.bump()
        if msg.method == b"ACK":
            for hook in core.ack_in:
                if not hook(msg):
                    core.stats.drop_requests.bump()
                    return
        route = core.routes.request
        if route is not None:
            routes.run(route, msg, REQUEST)
        if msg.error is not None:
            self.count(msg.error)
            if core.routes.error is not None:
                routes.run(core.routes.error, msg, ERROR)
        for after in core.request_out:
            after(msg)

    def refuse(self, msg: SipMsg, error: SipError) -> None:
        """A request that breaks the protocol: the script's error route decides, or it is answered here."""
        self.core.stats.err_requests.bump()
        if error is not msg.start_error:
            self.count(error)
        log.info("refused a request from %s:%d: %s", msg.source_host, msg.source_port, error)
        msg.error = error
        if self.core.routes.error is not None:
            routes.run(self.core.routes.error, msg, ERROR)
        else:
            reject(self.core, msg, error)

    def receive_reply(self, msg: SipMsg) -> None:
        """Runs the unnumbered onreply_route, offers the reply to the transactions, else forwards it."""
        core = self.core
        core.stats.rcv_replies.bump()
        try:
            msg.validate_reply()
            if core.params.check_via and not core.is_myself(msg.top_via().host, msg.top_via().port):
                self.drop_reply(msg, SipError("the top Via is not this server", msg.top_via().start))
            elif core.routes.reply is not None and not self.passes(core.routes.reply, msg):
                core.stats.drop_replies.bump()
            else:
                for hook in core.reply_in:
                    if hook(msg):
                        return
                if not forward_reply(core, msg):
                    core.stats.drop_replies.bump()
        except SipError as error:
            self.count(error)
            self.drop_reply(msg, error)

    def drop_reply(self, msg: SipMsg, error: SipError) -> None:
        """A reply that nothing can be done with."""
        self.core.stats.err_replies.bump()
        log.info("dropped a reply from %s:%d: %s", msg.source_host, msg.source_port, error)

    def count(self, error: SipError) -> None:
        """Counts what could not be understood: a URI, or a header field that is missing, repeated or malformed."""
        if isinstance(error, UriError):
            self.core.stats.bad_URIs_rcvd.bump()
        elif error.code == BAD_REQUEST:
            self.core.stats.bad_msg_hdr.bump()

    @staticmethod
    def passes(route: routes.RouteFn, msg: SipMsg) -> bool:
        """Whether the unnumbered onreply_route lets a reply pass; only a provisional one can be dropped there."""
        routes.run(route, msg, ONREPLY)
        return not (msg.dropped and msg.status < 200)
