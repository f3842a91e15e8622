"""Core functions on how a message is sent: stateless sending, sockets, what is written into Via."""

from typing import TYPE_CHECKING, Final

from openserd.core import forward as forwarding
from openserd.core.arguments import Arg, Context, Int, Str
from openserd.core.module import ANY_ROUTE, FALSE, OK, Fn
from openserd.core.network.blacklists import Blacklist, Blacklists
from openserd.core.network.transport import Address, Listener
from openserd.errors import SipError
from openserd.script.commands.command import MAX_PORT, Command, Function, Peer, PeerArg, SocketArg, by_name, plain

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.message import SipMsg


def address_of(core: "Core", peer: Peer) -> Address | None:
    """The address behind a fixed destination; None where its name cannot be resolved."""
    host = core.resolver.address(f"[{peer.host}]".encode() if ":" in peer.host else peer.host.encode())
    return None if host is None else (host, peer.port_used)


def forward(core: "Core") -> Function:
    """forward: 1, -1 where the message cannot be sent; the error is on the message."""

    def relay(msg: "SipMsg", peer: Peer | None = None) -> int:
        if not msg.is_request:
            return FALSE
        if peer is None:
            return OK if forwarding.forward(core, msg) else FALSE
        address = address_of(core, peer)
        if address is None:
            msg.error = SipError("Unresolvable destination", 0, forwarding.UNRESOLVABLE)
            return FALSE
        return OK if forwarding.forward(core, msg, address, peer.transport) else FALSE

    return relay


def send(core: "Core") -> Function:
    """send: the datagram as it came, without a Via. 1, -1 where it cannot be sent."""

    def send_received(msg: "SipMsg", peer: Peer) -> int:
        address = address_of(core, peer)
        if address is None:
            return FALSE
        listener = core.listening.for_destination(peer.transport, address, None, msg.listener)
        return OK if listener is not None and listener.send(msg.buf, address) else FALSE

    return send_received


def force_rport(msg: "SipMsg") -> int:
    """force_rport: 1."""
    msg.rport_forced = True
    return OK


def force_local_rport(msg: "SipMsg") -> int:
    """force_local_rport: 1."""
    msg.local_rport = True
    return OK


def force_send_socket(msg: "SipMsg", listener: Listener) -> int:
    """force_send_socket: 1."""
    msg.force_listener = listener
    return OK


def force_tcp_alias(msg: "SipMsg", port: int = 0) -> int:
    """force_tcp_alias: 1, also where the message came over UDP; -1 where the connection cannot be registered.

    A listener of a stream transport that can do it has `add_alias(msg, port) -> bool`, the Via's port for 0.
    """
    if msg.listener.proto == "udp":
        return OK
    add_alias = getattr(msg.listener, "add_alias", None)
    return OK if add_alias is not None and add_alias(msg, port) else FALSE


def set_advertised_address(msg: "SipMsg", host: bytes) -> int:
    """set_advertised_address: 1."""
    msg.advertised_host = host
    return OK


def set_advertised_port(msg: "SipMsg", port: int) -> int:
    """set_advertised_port: 1."""
    msg.advertised_port = port
    return OK


class BlacklistArg(Arg):
    """The name of a `dst_blacklist`; arrives as the list."""

    expects = "the name of a destination blacklist"

    def compile(self, text: str, context: Context) -> object:
        core: Core = context.core
        if core.blacklists is None:
            core.blacklists = Blacklists(core.params.blacklists)
        return core.blacklists.named(text.strip())


def use_blacklist(core: "Core") -> Function:
    """use_blacklist: 1."""

    def use(msg: "SipMsg", blacklist: Blacklist) -> int:
        assert core.blacklists is not None, "made when the argument was compiled"
        core.blacklists.use(msg, blacklist)
        return OK

    return use


COMMANDS: Final = by_name(
    Command("force_local_rport", ("add_local_rport",), Fn(routes=ANY_ROUTE), plain(force_local_rport)),
    Command("force_rport", ("add_rport",), Fn(routes=ANY_ROUTE), plain(force_rport)),
    Command("force_send_socket", (), Fn(SocketArg("socket"), routes=ANY_ROUTE), plain(force_send_socket)),
    Command(
        "force_tcp_alias",
        ("add_tcp_alias",),
        Fn(Int("port", lo=1, hi=MAX_PORT, optional=True), routes=ANY_ROUTE),
        plain(force_tcp_alias),
    ),
    Command("forward", (), Fn(PeerArg("destination", optional=True), routes=ANY_ROUTE), forward),
    Command("send", (), Fn(PeerArg("destination"), routes=ANY_ROUTE), send),
    Command("set_advertised_address", (), Fn(Str("host"), routes=ANY_ROUTE), plain(set_advertised_address)),
    Command(
        "set_advertised_port", (), Fn(Int("port", lo=1, hi=MAX_PORT), routes=ANY_ROUTE), plain(set_advertised_port)
    ),
    Command("use_blacklist", (), Fn(BlacklistArg("name"), routes=ANY_ROUTE), use_blacklist),
)
