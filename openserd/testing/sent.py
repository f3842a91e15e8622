"""What leaves the server: messages as tests look at them, and the listeners that keep them."""

from functools import cached_property

from openserd.core.network.transport import Address, Listener
from openserd.parser.message import Message
from openserd.testing.places import endpoint


def shown(text: bytes) -> str:
    """Bytes of a message as text."""
    return text.decode("utf-8", "backslashreplace")


class Sent:
    """One message that was sent: `data` as it went out, `next_hop` where to, `listener` by which address."""

    def __init__(self, data: bytes, destination: Address, listener: Listener) -> None:
        self.data = data
        self.destination = destination
        self.next_hop = endpoint(destination)
        self.listener = str(listener)

    @cached_property
    def message(self) -> Message:
        """The message as the server's own parser reads it."""
        return Message(self.data)

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return self.message.is_request

    @property
    def method(self) -> str:
        """The method; of a reply that in CSeq."""
        return shown(self.message.method if self.is_request else self.message.cseq.method)

    @property
    def uri(self) -> str:
        """The request URI; "" of a reply."""
        return shown(self.message.ruri) if self.is_request else ""

    @property
    def status(self) -> int:
        """The status code of a reply; 0 of a request."""
        return self.message.status

    @property
    def reason(self) -> str:
        """The reason phrase of a reply; "" of a request."""
        return "" if self.is_request else shown(self.message.reason)

    def header(self, name: str) -> str | None:
        """The value of the first header field of that name, None where there is none."""
        return next(iter(self.headers(name)), None)

    def headers(self, name: str) -> list[str]:
        """The values of all header lines of that name, in order; compact names count as their long form."""
        return [shown(self.message.value(index)) for index in self.message.indexes_named(name.encode())]

    @property
    def body(self) -> str:
        """The body."""
        return shown(self.message.body)

    @property
    def text(self) -> str:
        """The whole message with plain line ends."""
        return shown(self.data).replace("\r\n", "\n")

    @property
    def first_line(self) -> str:
        """The request or status line."""
        return self.text.partition("\n")[0]

    def __repr__(self) -> str:
        what = f"{self.method} {self.uri}" if self.is_request else f"{self.status} {self.reason}"
        return f"<{what} to {self.next_hop}>"


class Wire:
    """What takes the place of the network: `sent` is what went out, `unreachable` the addresses that refuse."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.unreachable: set[str] = set()


class KeepingListener(Listener):
    """A UDP listener without a socket."""

    def __init__(self, host: str, port: int, wire: Wire, advertised_host: str, advertised_port: int) -> None:
        super().__init__("udp", host, port, advertised_host=advertised_host, advertised_port=advertised_port)
        self.wire = wire

    def send(self, data: bytes, destination: Address) -> bool:
        """Keeps one message; False, as where the system refuses to send, for an unreachable destination."""
        if endpoint(destination) in self.wire.unreachable:
            return False
        self.wire.sent.append(Sent(data, destination, self))
        return True
