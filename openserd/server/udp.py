"""UDP: the sockets of a listener and the loop of a receiver.

In socket mode `reuseport` (the default) each receiver has a socket of its own on the same address: the kernel keeps one
peer's datagrams in one receiver, in order, and those of a dead receiver wait for its successor, because the master
keeps every socket open.  In mode `shared` all receivers read one socket, as OpenSER's do: load is spread evenly, but
messages that a peer sends back to back may overtake each other.  A multicast address has one socket in either mode: the
kernel would hand a copy of each datagram to every socket there.
"""

import logging
import socket
import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Final, NamedTuple

from openserd.core.network.transport import Address, Listener
from openserd.core.receive import Receiver
from openserd.errors import ResourceError
from openserd.server.in_hand import HEAD_BYTES, InHand

log = logging.getLogger("openserd")


class Multicast(NamedTuple):
    """How multicast packets leave: whether they are delivered here too, and their TTL, -1 the system's."""

    loopback: bool = False
    ttl: int = -1


ORDINARY: Final = Multicast()


class UdpListener(Listener):
    """A UDP address with its sockets; `socket` is the one this process reads and sends by."""

    sockets: Sequence[socket.socket] = ()
    socket: socket.socket

    @property
    def is_multicast(self) -> bool:
        """Whether the address is that of a multicast group."""
        return ip_address(self.host).is_multicast

    def bind(self, n_sockets: int, receive_buffer: int, tos: int, multicast: Multicast = ORDINARY) -> None:
        """Opens and binds the sockets, one for a multicast group. Raises ResourceError."""
        count = 1 if self.is_multicast else n_sockets
        self.sockets = [open_socket(self, count > 1, receive_buffer, tos, multicast) for _ in range(count)]
        self.socket = self.sockets[0]

    def use(self, index: int) -> None:
        """Makes the socket of receiver `index` (from 0) this process's."""
        self.socket = self.sockets[index % len(self.sockets)]

    def send(self, data: bytes, destination: Address) -> bool:
        """Sends one datagram; False, after a log line, where the system refuses."""
        try:
            self.socket.sendto(data, destination)
        except (OSError, OverflowError, UnicodeError, TypeError) as error:
            log.warning("cannot send %d bytes by %s to %s:%s: %s", len(data), self, *destination, error)
            return False
        return True

    def close(self) -> None:
        """Closes all sockets."""
        for one in self.sockets:
            one.close()


def udp_listeners(listeners: Iterable[Listener]) -> list[UdpListener]:
    """Those of `listeners` that are UDP's."""
    return [one for one in listeners if isinstance(one, UdpListener)]


def open_socket(
    listener: UdpListener, reuse_port: bool, receive_buffer: int, tos: int, multicast: Multicast
) -> socket.socket:
    """One bound socket. Raises ResourceError with what the operator can do."""
    family = socket.AF_INET6 if listener.family == 6 else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        elif tos:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        if reuse_port:
            refuse_foreign(listener, family)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        grow_receive_buffer(opened, receive_buffer)
        set_multicast(opened, family, multicast)
        opened.bind(listener.address)
        if listener.is_multicast:
            join(opened, family, listener.host)
    except OSError as error:
        opened.close()
        raise ResourceError(
            f"cannot listen on {listener}: {error.strerror or error} "
            "(is another server running there? is the address this machine's?)"
        ) from None
    return opened


def set_multicast(opened: socket.socket, family: int, multicast: Multicast) -> None:
    """Sets how multicast packets leave by a socket (OpenSER: of every listener). Raises OSError."""
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, multicast.loopback)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, multicast.ttl)
        return
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, multicast.loopback)
    if multicast.ttl >= 0:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, multicast.ttl)


def join(opened: socket.socket, family: int, group: str) -> None:
    """Joins a multicast group, by the interface of the system's choice. Raises OSError."""
    packed = socket.inet_pton(family, group)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("@I", 0))
    else:
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, packed + socket.inet_aton("0.0.0.0"))


_probed: set[Address] = set()


def refuse_foreign(listener: UdpListener, family: int) -> None:
    """Binds once without SO_REUSEPORT, so that two servers never share a port by mistake. Raises OSError."""
    if listener.address in _probed:
        return
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind(listener.address)
    _probed.add(listener.address)


def grow_receive_buffer(opened: socket.socket, wanted: int) -> None:
    """Asks for a receive buffer of `wanted` bytes; what the system grants is enough (OpenSER: maxbuffer)."""
    if opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < wanted:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)


class UdpReceiver:
    """The loop of one receiver process: a blocking read, one message handled, nothing else."""

    def __init__(self, listener: UdpListener, receiver: Receiver, in_hand: InHand) -> None:
        self.listener = listener
        self.receiver = receiver
        self.in_hand = in_hand
        self.stopping = False
        self.idle = False

    def stop(self) -> None:
        """Ends the loop after the message in hand; called by the handler of SIGTERM."""
        self.stopping = True
        if self.idle:
            raise SystemExit(0)

    def run(self) -> None:
        """Reads and handles datagrams until `stop`."""
        read_into = self.listener.socket.recvfrom_into
        receive = self.receiver.receive
        buf, room, length = self.in_hand.buf, self.in_hand.room, self.in_hand.length
        fatal = self.in_hand.fatal
        n_fatal = fatal.words
        listener = self.listener
        while True:
            self.idle = True
            if self.stopping:
                return
            try:
                size, source = read_into(room)
            except OSError as error:
                log.warning("receiving on %s: %s", listener, error)
                continue
            self.idle = False
            data = buf[HEAD_BYTES : HEAD_BYTES + size]
            if n_fatal[0] and fatal.holds(data):
                self.receiver.drop(data, source)
                continue
            length[0] = size
            try:
                receive(data, source if len(source) == 2 else source[:2], listener)
            except Exception:
                log.exception("a message from %s:%s could not be handled", *source[:2])
            length[0] = 0
