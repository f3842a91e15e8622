"""Messages, a listener and an environment for the tests of pseudo-variables, formats and core functions."""

from types import SimpleNamespace
from typing import Any

from openserd.core.message import SipMsg
from openserd.core.network.transport import Address, Listener

INVITE = (
    b"INVITE sip:bob:secret@biloxi.example:5070;transport=tcp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP proxy.example;branch=z9hG4bK2\r\n"
    b"v: SIP/2.0/UDP client.example:5066;branch=z9hG4bK1\r\n"
    b'From: "Alice A." <sip:alice@atlanta.example;user=phone>;tag=from1\r\n'
    b"To: Bob <sips:bob@biloxi.example>\r\n"
    b"Call-ID: a84b4c76e66710\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.4:5066>;expires=60\r\n"
    b"User-Agent: Phone 1.0\r\n"
    b"P-Asserted-Identity: <sip:asserted@atlanta.example>, <tel:+1555>\r\n"
    b'P-Preferred-Identity: "Preferred" <sip:wanted@atlanta.example>\r\n'
    b"Remote-Party-ID: <sip:remote@atlanta.example>;party=calling\r\n"
    b"Diversion: <sip:last@atlanta.example>;reason=busy, <sip:first@atlanta.example>\r\n"
    b"Refer-To: <sip:carol@chicago.example>\r\n"
    b'Authorization: Digest username="other",realm="other.example",nonce="n",uri="sip:x",response="r"\r\n'
    b'Proxy-Authorization: Digest username="alice@atlanta.example",realm="atlanta",nonce="n",uri="sip:x",'
    b'response="r"\r\n'
    b"X-Colour: red\r\n"
    b"x-colour: green\r\n"
    b"X-COLOUR: blue\r\n"
    b"Content-Type: text/plain\r\n"
    b"Content-Length: 5\r\n"
    b"\r\n"
    b"hello"
)
BARE = (
    b"OPTIONS sip:biloxi.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP client.example\r\n"
    b"From: sip:atlanta.example\r\n"
    b"To: sip:biloxi.example\r\n"
    b"Call-ID: 1\r\n"
    b"CSeq: 7 OPTIONS\r\n"
    b"\r\n"
)
REPLY = (
    b"SIP/2.0 180 Ringing Now\r\n"
    b"Via: SIP/2.0/UDP proxy.example\r\n"
    b"From: <sip:alice@atlanta.example>;tag=from1\r\n"
    b"To: <sip:bob@biloxi.example>;tag=to1\r\n"
    b"Call-ID: 1\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)
BROKEN = (
    b"OPTIONS <none> SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP client.example\r\n"
    b"From: <<>>\r\n"
    b"To: <<>>\r\n"
    b"Call-ID: a b\r\n"
    b"CSeq: many OPTIONS\r\n"
    b"P-Preferred-Identity: <<>>\r\n"
    b"P-Asserted-Identity: <<>>\r\n"
    b"Content-Length: -3\r\n"
    b"Authorization: Digest username\r\n"
    b"\r\n"
)


class Recorder(Listener):
    """A listener that keeps what it is given to send; it refuses while `refuses` is set."""

    def __init__(self, proto: str = "udp", host: str = "192.0.2.1", port: int = 5060, *, index: int = 0) -> None:
        super().__init__(proto, host, port, index=index)
        self.sent: list[tuple[bytes, Address]] = []
        self.refuses = False

    def send(self, data: bytes, destination: Address) -> bool:
        self.sent.append((data, destination))
        return not self.refuses


def message(buf: bytes = INVITE, listener: Listener | None = None) -> SipMsg:
    """`buf` as received from 203.0.113.9:5099, the 42nd message of this process, at a fixed time."""
    msg = SipMsg(buf, ("203.0.113.9", 5099), listener or Recorder(), 42)
    msg.clock = 1164412800.75
    return msg


def environment(*modules: Any, avp_aliases: str = "") -> Any:
    """What compiling a variable asks for."""
    return SimpleNamespace(
        modules={module.name: module for module in modules},
        core=SimpleNamespace(params=SimpleNamespace(avp_aliases=avp_aliases)),
    )
