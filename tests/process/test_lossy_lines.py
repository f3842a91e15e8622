"""Calls over lines on both sides of the server that lose, double and reorder datagrams complete, and leave nothing.

A few calls with the timers of RFC 3261 at a tenth; `OPENSERD_LOSS_CALLS` plays that many in each series, with the
timers as they are (`make soak`: 1000).
"""

import os
import signal
from pathlib import Path

import pytest

from tests.support import Phone, Relay, Server, TimedOut, hello_world, wait_until
from tests.support.agents import Callee
from tests.support.crowd import Crowd

CALLS = int(os.environ.get("OPENSERD_LOSS_CALLS", "0"))
RATE = 25  # calls a second
T1 = 0.5 if CALLS else 0.05
LIFE = 32 if CALLS else 4
PARAMS = [
    f'"tm", "T1_timer", {T1 * 1000:.0f}',
    f'"tm", "T2_timer", {T1 * 8000:.0f}',
    f'"tm", "fr_timer", {LIFE}',
    f'"tm", "accepted_timer", {LIFE}',
    f'"tm", "wt_timer", {5 if CALLS else 1}',
]
#: how the lines are, and how many of 1000 calls have to be complete: at 20 % lost 3 of 1000 have bad luck 11 times
LINES = {
    "5 % lost": ({"drop": 0.05}, 1000),
    "10 % lost": ({"drop": 0.1}, 1000),
    "20 % lost": ({"drop": 0.2}, 990 if CALLS else 950),
    "20 % doubled and reordered": ({"double": 0.2, "delay": 0.2, "delay_ms": 50}, 1000),
}
SMALL = ("20 % lost", "20 % doubled and reordered")


def register(phone: Phone) -> None:
    """Registers over a line that may lose it."""
    for _ in range(5):
        try:
            phone.register(3600)
            return
        except TimedOut:
            continue
    raise TimedOut("no answer to REGISTER")


def used_bytes(server: Server) -> int:
    """Shared memory in use.  The blocks that each process keeps at hand for later count too, so all are killed first:
    the master takes back what they have kept."""
    victims = server.children()
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(server.children()) - set(victims)) == len(victims), 10.0, "successors of all children")
    server.wait_for_answer()
    return server.statistics("shmem:used_size")["shmem:used_size"]


@pytest.mark.soak
@pytest.mark.conformance("ACC-01", "ACC-02", "TRN-19")
@pytest.mark.timeout(120 + CALLS)
@pytest.mark.parametrize("kind", LINES if CALLS else SMALL)
def test_calls_over_a_bad_line_complete_and_leave_nothing(kind: str, tmp_path: Path) -> None:
    line, wanted = LINES[kind]
    n_calls = CALLS or 40
    life = 300.0 + CALLS
    with (
        Server(hello_world(params=PARAMS), tmp_path) as server,
        Relay(server.address, seed=1, life=life, **line) as one,
        Relay(server.address, seed=2, life=life, **line) as other,
        Phone("alice", one.inner, domain=f"127.0.0.1:{server.port}", published=one.outer) as alice,
        Phone("bob", other.inner, domain=f"127.0.0.1:{server.port}", published=other.outer) as bob,
    ):
        register(bob)
        before = used_bytes(server)
        with Callee(bob, t1=T1) as answering:
            tally = Crowd(alice, answering, t1=T1).play(n_calls, RATE)
            passed, mishaps = 0, 0
            for name, count in [*one.report().items(), *other.report().items()]:
                passed, mishaps = passed + count, mishaps + count * (not name.endswith("passed"))
            print(f"{kind}: {tally}; {mishaps} mishaps among {passed} datagrams")
            assert len(tally.seconds) >= n_calls * wanted // 1000, str(tally)
            assert mishaps > 0
        wait_until(
            lambda: server.statistics("tm:inuse_transactions")["tm:inuse_transactions"] == 0,
            3 * LIFE,
            "every transaction has ended",
            step=0.2,
        )
        assert used_bytes(server) == before
