"""Random and broken datagrams: every process lives on, nothing goes unhandled, and a call works afterwards.

`OPENSERD_FUZZ_DATAGRAMS` is how many, `OPENSERD_FUZZ_SEED` makes the same ones again (see `tests/support/fuzz.py`).
"""

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Phone, Server, hello_world, new_token, wait_until
from tests.support.agents import Callee, call
from tests.support.fuzz import Fuzzer, Target
from tests.support.probe import options
from tests.support.server import LOOPBACK

N_DATAGRAMS = int(os.environ.get("OPENSERD_FUZZ_DATAGRAMS", "20000"))
SEED = int(os.environ.get("OPENSERD_FUZZ_SEED", str(time.time_ns() & 0xFFFFFF)))
N_SOURCES = 8  # ports that datagrams come from: enough for every worker to get its part
BATCH = 40  # datagrams between two looks at whether they have been handled: less than a socket buffer holds
PATIENCE = 30.0
BAD_LINES = (b"Traceback", b"could not be handled", b"failed", b"died of")
SHORT = [  # what is never answered goes soon, and what is answered too
    '"tm", "fr_timer", 2', '"tm", "fr_inv_timer", 3', '"tm", "wt_timer", 1', '"tm", "accepted_timer", 1',
]  # fmt: skip


def open_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((LOOPBACK, 0))
    made.setblocking(False)
    return made


@pytest.fixture
def sources() -> Iterator[list[socket.socket]]:
    """Sockets to send from; the last one is the sink."""
    made = [open_socket() for _ in range(N_SOURCES + 1)]
    yield made
    for one in made:
        one.close()


class Attack:
    """Sends the datagrams batch by batch; each batch ends with an OPTIONS on the same flow, whose answer proves that
    the worker behind it has come through."""

    def __init__(self, server: Server, sources: list[socket.socket]) -> None:
        self.server = server
        self.sink = sources.pop()
        self.sources = sources
        self.fuzzer = Fuzzer(SEED, Target(server.address, self.sink.getsockname()))
        self.n_relayed = 0
        self.slowest = 0.0
        self.log_read = 0

    def run(self) -> None:
        for first in range(0, N_DATAGRAMS, BATCH):
            source = self.sources[first // BATCH % len(self.sources)]
            for index in range(first, min(first + BATCH, N_DATAGRAMS)):
                source.sendto(self.fuzzer.datagram(index), self.server.address)
            start = time.monotonic()
            self.await_answer(source, f"datagrams {first} to {first + BATCH - 1} of seed {SEED}")
            self.slowest = max(self.slowest, time.monotonic() - start)
            self.look_at_log(f"datagrams up to {first + BATCH - 1} of seed {SEED}")

    def await_answer(self, source: socket.socket, what: str) -> None:
        """Reads the sockets until the OPTIONS sent now is answered."""
        probe = options(self.server.address, source.getsockname())
        tag = probe.partition(b"Call-ID: ")[2].partition(b"\r\n")[0]
        source.sendto(probe, self.server.address)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for ready in select.select([source, self.sink], [], [], 1.0)[0]:
                data, peer = ready.recvfrom(65535)
                if ready is self.sink:
                    self.take(data, peer)
                elif tag in data:
                    return
        raise AssertionError(f"no answer within {PATIENCE} s behind {what}")

    def take(self, data: bytes, peer: tuple[str, int]) -> None:
        """The sink got what the server relays, and answers some of it."""
        self.n_relayed += 1
        reply = self.fuzzer.reply(self.n_relayed, data)
        if reply is not None:
            self.sink.sendto(reply, peer)

    def look_at_log(self, what: str) -> None:
        """Fails when the log says that something has gone wrong since the last look."""
        size = self.server.log_file.stat().st_size
        if size == self.log_read:
            return
        with self.server.log_file.open("rb") as log:
            log.seek(self.log_read)
            text = log.read()
        self.log_read += len(text)
        bad = [line for line in text.splitlines() if any(word in line for word in BAD_LINES)]
        assert not bad, f"behind {what}: {text[-4000:].decode(errors='replace')}"


def dropped(port: int) -> int:
    """Datagrams for `port` of the loopback that found no room in a socket buffer, by the kernel's table."""
    rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    return sum(int(row[-1]) for row in rows if int(row[1].rpartition(":")[2], 16) == port)


@pytest.mark.conformance("HRD-03")
@pytest.mark.fuzz
@pytest.mark.timeout(N_DATAGRAMS // 100 + 300)
def test_broken_datagrams_harm_nobody(sources: list[socket.socket], tmp_path: Path) -> None:
    with Server(hello_world(children=2, params=SHORT), tmp_path, shm_megabytes=128) as server:
        before = server.processes()
        attack = Attack(server, sources)
        start = time.monotonic()
        attack.run()
        seconds = time.monotonic() - start
        figures = server.statistics("core:")
        print(
            f"seed {SEED}: {N_DATAGRAMS} datagrams in {seconds:.1f} s, slowest batch {attack.slowest * 1000:.0f} ms, "
            f"{attack.n_relayed} relayed; {figures}"
        )
        assert dropped(server.port) == 0, "every datagram was read"
        assert attack.n_relayed > N_DATAGRAMS / 20, "many got through the script"
        for name in ("rcv_requests", "rcv_replies", "err_requests", "err_replies", "fwd_replies"):
            assert figures[f"core:{name}"] > 0
        wait_until(
            lambda: server.statistics("tm:inuse_transactions")["tm:inuse_transactions"] == 0,
            60.0,
            "every transaction has ended",
            step=0.5,
        )
        attack.look_at_log(f"the whole attack of seed {SEED}")
        assert server.processes() == before, "the same processes live"
        caller, callee = (Phone(new_token("fuzz-"), server.address) for _ in range(2))
        with caller, callee, Callee(callee) as answering:
            callee.register()
            call(caller, callee.user, answering)
