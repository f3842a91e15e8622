"""Writes openserd/data/hot_functions.txt: the functions that messages run, in the order in which they run.

    python -m scripts.hot_functions             make hot-functions

The messages are those that a server has most of: calls, REGISTERs with and without digest, OPTIONS, by the scripts that
`make bench` measures.  `openserd/server/hot_code.py` says what the list is for.
"""

import gc
import sys
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, Final

from openserd.core.receive import Receiver
from openserd.mods.auth.digest import calc_ha1, calc_ha2, calc_response
from openserd.parser import names
from openserd.parser.digest import parse_challenge
from openserd.testing import Script

ROOT: Final = Path(__file__).parents[1]
FILE: Final = ROOT / "openserd/data/hot_functions.txt"
SCRIPTS: Final = ROOT / "bench/configs"
WARM: Final = 3  #: what runs only the first times is not hot
PHONE: Final = "192.0.2.10"
BODY: Final = "v=0\r\n"
#: What the messages of a `Script`, which has neither sockets nor a clock, do not run.
BEHIND_SOCKETS: Final = (
    ("openserd.server.udp", "UdpReceiver.run"),
    ("openserd.server.udp", "UdpListener.send"),
    ("openserd.shm.deadlines", "ticks"),
)


class Order:
    """The code objects that ran, each once, in the order of their first run."""

    def __init__(self) -> None:
        self.codes: dict[CodeType, None] = {}

    def note(self, frame: FrameType, event: str, argument: Any) -> None:
        """A profile function."""
        if event == "call":
            self.codes.setdefault(frame.f_code)

    def run(self, work: Callable[[], object]) -> None:
        """Notes what `work` runs of the way of a message."""
        work_once = Receiver.receive

        def receive(*arguments: Any) -> None:
            sys.setprofile(self.note)
            try:
                work_once(*arguments)
            finally:
                sys.setprofile(None)

        for _ in range(WARM):
            work()
        Receiver.receive = receive  # type: ignore[method-assign]
        try:
            work()
        finally:
            Receiver.receive = work_once  # type: ignore[method-assign]


def call(script: Script) -> None:
    """INVITE 180 200 ACK BYE 200."""
    invite = script.request(f"INVITE sip:bob@{script.domain}", headers={"Contact": f"<sip:alice@{PHONE}>"}, body=BODY)
    sent = next(one for one in invite.sent if one.message.is_request)
    script.reply(sent, 180, "Ringing")
    answered = script.reply(sent, 200, "OK", body=BODY)
    answer = next(one for one in answered.sent if not one.message.is_request)
    script.ack(invite, answer)
    bye = script.within(invite, answer, "BYE")
    script.reply(next(one for one in bye.sent if one.message.is_request), 200, "OK")


def digest(script: Script) -> None:
    """REGISTER 401 REGISTER 200."""
    challenged = script.register("alice", f"sip:alice@{PHONE}")
    (line,) = challenged.sent[0].message.headers(names.WWW_AUTHENTICATE)
    nonce = parse_challenge(line).nonce or b""
    uri = f"sip:{script.domain}"
    ha2 = calc_ha2(b"REGISTER", uri.encode())
    response = calc_response(calc_ha1(b"alice", b"bench", b"secret"), ha2, nonce)
    credentials = f'Digest username="alice", realm="bench", nonce="{nonce.decode()}", uri="{uri}"'
    credentials += f', response="{response.decode()}", algorithm=MD5'
    script.register("alice", f"sip:alice@{PHONE}", headers={"Authorization": credentials})


def named(codes: dict[CodeType, None]) -> list[tuple[str, str]]:
    """(module, qualified name) of code objects of openserd's own functions, those of testing left out."""
    functions: dict[CodeType, tuple[str, str]] = {}
    modules: dict[str, str] = {}
    for one in gc.get_objects():
        if type(one) is FunctionType:
            functions[one.__code__] = (one.__module__, one.__qualname__)
            modules[one.__code__.co_filename] = one.__module__
    found = [functions.get(code) or (modules.get(code.co_filename, ""), code.co_qualname) for code in codes]
    return [(module, name) for module, name in found if module and is_ours(module)]


def is_ours(module: str) -> bool:
    """Whether a module is one of the server's."""
    return module.startswith("openserd.") and not module.startswith("openserd.testing")


def measured() -> list[tuple[str, str]]:
    """The functions that messages run, in order."""
    order = Order()
    hello = Script.text((SCRIPTS / "openserd-hello.cfg").read_text())
    hello.register("bob", f"sip:bob@{PHONE}")
    order.run(lambda: call(hello))
    order.run(lambda: hello.register("alice", f"sip:alice@{PHONE}"))
    auth = Script.text((SCRIPTS / "openserd-auth.cfg").read_text())
    order.run(lambda: digest(auth))
    options = Script.text((SCRIPTS / "openserd-options.cfg").read_text())
    order.run(lambda: options.request(f"OPTIONS sip:{options.domain}"))
    return list(dict.fromkeys([*BEHIND_SOCKETS, *named(order.codes)]))


def text(functions: list[tuple[str, str]]) -> str:
    """The file."""
    return "".join(f"{module} {name}\n" for module, name in functions)


if __name__ == "__main__":
    found = measured()
    FILE.write_text(text(found))
    print(f"{FILE.relative_to(ROOT)}: {len(found)} functions")
