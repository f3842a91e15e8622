"""What generated code may call besides functions of modules and of the core; all of it is bound when compiling."""

import logging
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol

from openserd.core.arguments import Value
from openserd.core.message import known_uri
from openserd.core.module import ERROR, ONREPLY
from openserd.core.routes import RouteFn, ScriptExit
from openserd.errors import ScriptError, SipError
from openserd.parser.learned import Learned
from openserd.parser.uri import parse_uri

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

log = logging.getLogger(__name__)

MAX_DEPTH: Final = 100
PROTO_NUMBERS: Final = {"udp": 1, "tcp": 2, "tls": 3}
FAMILY_NUMBERS: Final = {4: 2, 6: 10}


class Masked:
    """The addresses that agree with one in the bits of a mask with gaps, such as 10.0.0.1/255.0.255.0."""

    def __init__(self, address: IPv4Address | IPv6Address, mask: IPv4Address | IPv6Address) -> None:
        self.version = address.version
        self.mask = int(mask)
        self.bits = int(address) & self.mask

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        return address.version == self.version and int(address) & self.mask == self.bits


Network = IPv4Network | IPv6Network | Masked


def masked(written: str) -> Masked | None:
    """`address/mask` with whatever mask, None where it is none."""
    address, _, mask = written.partition("/")
    try:
        made = ip_address(address), ip_address(mask)
    except ValueError:
        return None
    return Masked(*made) if made[0].version == made[1].version else None


class Server(Protocol):
    """What compiled scripts ask of the core."""

    @property
    def listeners(self) -> list[Any]:
        """All listeners."""

    def is_myself(self, host: bytes, port: int) -> bool:
        """Whether host and port (0 when not written) are this server's."""


# -- flow -----------------------------------------------------------------------------------------------------


def stop() -> NoReturn:
    """Ends the script from inside a condition."""
    raise ScriptExit


class Depth:
    """Calls of blocks that may come back to themselves: at most MAX_DEPTH deep, deeper ends the script."""

    def __init__(self) -> None:
        self.depth = 0

    def __call__(self, block: RouteFn, msg: "SipMsg") -> int:
        """The value of `block`."""
        if self.depth >= MAX_DEPTH:
            log.error("route blocks call each other more than %d deep, the script ends", MAX_DEPTH)
            raise ScriptExit
        self.depth += 1
        try:
            return block(msg)
        finally:
            self.depth -= 1


def too_many_rounds(place: str, limit: int) -> None:
    """Says in the log that a while was left."""
    log.error("%s: while ends after %d rounds (max_while_loops)", place, limit)


def keeping(function: Callable[..., int]) -> Callable[..., int]:
    """`function`, its result kept for `$rc`."""

    def call(msg: "SipMsg", *args: object) -> int:
        result = msg.retcode = function(msg, *args)
        return result

    return call


def watched(function: Callable[..., int], error_routes: list[RouteFn]) -> Callable[..., int]:
    """`function`, followed by the error_route where it left an error; 0 when that ends the script.

    `error_routes` holds the block once it is compiled.  Inside onreply and error routes nothing follows.
    """

    def call(msg: "SipMsg", *args: object) -> int:
        result = function(msg, *args)
        if msg.error is None or msg.route_kind in (ONREPLY, ERROR):
            return result
        before = msg.route_kind
        msg.route_kind = ERROR
        try:
            ended = not error_routes[0](msg)
        finally:
            msg.route_kind = before
        msg.error = None
        return 0 if ended else result

    return call


# -- assignment -------------------------------------------------------------------------------------------------


def store(setter: Callable[["SipMsg", Value], None], msg: "SipMsg", value: Value) -> int:
    """Assigns a value: 1, or -1 where there is none (an absent variable, a division by zero) or it cannot be set."""
    if value is None:
        log.warning("nothing assigned: the right side has no value")
        return -1
    return put(setter, msg, value)


def put(setter: Callable[["SipMsg", Value], None], msg: "SipMsg", value: Value) -> int:
    """Assigns a value, or takes it away with None: 1, or -1 where it cannot be set."""
    try:
        setter(msg, value)
    except ScriptError as error:
        log.error("not assigned: %s", error)
        return -1
    except SipError as error:
        msg.error = error
        return -1
    return 1


