"""A network of whole servers and phones in virtual time: who sends what to whom is written down as RFC 3665 does."""

from collections import deque
from collections.abc import Callable
from typing import Final, Self

from openserd.parser import names
from openserd.parser.message import Message
from openserd.testing import Script
from openserd.testing.messages import Fields, cancel_of, reply_to, within_dialog

STEP: Final = 0.1  #: seconds

PROXY: Final = """
listen=udp:{ip}:5060
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
{params}
route {{
    if (loose_route()) {{
        t_relay();
        exit;
    }}
    if (method == "CANCEL" || method == "ACK") {{
        t_relay();
        exit;
    }}
    record_route();
    {request}
    t_relay();
}}
{blocks}
"""


class Net:
    """Servers and phones by address; `flow` is what has been sent, as "WHAT from to"."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.servers: dict[str, Script] = {}
        self.phones: dict[str, Phone] = {}
        self.on_the_way: deque[tuple[bytes, str, str]] = deque()
        self.flow: list[str] = []
        self.loses: Callable[[str], bool] = lambda line: False
        self.repeats: Callable[[str], bool] = lambda line: False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers.values():
            server.close()

    def server(self, name: str, ip: str, request: str, *, blocks: str = "", params: str = "") -> Script:
        """A proxy that does `request` before it relays."""
        self.names[ip] = name
        text = PROXY.format(ip=ip, request=request, blocks=blocks, params=params)
        self.servers[ip] = Script.text(text)
        return self.servers[ip]

    def phone(self, name: str, ip: str, proxy: str = "") -> "Phone":
        """A phone; `proxy` is the address that it sends requests to."""
        self.names[ip] = name
        self.phones[ip] = Phone(self, name, ip, proxy)
        return self.phones[ip]

    def send(self, data: bytes, source: str, destination: str) -> None:
        """Puts a datagram on its way and lets everything happen that follows at once."""
        self.on_the_way.append((data, source, destination))
        while self.on_the_way:
            self.deliver(*self.on_the_way.popleft())

    def deliver(self, data: bytes, source: str, destination: str) -> None:
        """One datagram, which may be lost, or come twice."""
        message = Message(data)
        what = message.method.decode() if message.is_request else str(message.status)
        line = f"{what} {self.names.get(source, source)} {self.names.get(destination, destination)}"
        self.flow.append(line)
        if self.loses(line):
            return
        for _ in range(2 if self.repeats(line) else 1):
            if destination in self.phones:
                self.phones[destination].inbox.append((message, source))
            elif destination in self.servers:
                self.take(destination, self.servers[destination].receive(data, source=f"{source}:5060").sent)

    def take(self, source: str, sent: list[object]) -> None:
        """What a server has sent goes on its way."""
        for one in sent:
            self.on_the_way.append((one.data, source, one.destination[0]))  # type: ignore[attr-defined]

    def advance(self, seconds: float) -> None:
        """Lets time pass everywhere."""
        for _ in range(round(seconds / STEP)):
            for ip, server in self.servers.items():
                self.take(ip, server.advance(STEP).sent)  # type: ignore[arg-type]
            while self.on_the_way:
                self.deliver(*self.on_the_way.popleft())

    def taken(self) -> list[str]:
        """The flow since the last call."""
        flow = self.flow.copy()
        self.flow.clear()
        return flow

    def rest(self) -> list[int]:
        """How many transactions each server has."""
        return [server.statistic("tm:inuse_transactions") for server in self.servers.values()]


class Phone:
    """A user agent that does only what it is told to."""

    def __init__(self, net: Net, name: str, ip: str, proxy: str) -> None:
        self.net = net
        self.name = name
        self.ip = ip
        self.proxy = proxy
        self.inbox: list[tuple[Message, str]] = []
        self.count = 0

    @property
    def contact(self) -> str:
        """Its Contact."""
        return f"sip:{self.name}@{self.ip}"

    def via(self) -> str:
        """A Via with a new branch."""
        self.count += 1
        return f"SIP/2.0/UDP {self.ip};branch=z9hG4bK{self.name}{self.count}"

    def request(self, method: str, uri: str, body: str = "", **headers: str) -> Message:
        """Sends a request outside a dialog."""
        fields = Fields()
        fields.add("Via", self.via())
        fields.add("Max-Forwards", "70")
        fields.add("From", f"<sip:{self.name}@example.com>;tag={self.name}")
        fields.add("To", f"<{uri}>")
        fields.add("Call-ID", f"call{self.count}@{self.ip}")
        fields.add("CSeq", f"1 {method}")
        fields.add("Contact", f"<{self.contact}>")
        fields.merge({name.replace("_", "-"): value for name, value in headers.items()})
        return self.send(fields.message(f"{method} {uri} SIP/2.0", body), self.proxy)

    def send(self, data: bytes, to: str) -> Message:
        """Sends a datagram."""
        self.net.send(data, self.ip, to)
        return Message(data)

    def take(self, method: str) -> Message:
        """The first request of that method that has come in."""
        found = next(one for one in self.inbox if one[0].is_request and one[0].method == method.encode())
        self.inbox.remove(found)
        return found[0]

    def reply(self, request: Message, status: int, body: str = "", **headers: str) -> bytes:
        """Answers a request that has come in."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = reply_to(request, status, "", named, body, self.contact)
        self.net.send(data, self.ip, request.top_via().host.decode())
        return data

    def got(self, status: int) -> Message:
        """The first reply with that status that has come in."""
        found = next(one for one in self.inbox if not one[0].is_request and one[0].status == status)
        self.inbox.remove(found)
        return found[0]

    def statuses(self) -> list[int]:
        """Of all replies that have come in."""
        return [one.status for one, _ in self.inbox if not one.is_request]

    def ack(self, invite: Message, answer: Message) -> None:
        """Acknowledges a final reply."""
        if answer.status < 300:
            self.within(invite, answer, "ACK", cseq=0)
        else:
            to = answer.value(answer.find(names.TO)).decode()
            self.send(cancel_of(invite, "ACK", to), self.proxy or invite.ruri.partition(b"@")[2].decode())

    def cancel(self, invite: Message) -> None:
        """Cancels an INVITE."""
        self.send(cancel_of(invite), self.proxy)

    def within(self, invite: Message, answer: Message, method: str, *, cseq: int = 1, body: str = "") -> Message:
        """Sends a request in a dialog."""
        number = invite.cseq.number + cseq
        data = within_dialog(invite, answer, method, number, self.via(), None, body)
        routes = answer.record_routes
        hop = routes[-1].uri if routes else answer.contacts[0].uri
        return self.send(data, hop.partition(b":")[2].rpartition(b"@")[2].partition(b";")[0].decode())
