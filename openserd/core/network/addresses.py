"""What counts as this server (`myself`), and which of its listeners a message leaves by.

A host and port are this server's when they equal a listener or an alias, whatever the transport; a port left out means
5060, an alias without a port matches any.  (OpenSER: socket_info.c, check_self.)
"""

import re
import socket
from ipaddress import ip_address
from typing import Final

from openserd.core.network.transport import DEFAULT_PORT, Address, Listener

_NUMBER: Final = re.compile(rb"[0-9.]+$|\[")


class Myself:
    """The names and addresses of this server."""

    def __init__(self) -> None:
        self.exact: set[tuple[bytes, int]] = set()
        self.any_port: set[bytes] = set()

    def add(self, host: bytes, port: int) -> None:
        """Counts `host` as this server's; port 0 means any."""
        if port:
            self.exact.add((normal_host(host), port))
        else:
            self.any_port.add(normal_host(host))

    def matches(self, host: bytes, port: int) -> bool:
        """Whether `host` and `port` (0 when not written) are this server's."""
        key = host.lower() if not host.startswith(b"[") else normal_host(host)
        return (key, port or 5060) in self.exact or key in self.any_port


def normal_host(host: bytes) -> bytes:
    """A host in the one form in which hosts are compared: lower case, IPv6 compressed and in brackets."""
    if not _NUMBER.match(host) and b":" not in host:
        return host.lower()
    try:
        address = ip_address(host.decode("latin-1").strip("[]"))
    except ValueError:
        return host.lower()
    return b"[%b]" % str(address).encode() if address.version == 6 else str(address).encode()


class Listeners:
    """The listeners of a server in their order, and the choice among them."""

    def __init__(self) -> None:
        self.all: list[Listener] = []
        self.mhomed = False
        self.serving: Listener | None = None  #: the one this process receives on

    def add(self, listener: Listener) -> None:
        """Takes `listener` into the list."""
        listener.index = len(self.all)
        self.all.append(listener)

    def find(self, proto: str | None, host: str, port: int) -> Listener | None:
        """The listener at that address; `proto` None means any, port 0 the default."""
        wanted = normal_host(host.encode())
        for listener in self.all:
            if (
                proto in (None, listener.proto)
                and normal_host(listener.host.encode()) == wanted
                and (port or DEFAULT_PORT[listener.proto]) == listener.port
            ):
                return listener
        return None

    def for_destination(
        self, proto: str, destination: Address, forced: Listener | None = None, arrived: Listener | None = None
    ) -> Listener | None:
        """The listener to send by: the forced one, by the system's routes when multi-homed, the one this process
        serves or the message came in by, else the first of family and transport."""
        family = 6 if ":" in destination[0] else 4
        if forced is not None and forced.family == family and forced.proto == proto:
            return forced
        if self.mhomed and proto == "udp":
            by_route = self.by_system_route(proto, destination, family)
            if by_route is not None:
                return by_route
        for candidate in (arrived, self.serving):
            if candidate is not None and candidate.family == family and candidate.proto == proto:
                return candidate
        for candidate in self.all:
            if candidate.family == family and candidate.proto == proto:
                return candidate
        return None

    def by_system_route(self, proto: str, destination: Address, family: int) -> Listener | None:
        """The listener whose address the system would send from (OpenSER: mhomed=1, a connect() probe)."""
        with socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(destination)
                source = str(probe.getsockname()[0])
            except OSError:
                return None
        return next((one for one in self.all if one.host == source and one.proto == proto), None)
