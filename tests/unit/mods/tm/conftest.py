"""A transaction layer without network and clock: datagrams are collected, time is moved by hand."""

from collections.abc import Iterator

import pytest

from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.module import Module
from openserd.core.network.transport import Address, Listener
from openserd.core.routes import RouteFn
from openserd.mods.tm import Tm
from openserd.mods.tm.memory.store import Transaction
from openserd.parser.message import Message
from openserd.shm.memory import SharedMemory

CALLER = ("192.0.2.10", 5060)
CALLEE = ("192.0.2.20", 5060)
SECOND_CALLEE = ("192.0.2.21", 5060)


class Wire(Listener):
    """A listener that keeps what is sent through it; `broken` refuses destinations."""

    def __init__(self) -> None:
        super().__init__("udp", "192.0.2.1", 5060)
        self.sent: list[tuple[Address, bytes]] = []
        self.broken: set[Address] = set()

    def send(self, data: bytes, destination: Address) -> bool:
        if destination in self.broken:
            return False
        self.sent.append((destination, data))
        return True


class World:
    """One server with tm and nothing else."""

    def __init__(self, memory: SharedMemory, **params: int | str) -> None:
        self.core = Core()
        self.core.shared = memory
        self.wire = Wire()
        self.core.listening.add(self.wire)
        self.core.myself.add(b"192.0.2.1", 5060)
        self.tm = Tm(**{"max_transactions": 512, **params})
        self.tm.core = self.core
        self.tm.on_init(self.core)
        self.prepare()
        self.core.statistics.share(memory.counters)
        memory.seal()
        self.memory = memory
        self.clock = 1000
        self.tm.store.now = lambda: self.clock

    def block(self, kind: str, run: RouteFn, name: str = "1") -> None:
        """Adds a block to the script: kind failure, onreply or branch."""
        getattr(self.core.routes, kind)[name] = run

    def prepare(self) -> None:
        """What other modules do before the fork."""

    # -- time and datagrams

    def advance(self, milliseconds: int) -> None:
        """Moves the clock, with the timer process looking each 100 ms."""
        end = self.clock + milliseconds
        while self.clock < end:
            self.clock += min(100, end - self.clock)
            self.tm.clock.run()

    def take(self) -> list[tuple[Address, Message]]:
        """What has been sent since the last call."""
        sent = [(address, Message(data)) for address, data in self.wire.sent]
        self.wire.sent.clear()
        return sent

    def take_to(self, address: Address) -> list[Message]:
        """What has been sent to one address since the last call; the rest is forgotten."""
        return [message for destination, message in self.take() if destination == address]

    # -- messages

    def request(
        self,
        method: str = "INVITE",
        branch: str = "z9hG4bKcaller",
        uri: str = "sip:bob@192.0.2.20",
        to_tag: str = "",
        cseq: int = 1,
        extra: str = "",
    ) -> SipMsg:
        """A request of the caller."""
        tag = f";tag={to_tag}" if to_tag else ""
        text = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch={branch}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:alice@192.0.2.1>;tag=a\r\nTo: <sip:bob@192.0.2.1>{tag}\r\nCall-ID: call@alice\r\n"
            f"CSeq: {cseq} {method}\r\n{extra}Contact: <sip:alice@192.0.2.10>\r\nContent-Length: 0\r\n\r\n"
        )
        return SipMsg(text.encode(), CALLER, self.wire)

    def reply_to(self, sent: Message, status: int, tag: str = "b") -> SipMsg:
        """A callee's reply to a request as it was sent."""
        lines = [f"SIP/2.0 {status} Because".encode()]
        for index in range(len(sent.hdr_ids)):
            name = sent.name(index)
            if name in (b"Via", b"From", b"Call-ID", b"CSeq"):
                lines.append(name + b": " + sent.value(index))
            elif name == b"To":
                lines.append(
                    b"To: " + sent.value(index) + (b"" if b"tag=" in sent.value(index) else f";tag={tag}".encode())
                )
        lines.append(b"Content-Length: 0\r\n\r\n")
        return SipMsg(b"\r\n".join(lines), CALLEE, self.wire)

    def reply(self, sent: Message, status: int, tag: str = "b") -> bool:
        """Hands in a callee's reply."""
        return self.tm.on_reply_in(self.reply_to(sent, status, tag))

    def transactions(self) -> list[Transaction]:
        """All transactions there are."""
        store = self.tm.store
        return [store.load(slot, store.table.hash_of(slot)) for slot in store.table.slots()]

    def blobs(self) -> list[int]:
        """All blobs in use."""
        return list(self.memory.blobs.used_refs())

    def count(self, name: str) -> int:
        """A statistic of tm."""
        return next(self.core.statistics.select(f"tm:{name}")).value()


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    shared = SharedMemory(8, 2)
    yield shared
    shared.close()


@pytest.fixture
def world(memory: SharedMemory) -> World:
    assert issubclass(Tm, Module)
    return World(memory)
