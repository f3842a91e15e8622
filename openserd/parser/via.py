"""Via: where a message has been and where its reply goes (RFC 3261 section 20.42, rport RFC 3581).

SIP/2.0/UDP host:port;branch=z9hG4bK77;rport=5062;received=192.0.2.1
^start      ^host_start
                     ^sent_by_end                                   ^end
"""

import re
from typing import Final, TypeGuard

from openserd.errors import SipError
from openserd.parser.params import TOKEN, VALUE, scan_params, skip_space

#: What a branch begins with when its sender follows RFC 3261 (section 8.1.1.7).
MAGIC_COOKIE: Final = b"z9hG4bK"

HOST: Final = rb"(?:[A-Za-z0-9._\-]++|\[[0-9A-Fa-f:.]++(?:%[A-Za-z0-9._~\-]++)?\])"

#: The form almost every Via has: single space, no white space round separators, branch and rport first.
_PLAIN: Final = re.compile(
    rb"[ \t]*+SIP/2\.0/([A-Za-z0-9\-]++) (" + HOST + rb")(?::([0-9]{1,5}))?"
    rb"((?:(;rport)(?=[;, \t]|\Z))?(?:;branch=(" + VALUE + rb"++))?"
    rb"((?>(?:;" + TOKEN + rb"++(?:=" + VALUE + rb"*+)?)*)))(?=[ \t]*+(?:,|\Z))"
)
_PROTOCOL_LENGTH: Final = len(b"SIP/2.0/ ")  #: round the transport
_CAREFUL: Final = re.compile(
    rb"SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+(" + TOKEN + rb"++)[ \t]++"
    rb"(" + HOST + rb")(?:[ \t]*+:[ \t]*+([0-9]{1,5}))?(?![0-9])",
    re.IGNORECASE,
)
_COMMENT: Final = re.compile(rb"[ \t]*+\([^()\\]*+(?:\\.[^()\\]*+)*\)", re.DOTALL)


class Via:
    """One Via value: its parts as received, and the offsets needed to change them.

    `transport` is in upper case, `port` 0 when absent.  `rport`, `alias` are None when absent, b"" as a bare
    flag; `branch`, `received`, `maddr`, `ttl` and `i` (OpenSER: number of the connection) None when absent.
    `start` and `end` span the value, `host_start` to `sent_by_end` host and port, `rport_span` the whole
    rport parameter or (0, 0), `params` everything after host and port; `line` is the index of the header
    line.
    """

    __slots__ = (
        "alias", "branch", "end", "host", "host_start", "i", "line", "maddr", "params", "port", "received",
        "rport", "rport_span", "sent_by_end", "start", "transport", "ttl",
    )  # fmt: skip

    def __init__(
        self,
        transport: bytes,
        host: bytes,
        port: int,
        branch: bytes | None,
        params: bytes,
        start: int = 0,
        host_start: int = 0,
        sent_by_end: int = 0,
        end: int = 0,
    ) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.branch = branch
        self.params = params
        self.received: bytes | None = None
        self.rport: bytes | None = None
        self.maddr: bytes | None = None
        self.ttl: bytes | None = None
        self.alias: bytes | None = None
        self.i: bytes | None = None
        self.rport_span = (0, 0)
        self.start = start
        self.host_start = host_start
        self.sent_by_end = sent_by_end
        self.end = end
        self.line = 0

    @property
    def sent_by(self) -> bytes:
        """Host and port as one value, the port left out when absent."""
        return b"%b:%d" % (self.host, self.port) if self.port else self.host

    def param(self, name: bytes) -> bytes | None:
        """The value of any parameter: None when absent, b"" when without value."""
        wanted = name.lower()
        for key, value, _, _ in scan_params(self.params, 0, len(self.params))[0]:
            if key == wanted:
                return value or b""
        return None

    def __repr__(self) -> str:
        return f"Via({self.transport!r}, {self.sent_by!r}, {self.params!r})"


def follows_rfc3261(branch: bytes | None) -> TypeGuard[bytes]:
    """Whether a branch is the cookie and something after it; the cookie alone identifies nothing."""
    return branch is not None and branch[:7] == MAGIC_COOKIE and branch != MAGIC_COOKIE


def first_via(buf: bytes, start: int, end: int) -> Via:
    """The first Via of a header field value (RFC 3261 section 20.42, grammar in 25.1).

    `start` and `end` are byte offsets into `buf`, `end` excluded and white space there allowed.
    Raises SipError at the first byte that fits no rule.
    """
    match = _PLAIN.match(buf, start, end)
    if match is None:
        return _careful_via(buf, start, end)
    transport, host, port, params, rport, branch, rest = match.groups()
    stop = match.end()
    host_start = match.start(2)
    sent_by_end = stop - len(params)
    number = int(port) if port else 0
    if port and not 0 < number < 65536:
        raise SipError("Port out of range in Via", match.start(3))
    begin = host_start - len(transport) - _PROTOCOL_LENGTH
    via = Via(transport.upper(), host, number, branch, params, begin, host_start, sent_by_end, stop)
    if rport:
        via.rport = b""
        via.rport_span = (sent_by_end + 1, sent_by_end + 6)
    elif rest == b";rport":
        via.rport = b""
        via.rport_span = (stop - 5, stop)
        return via
    if rest:
        _read_params(via, buf, match.start(7), stop)
    return via


def all_vias(buf: bytes, start: int, end: int) -> list[Via]:
    """Every Via of a header field value, in order; arguments and errors as with `first_via`."""
    vias = []
    while True:
        start = skip_space(buf, start, end)
        via = first_via(buf, start, end)
        vias.append(via)
        start = skip_space(buf, via.end, end)
        if start >= end:
            return vias
        start += 1


def _careful_via(buf: bytes, start: int, end: int) -> Via:
    """The first Via with white space, quoted parameters and comments where the grammar allows them."""
    start = skip_space(buf, start, end)
    match = _CAREFUL.match(buf, start, end)
    if match is None:
        raise SipError("Malformed Via", start)
    port = int(match[3]) if match[3] else 0
    if match[3] and not 0 < port < 65536:
        raise SipError("Port out of range in Via", match.start(3))
    via = Via(match[1].upper(), match[2], port, None, b"")
    via.start = start
    via.host_start = match.start(2)
    via.sent_by_end = match.end()
    via.end = _read_params(via, buf, match.end(), end)
    via.params = buf[match.end() : via.end]
    comment = _COMMENT.match(buf, via.end, end)
    if comment is not None:
        via.end = comment.end()
    after = skip_space(buf, via.end, end)
    if after < end and buf[after] != 0x2C:
        raise SipError("Malformed Via", after)
    return via


def _read_params(via: Via, buf: bytes, start: int, end: int) -> int:
    """Stores the parameters from `start` on the Via and returns where they end."""
    params, stop = scan_params(buf, start, end)
    for name, value, first, last in params:
        if name == b"rport":
            via.rport = value or b""
            via.rport_span = (first, last)
        elif name == b"branch":
            if via.branch is not None or not value:
                raise SipError("Empty or repeated branch in Via", first)
            via.branch = value
        elif name in _KEPT:
            setattr(via, _KEPT[name], value or b"")
    return stop


_KEPT: Final = {b"received": "received", b"maddr": "maddr", b"ttl": "ttl", b"alias": "alias", b"i": "i"}
