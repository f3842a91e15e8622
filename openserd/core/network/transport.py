"""Listeners: the addresses a server is reached at and sends from, whatever the transport.

Nothing above this file and `server/` may assume UDP: a message knows the `Listener` it came in by, a branch the one it
leaves by, and both only call `send`.
"""

from abc import ABC, abstractmethod
from ipaddress import ip_address
from typing import Final

Address = tuple[str, int]  #: host (an IP address as text, no brackets) and port

DEFAULT_PORT: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}


def bracketed(host: str) -> str:
    """`host` as it stands in a URI or Via: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


class Listener(ABC):
    """One address of the server: `proto` in lower case, `host` an IP address, `index` its place in the list.

    `sent_by` is host and port as written into Via and Record-Route, with the default port left out.
    """

    def __init__(
        self, proto: str, host: str, port: int, *, index: int = 0, advertised_host: str = "", advertised_port: int = 0
    ) -> None:
        self.proto = proto
        self.host = host
        self.port = port
        self.index = index
        self.family = ip_address(host.partition("%")[0]).version
        self.via_proto = proto.upper().encode()
        self.sent_by = sent_by(advertised_host or host, advertised_port or port)

    @property
    def address(self) -> Address:
        """Host and port."""
        return self.host, self.port

    def __str__(self) -> str:
        return f"{self.proto}:{bracketed(self.host)}:{self.port}"

    @abstractmethod
    def send(self, data: bytes, destination: Address) -> bool:
        """Sends one message to `destination`; False, after a log line, where the system refuses."""

    def keep(self, destination: Address, seconds: int) -> None:  # noqa: B027  (most transports have nothing to keep)
        """Keeps the connection to `destination` open for so long; nothing is to be done where there are none (UDP)."""


class Advertised(Listener):
    """A listener under another address in what is written, for one message (`set_advertised_address`, `_port`)."""

    def __init__(self, behind: Listener, host: str, port: int) -> None:
        super().__init__(
            behind.proto, behind.host, behind.port, index=behind.index, advertised_host=host, advertised_port=port
        )
        self.behind = behind

    def send(self, data: bytes, destination: Address) -> bool:
        """Sends by the listener behind it."""
        return self.behind.send(data, destination)

    def keep(self, destination: Address, seconds: int) -> None:
        """Keeps the connection of the listener behind it."""
        self.behind.keep(destination, seconds)


def sent_by(host: str, port: int) -> bytes:
    """Host and port of a Via or Record-Route (OpenSER: the port is left out when it is 5060)."""
    written = bracketed(host) if not host.startswith("[") else host
    return (written if port == 5060 else f"{written}:{port}").encode()
