"""Which receivers get an address's datagrams: by the kernel on the loopback, and by a load that the tests make up."""

import logging
import os
import socket
from collections.abc import Iterator

import pytest

from openserd.server import gathering, udp
from openserd.server.gathering import (
    BY_HASH,
    CALM_SECONDS,
    LOOK_SECONDS,
    STALL_SECONDS,
    Gathering,
    can_steer,
    lets_wait,
    processor_seconds,
    steer,
)
from openserd.server.udp import UdpListener

N_SOCKETS = 3
N_SOURCES = 60
PIDS = [101, 102, 103]


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[UdpListener]:
    """An address with three sockets."""
    host = str(request.param)
    monkeypatch.setattr(udp, "_probed", set())
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        port = int(probe.getsockname()[1])
    made = UdpListener("udp", host, port)
    made.bind(N_SOCKETS, 1, 0)
    yield made
    made.close()


def receive_from_many(listener: UdpListener) -> list[int]:
    """How many datagrams each socket gets when as many sources send one each."""
    family = listener.sockets[0].family
    for _ in range(N_SOURCES):
        with socket.socket(family, socket.SOCK_DGRAM) as source:
            source.sendto(b"x", (listener.host, listener.port))
    return [count(one) for one in listener.sockets]


def count(one: socket.socket) -> int:
    """Takes all that waits at a socket."""
    one.setblocking(False)
    n_read = 0
    while True:
        try:
            one.recv(10)
        except BlockingIOError:
            return n_read
        n_read += 1


@pytest.mark.parametrize("number", range(N_SOCKETS))
def test_a_steered_group_hands_everything_to_the_one_socket(listener: UdpListener, number: int) -> None:
    steer(listener.sockets[0], number)
    assert receive_from_many(listener) == [N_SOURCES if index == number else 0 for index in range(N_SOCKETS)]


def test_by_the_hash_of_the_source_each_socket_gets_some(listener: UdpListener) -> None:
    steer(listener.sockets[0], 0)
    steer(listener.sockets[0], BY_HASH)
    shares = receive_from_many(listener)
    assert sum(shares) == N_SOURCES and all(shares)


def test_what_waits_at_a_socket_is_seen_and_stays(listener: UdpListener) -> None:
    steer(listener.sockets[0], 1)
    assert not lets_wait(listener.sockets[1])
    with socket.socket(listener.sockets[0].family, socket.SOCK_DGRAM) as source:
        source.sendto(b"x", (listener.host, listener.port))
    assert lets_wait(listener.sockets[1]) and not lets_wait(listener.sockets[0])
    assert count(listener.sockets[1]) == 1
    assert not lets_wait(listener.sockets[1])


def test_processor_time_is_that_of_the_process() -> None:
    before = processor_seconds(os.getpid())
    sum(range(300_000))
    assert before < processor_seconds(os.getpid()) < before + 5.0


def test_a_process_that_is_not_there_has_used_nothing() -> None:
    assert processor_seconds(0) >= 0.0
    assert processor_seconds(2**22 + 1) == 0.0


def test_there_is_nothing_to_steer_where_all_share_one_socket(listener: UdpListener) -> None:
    assert can_steer(listener)
    for one in listener.sockets[1:]:
        one.close()
    listener.sockets = listener.sockets[:1]
    assert not can_steer(listener)


def test_a_kernel_that_cannot_steer_is_told_and_left_alone(
    listener: UdpListener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gathering, "SO_ATTACH_REUSEPORT_CBPF", 9999)
    with caplog.at_level(logging.INFO, "openserd"):
        assert not can_steer(listener)
    assert caplog.messages == [f"datagrams for {listener} are always spread over its receivers: Protocol not available"]


class Load:
    """A `Gathering` of made-up receivers whose time this object lets pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.seconds = dict.fromkeys(PIDS, 5.0)
        self.waiting = False
        self.numbers: list[int] = []
        self.pids = list(PIDS)
        listener = UdpListener("udp", "127.0.0.1", 5060)
        listener.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
        listener.sockets[0].close()
        monkeypatch.setattr(gathering, "steer", lambda group, number: self.numbers.append(number))
        monkeypatch.setattr(gathering, "lets_wait", lambda one: self.waiting)
        monkeypatch.setattr(gathering, "processor_seconds", lambda pid: self.seconds.get(pid, 0.0))
        self.gathering = Gathering(listener, lambda: self.pids)
        self.gathering.look(self.now)

    def goes_on(self, seconds: float, *shares: float) -> bool:
        """Receivers use these shares of a core for some time; whether the first takes all in the end."""
        for _ in range(round(seconds / LOOK_SECONDS)):
            self.now += LOOK_SECONDS
            for pid, share in zip(PIDS, shares, strict=False):
                self.seconds[pid] += share * LOOK_SECONDS
            self.gathering.look(self.now)
        return self.gathering.is_gathered


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    return Load(monkeypatch)


def test_a_server_begins_with_one_receiver(load: Load) -> None:
    assert load.numbers == [0]


def test_one_receiver_takes_all_up_to_half_a_core(load: Load) -> None:
    assert load.goes_on(20.0, 0.45)
    assert load.numbers == [0]


def test_all_receive_within_two_looks_of_a_load_that_is_more(load: Load) -> None:
    assert not load.goes_on(2 * LOOK_SECONDS, 0.6)
    assert load.numbers == [0, BY_HASH]


def test_all_receive_for_as_long_as_their_load_together_is_more_than_one_should_carry(load: Load) -> None:
    load.goes_on(1.0, 0.9)
    assert not load.goes_on(60.0, 0.12, 0.12, 0.12)


def test_one_receiver_takes_all_again_after_some_calm(load: Load) -> None:
    load.goes_on(1.0, 0.9)
    assert not load.goes_on(CALM_SECONDS - 2.0, 0.02, 0.02, 0.02)
    assert load.goes_on(3.0, 0.02, 0.02, 0.02)
    assert load.numbers == [0, BY_HASH, 0]


def test_a_burst_puts_the_calm_off(load: Load) -> None:
    load.goes_on(1.0, 0.9)
    load.goes_on(CALM_SECONDS / 2, 0.0)
    load.goes_on(LOOK_SECONDS, 0.2, 0.2)
    assert not load.goes_on(CALM_SECONDS - 1.0, 0.0)
    assert load.goes_on(2.0, 0.0)


def test_a_receiver_that_lets_datagrams_wait_without_running_loses_them_for_longer(load: Load) -> None:
    load.waiting = True
    assert not load.goes_on(LOOK_SECONDS, 0.0)
    load.waiting = False
    assert not load.goes_on(STALL_SECONDS - 1.0, 0.0)
    assert load.goes_on(2.0, 0.0)


def test_a_receiver_that_works_may_let_datagrams_wait(load: Load) -> None:
    load.waiting = True
    assert load.goes_on(5.0, 0.3)


def test_a_dead_receiver_is_one_that_does_not_run(load: Load) -> None:
    load.pids[0] = 0
    assert load.goes_on(1.0)
    load.waiting = True
    assert not load.goes_on(LOOK_SECONDS)


def test_a_kernel_that_refuses_is_asked_again_some_time_later(
    load: Load, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(group: socket.socket, number: int) -> None:
        raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as full, caplog.at_level(logging.WARNING, "openserd"):
        full.setattr(gathering, "steer", refuse)
        assert load.goes_on(CALM_SECONDS - 1.0, 0.9), "as it was"
    assert caplog.messages == ["datagrams for udp:127.0.0.1:5060 go on as they did: Cannot allocate memory"]
    assert not load.goes_on(2.0, 0.9)
