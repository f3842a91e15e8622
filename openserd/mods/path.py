"""path: puts this server into the Path of a REGISTER, so that requests to its contact come back here (RFC 3327)."""

import logging
from typing import TYPE_CHECKING, Any, Final

from openserd.core.module import OK, REQUEST, Fixup, Fn, Module, param
from openserd.core.network.transport import bracketed
from openserd.errors import ConfigError, SipError
from openserd.parser import names
from openserd.parser.uri import parse_uri, unescape

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg
    from openserd.core.network.transport import Listener

log = logging.getLogger("openserd")

USER: Final = "the user part of a SIP URI"


class PathLine:
    """A Path as a lump: called with the listener that a request leaves by, it gives the header line.

    `user` ends with "@" or is empty; `tail` is what follows host and port.
    """

    __slots__ = ("tail", "user")

    def __init__(self, user: bytes, tail: bytes) -> None:
        self.user = user
        self.tail = tail

    def __call__(self, listener: "Listener") -> bytes:
        """The header line of a request that leaves by `listener`."""
        transport = b"" if listener.proto == "udp" else b";transport=%b" % listener.proto.encode()
        return b"Path: <sip:%b%b%b%b>\r\n" % (self.user, listener.sent_by, transport, self.tail)


class PathModule(Module):
    """Path for registrations. `use_received` needs rr."""

    name = "path"
    use_received: int = param(0)  #: 1: requests whose Route was made by add_path_received() go to that address

    functions = {
        "add_path": Fn(Fixup("user", "fix_user", expects=USER, optional=True), routes=REQUEST),
        "add_path_received": Fn(Fixup("user", "fix_user", expects=USER, optional=True), routes=REQUEST),
    }

    rr: Any = None

    def on_ready(self, core: "Core") -> None:
        """Asks rr to tell of each request that came by a Route, where that is wanted."""
        if self.use_received:
            self.rr = core.require("rr")
            self.rr.register(self.follow_received)

    def fix_user(self, text: str) -> bytes:
        """A user part, with its "@"."""
        user = text.encode("utf-8", "surrogateescape")
        try:
            found = parse_uri(b"sip:%b@host" % user).user
        except SipError:
            found = None
        if found != user:
            raise ConfigError(f"'{text}' cannot be the user of a URI", expected=USER)
        return user + b"@"

    def add_path(self, msg: "SipMsg", user: bytes = b"") -> int:
        """1 the request will carry `Path: <sip:user@host:port;lr>`, the address being that by which it leaves, in
        front of the Path that it has."""
        return add_line(msg, PathLine(user, b";lr"))

    def add_path_received(self, msg: "SipMsg", user: bytes = b"") -> int:
        """1 as `add_path`, with the address that the request came from as `received=sip:host:port`."""
        return add_line(msg, PathLine(user, b";lr;received=" + source_uri(msg)))

    def follow_received(self, msg: "SipMsg", params: bytes) -> None:
        """Makes the address in our own Route value, if it has one, the next hop."""
        received = unescape(self.rr.get_route_param(msg, b"received") or b"")
        if not received:
            return
        try:
            parse_uri(received)
        except SipError:
            log.info("path: the Route has a received parameter that is no URI, and it is passed over")
            return
        msg.dst_uri = received


def add_line(msg: "SipMsg", line: PathLine) -> int:
    """Puts a Path before the first one, or behind all header lines (RFC 3327 section 5.2: the last proxy first)."""
    lines = msg.indexes(names.PATH)
    msg.insert(msg.line_span(lines[0])[0] if lines else msg.headers_end, line)
    return OK


def source_uri(msg: "SipMsg") -> bytes:
    """Where the request came from, as a URI inside of a URI: its semicolon and equals sign are escaped."""
    proto = msg.listener.proto
    transport = "" if proto == "udp" else f"%3Btransport%3D{proto}"
    return f"sip:{bracketed(msg.source_host)}:{msg.source_port}{transport}".encode()
