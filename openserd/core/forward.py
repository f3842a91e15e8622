"""Sending requests on: the next hop, the message for one branch, and stateless forwarding.

(RFC 3261 section 16.6; OpenSER: forward.c, msg_translator.c.  Max-Forwards is the business of a module.)
"""

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from openserd.core.destinations import Branch, ruri_branch
from openserd.core.lumps import apply_lumps
from openserd.core.message import SipMsg
from openserd.core.network.dns import literal
from openserd.core.network.transport import Address, Advertised, Listener
from openserd.errors import SipError
from openserd.parser.uri import Uri, parse_uri
from openserd.parser.via import MAGIC_COOKIE, follows_rfc3261

if TYPE_CHECKING:
    from openserd.core.context import Core

#: internal error -> reply (behaviour of OpenSER's err2reason)
BAD_URI: Final = 475
UNRESOLVABLE: Final = 476
SEND_FAILED: Final = 477


class NextHop:
    """Where a copy of a request is sent: address, and the listener it leaves by.

    `others` are to be tried one after the other where this one fails (RFC 3263 section 4.3): what a name stands for
    beside its first address, in its order, each with its own port and listener.
    """

    __slots__ = ("address", "listener", "others")

    def __init__(self, address: Address, listener: Listener) -> None:
        self.address = address
        self.listener = listener
        self.others: list[NextHop] = []


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URI says that it is: `address` where its host is a literal, else `host` has to be looked up."""

    proto: str
    host: bytes
    address: str | None
    port: int


#: A request URI or next hop, the listener that is asked for, the one that the request came in by.
Way = tuple[bytes, Listener | None, Listener | None]
MOST_HOPS: Final = 1024


def target_of(uri: bytes) -> Target:
    """Where `uri` points: its maddr or host, its port or the default, its transport (RFC 3263 without services).

    Raises SipError 475 or 416.
    """
    try:
        parsed = parse_uri(uri)
    except SipError as error:
        raise SipError("Bad URI", error.offset, BAD_URI) from None
    if not parsed.is_sip:
        raise SipError("Unsupported URI Scheme", 0, 416)
    host = parsed.param(b"maddr") or parsed.host
    proto = transport_of(parsed)
    return Target(proto, host, literal(host), parsed.port or (5061 if proto == "tls" else 5060))


def next_hop(core: "Core", uri: bytes, forced: Listener | None, arrived: Listener | None) -> NextHop:
    """The next hop of a URI. Raises SipError with the code that the request earns: 416, 475, 476 or 477.

    Hops to literal addresses are kept: the contacts of a server's users come again and again (12 -> 0.3 us).
    """
    way = uri, forced, arrived
    known = core.direct_hops.get(way)
    if known is not None:
        return known
    try:
        target = target_of(uri)
    except SipError as error:
        if error.code == BAD_URI:
            core.stats.bad_URIs_rcvd.bump()
        raise
    if target.address is not None:
        hop = leave_by(core, target.proto, (target.address, target.port), forced, arrived)
        if not core.listening.mhomed:  # the system's routes may change
            if len(core.direct_hops) >= MOST_HOPS:
                core.direct_hops.clear()
            core.direct_hops[way] = hop
        return hop
    return first_hop(core, target.proto, core.resolver.addresses(target.host), target.port, forced, arrived)


def hop_to(
    core: "Core",
    proto: str,
    destination: Address,
    forced: Listener | None,
    arrived: Listener | None,
    msg: SipMsg | None = None,
) -> NextHop:
    """The hop to a given host, an address or a name, and port. Raises SipError 476 or 477, or 473 where a destination
    blacklist of `msg` blocks it."""
    host, port = destination
    addresses = (host,) if ":" in host else core.resolver.addresses(host.encode())
    hop = first_hop(core, proto, addresses, port, forced, arrived)
    return hop if core.blacklists is None or msg is None else allowed_hop(core, msg, msg.ruri, hop)


def first_hop(
    core: "Core", proto: str, addresses: tuple[str, ...], port: int, forced: Listener | None, arrived: Listener | None
) -> NextHop:
    """The hop to the first of some addresses that a listener can reach, with the others behind it.

    Raises SipError 476 where there is no address, 477 where none can be reached.
    """
    if not addresses:
        raise SipError("Unresolvable destination", 0, UNRESOLVABLE)
    if len(addresses) == 1:
        return leave_by(core, proto, (addresses[0], port), forced, arrived)
    hops: list[NextHop] = []
    failure: SipError | None = None
    for address in addresses:
        try:
            hops.append(leave_by(core, proto, (address, port), forced, arrived))
        except SipError as error:
            failure = error
    return in_order(core, hops, failure)


def in_order(core: "Core", hops: list[NextHop], failure: SipError | None) -> NextHop:
    """The first hop with the others behind it, unless `disable_dns_failover`. Raises `failure` where there is none."""
    if not hops:
        assert failure is not None, "no hop, and nothing has failed"
        raise failure
    hops[0].others = [] if core.params.disable_dns_failover else hops[1:]
    return hops[0]


def allowed_hop(core: "Core", msg: SipMsg, uri: bytes, hop: NextHop) -> NextHop:
    """The first of a hop and those behind it that no destination blacklist of `msg` blocks, with the others that none
    does. Raises SipError 473 where all are blocked."""
    assert core.blacklists is not None, "no lists"
    allowed: list[NextHop] = []
    failure: SipError | None = None
    for one in (hop, *hop.others):
        try:
            core.blacklists.check(msg, uri, one.listener.proto, one.address)
        except SipError as error:
            failure = error
        else:
            allowed.append(one)
    return in_order(core, allowed, failure)


def leave_by(core: "Core", proto: str, address: Address, forced: Listener | None, arrived: Listener | None) -> NextHop:
    """The hop to a known address. Raises SipError 477 where no listener speaks that transport."""
    listener = core.listening.for_destination(proto, address, forced, arrived)
    if listener is None:
        raise SipError(f"Send failed: no listener for {proto}", 0, SEND_FAILED)
    return NextHop(address, listener)


def transport_of(uri: Uri) -> str:
    """The transport a URI asks for, in lower case."""
    asked = uri.param(b"transport") if uri.params else None
    if asked:
        return asked.decode("latin-1").lower()
    return "tls" if uri.scheme == b"sips" else "udp"


def branch_hop(core: "Core", branch: Branch, msg: SipMsg) -> NextHop:
    """The next hop of one branch of `msg`. Raises SipError; 473 where a destination blacklist blocks it."""
    hop = next_hop(core, branch.dst_uri or branch.uri, branch.listener, msg.listener)
    return hop if core.blacklists is None else allowed_hop(core, msg, branch.uri, hop)


def build_request(msg: SipMsg, branch: Branch, via_branch: bytes, listener: Listener) -> bytes:
    """The request as it leaves on one branch: new request line, this server's Via on top, Path, all edits."""
    buf, end = msg.buf, msg.end
    if msg.advertised_host is not None or msg.advertised_port:
        listener = Advertised(listener, (msg.advertised_host or b"").decode(), msg.advertised_port)
    top = b"%b %b SIP/2.0\r\n%b" % (msg.method, branch.uri, via_line(msg, via_branch, listener))
    if branch.path:
        top += b"Route: %b\r\n" % branch.path
    lumps = msg.via_lumps() + msg.lumps
    return apply_lumps(buf, msg.line_end, end, lumps, listener, top)


