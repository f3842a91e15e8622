"""Messages made to be expensive cost what their length allows and no more."""

import gc
import time

import pytest

from tests.unit.parser.corpus import ask_everything

BASE = b"From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n"
VIA = b"Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
LIMIT_S = 0.050
LOOP_S = 0.0065  #: what `machine_loop` takes on the machine that LIMIT_S is meant for
ROUNDS = range(3, 40)  #: measured at least, and at most while other work on the machine makes one side look dear


def options(extra, ruri=b"sip:a@b", via=VIA):
    return b"OPTIONS " + ruri + b" SIP/2.0\r\n" + via + BASE + extra + b"\r\n"


BOMBS = {
    "headers": lambda n: options(b"X-Some: value\r\n" * (2000 * n)),
    "headers of different names": lambda n: options(b"".join(b"X-%d: v\r\n" % i for i in range(2000 * n))),
    "long line": lambda n: options(b"X-Some: " + b"v" * (30000 * n) + b"\r\n"),
    "long name": lambda n: options(b"X" * (30000 * n) + b": v\r\n"),
    "no colon": lambda n: options(b"x" * (30000 * n) + b"\r\n"),
    "folds": lambda n: options(b"Subject: a" + b"\r\n b" * (7500 * n) + b"\r\n"),
    "white space": lambda n: options(b"Subject:" + b" " * (30000 * n) + b"\r\n"),
    "contact parameters": lambda n: options(b"Contact: <sip:a@b>" + b";a=1" * (5000 * n) + b"\r\n"),
    "contact spaces": lambda n: options(b"Contact: <sip:a@b>" + b" " * (30000 * n) + b"x\r\n"),
    "contact quotes": lambda n: options(b"Contact: " + b'"a" ' * (7500 * n) + b"\r\n"),
    "contact open quote": lambda n: options(b'Contact: "' + b"\\a" * (15000 * n) + b"\r\n"),
    "contact brackets": lambda n: options(b"Contact: " + b"<" * (30000 * n) + b"\r\n"),
    "routes": lambda n: options(b"Route: " + b", ".join([b"<sip:r;lr>"] * (500 * n)) + b"\r\n"),
    "route lines": lambda n: options(b"Route: <sip:r;lr>\r\n" * (500 * n)),
    "commas": lambda n: options(b"Supported: " + b"," * (30000 * n) + b"\r\n"),
    "vias": lambda n: options(b"", via=VIA * (250 * n)),
    "vias in one line": lambda n: options(
        b"", via=b"Via: " + b",".join([b"SIP/2.0/UDP a;branch=b"] * (250 * n)) + b"\r\n"
    ),
    "via parameters": lambda n: options(b"", via=VIA[:-2] + b";a=1" * (5000 * n) + b"\r\n"),
    "via bad end": lambda n: options(b"", via=VIA[:-2] + b";a=1" * (2500 * n) + b";\r\n"),
    "via comment": lambda n: options(b"", via=VIA[:-2] + b" (" + b"\\(" * (15000 * n) + b"\r\n"),
    "via spaces": lambda n: options(b"", via=b"Via: SIP" + b" " * (30000 * n) + b"\r\n"),
    "uri": lambda n: options(b"", ruri=b"sip:" + b"a" * (32000 * n) + b"@b"),
    "uri without host": lambda n: options(b"", ruri=b"sip:" + b"a:" * (16000 * n) + b"@"),
    "uri parameters": lambda n: options(b"", ruri=b"sip:a@b" + b";a=b" * (8000 * n)),
    "uri dots": lambda n: options(b"", ruri=b"sip:a@" + b"." * (32000 * n) + b"/"),
    "request line spaces": lambda n: b"OPTIONS" + b" " * (30000 * n) + b"a" + b" a" * (15000 * n) + b" SIP/2.0\r\n\r\n",
    "digest fields": lambda n: options(
        b"Authorization: Digest " + b",".join(b"a%d=b" % i for i in range(2000 * n)) + b"\r\n"
    ),
    "digest open quote": lambda n: options(b'Authorization: Digest a="' + b"\\a" * (15000 * n) + b"\r\n"),
    "zeros": lambda n: options(b"Content-Length: " + b"0" * (30000 * n) + b"x\r\nExpires: " + b"0" * 3000 + b"\r\n"),
    "cseq digits": lambda n: options(b"").replace(b"CSeq: 1", b"CSeq: " + b"0" * (30000 * n)),
    "carriage returns": lambda n: options(b"Subject: " + b"\r" * (30000 * n) + b"\r\n"),
    "line feeds": lambda n: b"\n" * (30000 * n),
    "tag spaces": lambda n: options(b"").replace(b";tag=1", b" " * (30000 * n) + b";"),
    "from words": lambda n: options(b"").replace(b"From: ", b"From: " + b"a " * (15000 * n)),
}


def machine_loop():
    """A fixed piece of work, to know how slow the machine is just now."""
    total = 0
    for i in range(100_000):
        total += i & 7
    return total


def cpu_seconds(work):
    """CPU seconds of `work()`, once."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


@pytest.fixture
def no_collection():
    """No garbage collector: how often it runs depends on all that the other tests have made."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.conformance("HRD-09")
@pytest.mark.parametrize("name", BOMBS)
def test_cost_is_bounded_and_linear(name, no_collection):
    """The least cost seen counts: other work on the machine only adds, and a square is one in each round."""
    once, twice = BOMBS[name](1), BOMBS[name](2)
    loop = single = double = float("inf")
    for done in range(1, ROUNDS.stop):
        loop = min(loop, cpu_seconds(machine_loop))
        single = min(single, cpu_seconds(lambda: ask_everything(once)))
        double = min(double, cpu_seconds(lambda: ask_everything(twice)))
        slowness = max(1.0, loop / LOOP_S)
        bounded = single < LIMIT_S * slowness
        linear = double <= 3.0 * max(single, 0.004)  # four would be a square; what leaves the cache costs more
        if done >= ROUNDS.start and bounded and linear:
            return
    pytest.fail(f"{single * 1e3:.1f} ms, {double * 1e3:.1f} ms for twice the length, machine {slowness:.1f} times slow")
