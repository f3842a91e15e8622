"""How long a script of 1000 lines takes to be read and compiled, and what 30 statements cost for a message.

    python bench/script.py

The first figure is given without and with the start of the interpreter and the import of the whole server.  The second
is the time of the compiled route without that of the same calls made by hand.  All are the best of several runs.
"""

import importlib
import resource
import subprocess
import sys
import time
from typing import Any

from openserd.core.context import Core
from openserd.core.message import SipMsg
from openserd.core.module import ANY_ROUTE, Fn, Module, Str
from openserd.core.network.transport import Address, Listener
from openserd.errors import ConfigError
from openserd.script import load

REPEATS = 25
STARTS = 7
ONCE = "once"  #: the argument by which this program runs itself
LOOPS = 2000
BLOCK = """
route[{n}] {{
    # one block of the usual kind
    if (!check("10")) {{
        act("483", "Too Many Hops");
        exit;
    }};
    if (msg:len >= 2048) {{
        act("513", "Message too big");
        exit;
    }};
    if (!method=="REGISTER")
        act("record", "route");
    if (check("loose")) {{
        act("P-hint", "rr-enforced\\r\\n");
        route({next});
    }};
    if (!uri==myself || src_ip==10.0.0.0/8 && $rU =~ "^[0-9]+$") {{
        act("P-hint", "outbound\\r\\n");
        $var(x) = $var(x) + 1;
        route({next});
    }};
    switch ($rm) {{
        case "INVITE":
            act("a", "b");
            break;
        default:
            act("c", "d");
    }}
}}
"""
INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1@example.com\r\n"
    b"CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


class Bench(Module):
    """Functions that do nothing."""

    name = "bench"
    functions = {"check": Fn(Str("what"), routes=ANY_ROUTE), "act": Fn(Str("one"), Str("two"), routes=ANY_ROUTE)}

    def check(self, msg: SipMsg, what: bytes) -> int:
        """1."""
        return 1

    def act(self, msg: SipMsg, one: bytes, two: bytes) -> int:
        """1."""
        return 1


class OneModule:
    """A loader that knows the bench's module."""

    def load(self, name: str) -> type[Module]:
        """The module."""
        if name != Bench.name:
            raise ConfigError(f"there is no module {name}")
        return Bench

    def exporters(self, function: str) -> list[str]:
        """Its name."""
        return [Bench.name] if function in Bench.functions else []


class Nowhere(Listener):
    """A listener that sends nothing."""

    def send(self, data: bytes, destination: Address) -> bool:
        """True."""
        return True


def script_of(lines: int) -> str:
    """A script of about that many lines."""
    blocks = ['loadmodule "bench.so"\nroute { route(1); }\n']
    n = 1
    while sum(block.count("\n") for block in blocks) < lines:
        blocks.append(BLOCK.format(n=n, next=n + 1))
        n += 1
    return "".join([*blocks, f"route[{n}] {{ exit; }}\n"])


def compile_seconds(text: str) -> float:
    """Seconds to read, check and compile a script, imports not counted."""
    started = time.process_time()
    load(text, "bench.cfg", Core(), OneModule(), 2)
    return time.process_time() - started


def from_start() -> float:
    """Seconds for the same in an interpreter that has to be started, as `openserd -C` is."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, __file__, ONCE], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def once() -> None:
    """Imports the server and reads a script of 1000 lines."""
    importlib.import_module("openserd.__main__")
    compile_seconds(script_of(1000))


def per_call(function: Any, msg: SipMsg) -> float:
    """Microseconds of one call."""
    started = time.process_time()
    for _ in range(LOOPS):
        function(msg)
    return (time.process_time() - started) / LOOPS * 1e6


def overhead() -> tuple[float, float]:
    """Microseconds of a route of 30 statements, and of the same functions called from Python."""
    statements = ['act("one", "two");'] * 20 + ['if (check("x")) setflag(1);'] * 5
    text = f'loadmodule "bench.so"\nroute {{\n{chr(10).join(statements)}\n}}\n'
    script = load(text, "bench.cfg", Core(), OneModule())
    assert script.routes.request is not None
    calls = ["act(msg, b'one', b'two')"] * 20 + ["check(msg, b'x')", "setflag(msg, 1)"] * 5
    space = dict(script.routes.request.__globals__)
    exec("def by_hand(msg):\n " + "\n ".join(calls), space)
    msg = SipMsg(INVITE, ("10.0.0.1", 5060), Nowhere("udp", "127.0.0.1", 5060))
    pairs = [(per_call(script.routes.request, msg), per_call(space["by_hand"], msg)) for _ in range(REPEATS)]
    return min(routed for routed, _ in pairs), min(by_hand for _, by_hand in pairs)


def main() -> None:
    """Prints both figures."""
    text = script_of(1000)
    compile_seconds(text)
    seconds = min(compile_seconds(text) for _ in range(REPEATS))
    routed, by_hand = overhead()
    started = min(from_start() for _ in range(STARTS))
    print(f"{text.count(chr(10))} lines: {seconds:.3f} s, with the start of the interpreter {started:.3f} s")
    print(f"30 statements: {routed:.2f} us, their functions alone {by_hand:.2f} us, overhead {routed - by_hand:.2f} us")


if __name__ == "__main__":
    once() if sys.argv[1:] == [ONCE] else main()
