"""While one receiver can carry the load it gets all datagrams; beyond that, and when it stands still, all receive."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from openserd.server.gathering import LOOK_SECONDS, processor_seconds
from tests.support import Server, hello_world, wait_until

N_WORKERS = 3
N_PROBES = 40
RAN = 0.0001  # seconds of CPU that tell a receiver which handles messages from one that sleeps


def seconds_of(server: Server) -> list[float]:
    """CPU seconds of the receivers so far."""
    return [processor_seconds(pid) for pid in server.workers()]


def ran_meanwhile(server: Server, before: list[float]) -> list[bool]:
    return [after - earlier > RAN for earlier, after in zip(before, seconds_of(server), strict=True)]


@pytest.mark.parametrize(("gather_load", "n_working"), [(True, 1), (False, N_WORKERS)])
def test_a_light_load_keeps_one_receiver_awake_unless_told_otherwise(
    gather_load: bool, n_working: int, tmp_path: Path
) -> None:
    with Server(hello_world(children=N_WORKERS, gather_load=gather_load), tmp_path) as server:
        time.sleep(2 * LOOK_SECONDS)  # the timer process has looked once
        before = seconds_of(server)
        for _ in range(N_PROBES):  # each from a port of its own
            assert server.answers_options(2.0)
        assert ran_meanwhile(server, before) == [number < n_working for number in range(N_WORKERS)]


@contextlib.contextmanager
def flood(server: Server) -> Iterator[list[socket.socket]]:
    """Sockets by which a test sends more than one receiver should carry."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(30)]


def test_a_heavy_load_wakes_the_other_receivers(tmp_path: Path) -> None:
    with Server(hello_world(children=N_WORKERS, gather_load=True), tmp_path) as server, flood(server) as sources:
        message = b"OPTIONS sip:ping@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bKf\r\n" % 9
        message += b"Max-Forwards: 0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: f\r\nCSeq: 1 OPTIONS\r\n\r\n"
        before = seconds_of(server)

        def all_work() -> bool:
            for source in sources * 20:
                source.sendto(message, server.address)
            return all(ran_meanwhile(server, before))

        wait_until(all_work, 20.0, "every receiver works")
        wait_until(lambda: server.answers_options(), 10.0, "the flood is over")


def test_a_receiver_that_stands_still_does_not_keep_the_others_from_answering(tmp_path: Path) -> None:
    with Server(hello_world(children=N_WORKERS, gather_load=True), tmp_path) as server:
        time.sleep(2 * LOOK_SECONDS)
        first = server.workers()[0]
        os.kill(first, signal.SIGSTOP)
        try:
            assert not server.answers_options(LOOK_SECONDS / 2), "the first receiver had it"
            wait_until(lambda: server.answers_options(0.2), 2.0, "another receiver answers")
        finally:
            os.kill(first, signal.SIGCONT)