def via_line(msg: SipMsg, via_branch: bytes, listener: Listener) -> bytes:
    """The Via header line that this server adds to a request leaving by `listener`."""
    return b"Via: SIP/2.0/%b %b;branch=%b%b\r\n" % (
        listener.via_proto,
        listener.sent_by,
        via_branch,
        b";rport" if msg.local_rport else b"",
    )


def stateless_branch(msg: SipMsg) -> bytes:
    """A branch that is the same for every retransmission of a request (RFC 3261 16.11): from the first RFC 3261 branch
    of its Vias, else from the fields that identify it."""
    via = msg.top_via()
    if follows_rfc3261(via.branch):
        seed = b"%b|%b" % (via.branch, msg.ruri)
    else:
        seed = b"|".join((via.host, msg.call_id, msg.from_tag or b"", b"%d" % msg.cseq.number, msg.ruri))
    return b"%bcydz%08x.%08x.0" % (MAGIC_COOKIE, zlib.crc32(seed), zlib.crc32(seed, 0x5E17))


def forward(core: "Core", msg: SipMsg, destination: Address | None = None, proto: str = "udp") -> bool:
    """Relays the request without state, to its destination URI or request URI, or to a given address.

    False, with the error on the message, where it can be sent to none of the addresses that the destination has
    (OpenSER: forward()).
    """
    branch = ruri_branch(msg)
    try:
        if destination is None:
            hop = branch_hop(core, branch, msg)
        else:
            hop = hop_to(core, proto, destination, branch.listener, msg.listener, msg)
    except SipError as error:
        msg.error = error
        return False
    via_branch = stateless_branch(msg)
    for one in (hop, *hop.others):
        if one.listener.send(build_request(msg, branch, via_branch, one.listener), one.address):
            core.stats.fwd_requests.bump()
            return True
    msg.error = SipError("Send failed", 0, SEND_FAILED)
    return False
