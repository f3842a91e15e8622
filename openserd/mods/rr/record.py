"""The Record-Route that this server adds, written when a request is sent (RFC 3261 section 16.6 item 4).

    Record-Route: <sip:user@host:port;transport=tcp;r2=on;lr;ftag=tag;params>

Where a request leaves by another listener than it came in by, there are two values, the outer one first: each
side reaches the listener that it can see, and `r2=on` on both says that they belong together.
"""

from typing import Final

from openserd.core.lumps import RecordRouteLump
from openserd.core.message import SipMsg
from openserd.core.network.transport import Listener
from openserd.parser.uri import parse_uri

END: Final = b">\r\n"
MAX_PARAMS: Final = 512  #: bytes that add_rr_param can add to one message (OpenSER: RR_PARAM_BUF_SIZE)


class RecordRoute(RecordRouteLump):
    """A Record-Route as a lump: called with the listener that a request leaves by, it gives the header lines.

    `user` ends with "@" or is empty; `tail` is what follows host and port; `arrived` is the listener of the other side;
    `double` allows a second value.
    """

    __slots__ = ("arrived", "double", "tail", "user")

    def __init__(self, user: bytes, tail: bytes, params: bytes, arrived: Listener, double: bool) -> None:
        self.params = params
        self.user = user
        self.tail = tail
        self.arrived = arrived
        self.double = double

    def pieces(self, listener: Listener) -> list[bytes]:
        """The header lines, cut where the parameters come."""
        arrived = self.arrived
        side = listener if listener is arrived or same_address(listener, arrived) else arrived
        if side is listener or not self.double:
            return [self.line(side, b""), END]
        return [self.line(listener, b";r2=on"), END + self.line(arrived, b";r2=on"), END]

    def line(self, listener: Listener, r2: bytes) -> bytes:
        """One header line up to its parameters, for the side of `listener`."""
        transport = b"" if listener.proto == "udp" else b";transport=%b" % listener.proto.encode()
        return b"Record-Route: <sip:%b%b%b%b%b" % (self.user, listener.sent_by, transport, r2, self.tail)


class PresetRecordRoute(RecordRoute):
    """A Record-Route whose host the script has given, in `tail`; the same whatever the listener."""

    __slots__ = ()

    def pieces(self, listener: Listener) -> list[bytes]:
        """The header line, cut where the parameters come."""
        return [b"Record-Route: <sip:%b%b" % (self.user, self.tail), END]


def same_address(one: Listener, two: Listener) -> bool:
    """Whether two listeners are the same address and transport."""
    return one.address == two.address and one.proto == two.proto


def find_record_route(msg: SipMsg) -> RecordRouteLump | None:
    """The Record-Route that the message is going to get, None where there is none yet."""
    for _, _, data in msg.lumps:
        if isinstance(data, RecordRouteLump):
            return data
    return None


def add_param(msg: SipMsg, text: bytes) -> bool:
    """Adds parameters, with their ";", to the Record-Route there is or will be; False when too long."""
    added = find_record_route(msg)
    if len(added.params if added else msg.rr_params) + len(text) > MAX_PARAMS:
        return False
    if added is not None:
        added.params += text
    else:
        msg.rr_params += text
    return True


def route_user(msg: SipMsg, ignored: bytes) -> bytes:
    """The user of the request URI and an "@", b"" where it has none; the one as received goes first.

    The user that marks foreign Routes is altered: it would make ours look foreign (OpenSER: ignore_user).
    """
    user = user_of(msg, msg.original_ruri) or user_of(msg, msg.ruri)
    if not user:
        return b""
    if user == ignored:
        user = (b"y" if user[:1] == b"x" else b"x") + user[1:]
    return user + b"@"


def user_of(msg: SipMsg, uri: bytes) -> bytes | None:
    """The user part of a URI. Raises SipError."""
    return msg.uri.user if uri == msg.ruri else parse_uri(uri).user