# -- operands -----------------------------------------------------------------------------------------------------


def method_text(msg: "SipMsg") -> bytes:
    """`method`: of a reply that of its request, b"" where that cannot be read."""
    if msg.is_request:
        return msg.method
    try:
        return msg.cseq.method
    except SipError as error:
        msg.error = error
        return b""


def uri_text(msg: "SipMsg") -> bytes:
    """`uri`: the request URI, or the status code of a reply."""
    return msg.ruri if msg.is_request else b"%d" % msg.status


def from_uri(msg: "SipMsg") -> bytes | None:
    """`from_uri`: None where From cannot be read."""
    try:
        return msg.from_.uri
    except SipError as error:
        msg.error = error
        return None


def to_uri(msg: "SipMsg") -> bytes | None:
    """`to_uri`: None where To cannot be read."""
    try:
        return msg.to.uri
    except SipError as error:
        msg.error = error
        return None


def source_address(msg: "SipMsg") -> bytes:
    """`src_ip` as text."""
    return msg.source_host.encode()


def local_address(msg: "SipMsg") -> bytes:
    """`dst_ip` as text."""
    return msg.listener.host.encode()


def proto_number(msg: "SipMsg") -> int:
    """`proto`: 1 udp, 2 tcp, 3 tls."""
    return PROTO_NUMBERS.get(msg.listener.proto, 0)


def family_number(msg: "SipMsg") -> int:
    """`af`: 2 inet, 10 inet6."""
    return FAMILY_NUMBERS[6 if ":" in msg.source_host else 4]


@lru_cache(maxsize=4096)
def address_of(host: str) -> IPv4Address | IPv6Address | None:
    """A host as an address, None where it is none."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def in_network(host: str, network: Network) -> bool:
    """Whether an address lies in a network."""
    address = address_of(host)
    return address is not None and address in network


class Named:
    """Whether an address is that of a host name; `resolve` gives the address of a name, None where it has none."""

    def __init__(self, resolve: Callable[[bytes], str | None]) -> None:
        self.resolve = resolve

    def __call__(self, host: str, name: bytes) -> bool:
        """Whether `host` is an address of `name`."""
        return self.resolve(name) == host


class MyselfTests:
    """`myself` on the right of an operand."""

    def __init__(self, core: Server) -> None:
        self.core = core
        self.answers = Learned(self.names_me)  #: what is this server's does not change while it runs

    def uri(self, msg: "SipMsg") -> bool:
        """Whether the request URI is this server's."""
        if not msg.is_request:
            return False
        try:
            return self.answers[msg.ruri]
        except SipError as error:
            msg.error = error
            return False

    def names_me(self, text: bytes) -> bool:
        """Whether a URI is this server's. Raises SipError."""
        uri = known_uri(text)
        return self.core.is_myself(uri.host, uri.port or 0)

    def from_uri(self, msg: "SipMsg") -> bool:
        """Whether the URI of From is this server's."""
        return self.written(msg, from_uri(msg))

    def to_uri(self, msg: "SipMsg") -> bool:
        """Whether the URI of To is this server's."""
        return self.written(msg, to_uri(msg))

    def written(self, msg: "SipMsg", text: bytes | None) -> bool:
        """Whether a URI as text is this server's."""
        if text is None:
            return False
        try:
            uri = parse_uri(text)
        except SipError as error:
            msg.error = error
            return False
        return self.core.is_myself(uri.host, uri.port or 0)

    def source(self, msg: "SipMsg") -> bool:
        """Whether the packet came from an address of this server, from whatever port."""
        return self.address(msg.source_host)

    def local(self, msg: "SipMsg") -> bool:
        """Whether the packet arrived at an address of this server, at whatever port."""
        return self.address(msg.listener.host)

    def address(self, host: str) -> bool:
        """Whether an address is a listener's or an alias."""
        return any(one.host == host for one in self.core.listeners) or self.core.is_myself(host_text(host), 0)


def host_text(host: str) -> bytes:
    """An address as it stands in a URI."""
    return f"[{host}]".encode() if ":" in host else host.encode()
