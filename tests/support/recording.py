"""For unit tests of what the server does with one message: a listener that keeps what it is given, a server around it,
messages to start from.  Unlike the rest of this folder it imports openserd: what it holds are openserd's own objects.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from openserd.core.context import Core
from openserd.core.destinations import ruri_branch
from openserd.core.forward import build_request
from openserd.core.message import SipMsg
from openserd.core.module import Module
from openserd.core.network.transport import Address, Listener
from openserd.script.variables.compile import compile_variable
from openserd.script.variables.format import compile_format

CALLER: Address = ("192.0.2.10", 5062)


class RecordingListener(Listener):
    """Keeps what is sent, as (data, destination); refuses to send while `broken`."""

    def __init__(self, proto: str = "udp", host: str = "198.51.100.1", port: int = 5060, **options: Any) -> None:
        super().__init__(proto, host, port, **options)
        self.sent: list[tuple[bytes, Address]] = []
        self.broken = False

    def send(self, data: bytes, destination: Address) -> bool:
        """Keeps one message."""
        if not self.broken:
            self.sent.append((data, destination))
        return not self.broken


class ScriptContext:
    """What an argument kind may ask of the compiler, over the real formats."""

    def __init__(self, module: Module, core: Core, n_args: int = 0) -> None:
        self.module = module
        self.core = core
        self.n_args = n_args
        self.env = SimpleNamespace(core=core, modules=[module])

    def format(self, text: str) -> Any:
        """Text with pseudo-variables."""
        return compile_format(text, self.env)

    def variable(self, text: str) -> Any:
        """One pseudo-variable."""
        return compile_variable(text, self.env)

    def route(self, kind: int, name: str) -> str:
        """Every block exists."""
        return name


def make_core(*listeners: Listener) -> Core:
    """A server with these listeners, one on 198.51.100.1:5060 without any; no shared memory."""
    core = Core()
    for listener in listeners or (RecordingListener(),):
        core.listening.add(listener)
        core.myself.add(listener.host.encode(), listener.port)
    return core


def call(module: Module, core: Core, name: str, msg: SipMsg, *texts: str) -> int:
    """Calls a script function with its arguments as the script writes them; variables are evaluated for `msg`."""
    context = ScriptContext(module, core, len(texts))
    values = []
    for kind, text in zip(module.functions[name].args, texts, strict=False):
        value: Any = kind.compile(text, context)
        values.append(value(msg) if callable(value) else value)
    return module.function(name)(msg, *values)


def request(
    method: str = "INVITE",
    uri: str = "sip:bob@biloxi.example",
    headers: Sequence[str] = (),
    *,
    to_tag: str = "",
    body: str = "",
    source: Address = CALLER,
    listener: Listener | None = None,
) -> SipMsg:
    """A request of alice's; `headers` are put between Via and From, whole lines without CRLF."""
    tag = f";tag={to_tag}" if to_tag else ""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {source[0]}:{source[1]};branch=z9hG4bKcaller",
        *headers,
        "From: <sip:alice@atlanta.example>;tag=from1",
        f"To: <sip:bob@biloxi.example>{tag}",
        "Call-ID: 1@atlanta",
        f"CSeq: 7 {method}",
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    return SipMsg("\r\n".join(lines).encode(), source, listener or RecordingListener())


def reply(code: int = 200, method: str = "INVITE", headers: Sequence[str] = (), body: str = "") -> SipMsg:
    """A reply on its way back through the server."""
    lines = [
        f"SIP/2.0 {code} Reason",
        "Via: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKserver",
        "Via: SIP/2.0/UDP 192.0.2.10:5062;branch=z9hG4bKcaller",
        *headers,
        "From: <sip:alice@atlanta.example>;tag=from1",
        "To: <sip:bob@biloxi.example>;tag=to1",
        "Call-ID: 1@atlanta",
        f"CSeq: 7 {method}",
        f"Content-Length: {len(body)}",
        "",
        body,
    ]
    return SipMsg("\r\n".join(lines).encode(), ("192.0.2.20", 5060), RecordingListener())


def forwarded(msg: SipMsg, listener: Listener | None = None) -> bytes:
    """The request as it is sent on its first branch, by `listener` or the one it came in by."""
    return build_request(msg, ruri_branch(msg), b"z9hG4bKserver", listener or msg.listener)


def lines_of(data: bytes, name: str) -> list[str]:
    """The values of all header lines of that name, in order."""
    head = data.partition(b"\r\n\r\n")[0].decode()
    pairs = [line.partition(":") for line in head.split("\r\n")[1:]]
    return [value.strip() for field, _, value in pairs if field.lower() == name.lower()]
