"""Hostile datagrams: real messages, moved to the loopback and then broken at random.

Every datagram is made from (seed, index) alone, so that one that does harm can be made again:

    Fuzzer(seed, Target(server.address, sink)).datagram(4711)
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.sip import Address

MESSAGES = Path(__file__).parents[1] / "data/messages"
MOST = 65_507  # bytes of payload that a UDP datagram can carry
TOKENS = [
    b"", b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"%00", b"%", b"\xff" * 8, b"\"", b"<", b">", b"<>", b";", b",", b":",
    b"@", b"[", b"]", b"[::1]", b"[:::::]", b"()", b"\\", b"=", b"?", b"&", b"*", b"-1", b"0", b"4294967296",
    b"9" * 40,
    b"sip:", b"sips:a@b", b"tel:+1", b"sip:a@[::1]:5060", b";lr", b";lr=on", b";rport", b";branch=z9hG4bK", b";tag=",
    b";received=", b";maddr=127.0.0.1", b";ttl=1", b";q=", b";expires=", b"SIP/2.0", b"SIP/2.0 200 OK\r\n",
    b"INVITE", b"ACK", b"CANCEL", b"REGISTER", b"Via: ", b"Route: ", b"Contact: *", b"Max-Forwards: ", b"l: ", b"v: ",
    b"Content-Length: ", b"To: ", b"CSeq: ", b"Expires: ", "\u00e9\u20ac".encode(), b"A" * 300, b"a.b." * 40, b" \t ",
]  # fmt: skip
HOSTS = re.compile(
    rb"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b(?:[A-Za-z0-9\-]+\.)+(?:com|org|net|edu|info|gov|de|gr|example|invalid|test|us)\b(?::\d+)?"
)
CONTACT = re.compile(rb"(?im)^(?:contact|m)[ \t]*:.*$")
NUMBER = re.compile(rb"\d+")
BRANCH = re.compile(rb"branch=z9hG4bK[^;,\s]*")

Change = Callable[[random.Random, bytearray], None]


@dataclass(frozen=True)
class Target:
    """The server, and a place that takes what it relays."""

    server: Address
    sink: Address


def read_seeds() -> list[bytes]:
    """All messages of the test data, in a fixed order."""
    files = sorted(path for path in MESSAGES.rglob("*") if path.suffix in (".dat", ".sip", ".msg", ".bin"))
    return [path.read_bytes() for path in files]


class Fuzzer:
    """Makes datagrams by number."""

    def __init__(self, seed: int, target: Target) -> None:
        self.seed = seed
        self.target = target
        self.seeds = read_seeds()

    def datagram(self, index: int) -> bytes:
        """The datagram of that number."""
        choose = random.Random(f"{self.seed}/{index}")
        if choose.random() < 0.05:
            return choose.randbytes(choose.choice((0, 1, 4, 31, 32, 33, 200, 1500)))
        data = bytearray(self.localised(choose, choose.choice(self.seeds)))
        for _ in range(choose.choice((0, 0, 1, 1, 1, 1, 2, 2, 3, 8))):
            choose.choice(CHANGES)(choose, data)
        if choose.random() < 0.1:
            other = self.localised(choose, choose.choice(self.seeds))
            data[choose.randrange(len(data) + 1) :] = other[choose.randrange(len(other) + 1) :]
        return bytes(data[:MOST])

    def localised(self, choose: random.Random, message: bytes) -> bytes:
        """A message whose hosts are mostly the server and the sink, so that it gets somewhere; contacts are never the
        server, and branches are new, so that it is no retransmission."""
        if choose.random() < 0.08:
            return message
        server, sink = (b"%b:%d" % (host.encode(), port) for host, port in (self.target.server, self.target.sink))

        def host(_: "re.Match[bytes]") -> bytes:
            return choose.choices((server, sink, b"127.0.0.1", b"host.invalid"), (6, 4, 1, 0.3))[0]

        def contact(found: "re.Match[bytes]") -> bytes:
            return HOSTS.sub(sink, found[0])

        marked = CONTACT.sub(contact, message)
        return BRANCH.sub(lambda _: b"branch=z9hG4bK%x" % choose.getrandbits(64), HOSTS.sub(host, marked))

    def reply(self, index: int, request: bytes) -> bytes | None:
        """What the sink answers the request of that number, or nothing: a reply in order, or a broken one."""
        choose = random.Random(f"{self.seed}/reply/{index}")
        head, _, _ = request.partition(b"\r\n\r\n")
        start, *lines = head.split(b"\r\n")
        if choose.random() < 0.3 or start.startswith((b"SIP/", b"ACK ")):
            return None
        wanted = (b"via:", b"v:", b"from:", b"f:", b"to:", b"t:", b"call-id:", b"i:", b"cseq:", b"record-route:")
        copied = [line for line in lines if line.lower().startswith(wanted)]
        code = choose.choice((100, 180, 183, 200, 200, 200, 302, 404, 408, 486, 503, 603, 699))
        data = bytearray(b"\r\n".join([b"SIP/2.0 %d Reason" % code, *copied, b"Content-Length: 0", b"", b""]))
        for _ in range(choose.choice((0, 0, 0, 1, 2))):
            choose.choice(CHANGES)(choose, data)
        return bytes(data[:MOST])


# --- ways to break a message ----------


def somewhere(choose: random.Random, data: bytearray, most: int) -> slice:
    """A place of at most `most` bytes."""
    start = choose.randrange(len(data) + 1)
    return slice(start, start + choose.randint(0, most))


def flip_bits(choose: random.Random, data: bytearray) -> None:
    for _ in range(choose.choice((1, 2, 10)) if data else 0):
        data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)


def cut_out(choose: random.Random, data: bytearray) -> None:
    del data[somewhere(choose, data, choose.choice((1, 10, 300)))]


def cut_off(choose: random.Random, data: bytearray) -> None:
    del data[choose.randrange(len(data) + 1) :]


def double(choose: random.Random, data: bytearray) -> None:
    piece = bytes(data[somewhere(choose, data, choose.choice((5, 50, 500)))])
    at = choose.randrange(len(data) + 1)
    data[at:at] = piece * choose.choice((1, 1, 2, 30))


def put_token(choose: random.Random, data: bytearray) -> None:
    at = choose.randrange(len(data) + 1)
    data[at:at] = choose.choice(TOKENS)


def put_bytes(choose: random.Random, data: bytearray) -> None:
    data[somewhere(choose, data, 10)] = choose.randbytes(choose.choice((1, 4, 40)))


def change_number(choose: random.Random, data: bytearray) -> None:
    numbers = list(NUMBER.finditer(bytes(data)))
    if numbers:
        start, end = choose.choice(numbers).span()
        data[start:end] = choose.choice(
            (b"0", b"-1", b"65536", b"4294967295", b"18446744073709551616", b"00000001", b"")
        )


def change_line(choose: random.Random, data: bytearray) -> None:
    """Takes a line away, doubles it, moves it, empties it, folds it, or gives its name another value."""
    lines = bytes(data).split(b"\r\n")
    at = choose.randrange(len(lines))
    match choose.randrange(6):
        case 0:
            del lines[at]
        case 1:
            lines.insert(choose.randrange(len(lines) + 1), lines[at])
        case 2:
            lines.insert(choose.randrange(len(lines)), lines.pop(at))
        case 3:
            lines[at] = lines[at].partition(b":")[0] + b":"
        case 4:
            lines[at] = lines[at].replace(b" ", b"\r\n ", 1)
        case _:
            lines[at] = lines[at].partition(b":")[0] + b": " + choose.choice(TOKENS) + choose.choice(TOKENS)
    data[:] = b"\r\n".join(lines)


def change_line_ends(choose: random.Random, data: bytearray) -> None:
    data[:] = data.replace(b"\r\n", choose.choice((b"\n", b"\r", b"\r\n\r\n", b"\r\r\n")), choose.choice((1, -1)))


CHANGES: list[Change] = [
    flip_bits, flip_bits, cut_out, cut_out, cut_off, double, put_token, put_token, put_bytes, change_number,
    change_number, change_line, change_line, change_line, change_line_ends,
]  # fmt: skip
