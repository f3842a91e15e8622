"""UDP sockets on the loopback: bound, refused, shared; and the loop of a receiver over a socket of its own making."""

import logging
import socket
from collections.abc import Iterator

import pytest

from openserd.core.network.transport import Address, Listener
from openserd.errors import ResourceError
from openserd.server import udp
from openserd.server.fatal import FatalMessages
from openserd.server.in_hand import InHand
from openserd.server.udp import Multicast, UdpListener, UdpReceiver, udp_listeners

LOOPBACKS = ["127.0.0.1", "::1"]


@pytest.fixture(autouse=True)
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address has been looked at by an earlier test."""
    monkeypatch.setattr(udp, "_probed", set())


@pytest.fixture(params=LOOPBACKS)
def host(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    with socket.socket(family_of(name), socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((name, 0))
        except OSError:
            pytest.skip(f"this machine has no {name}")
    return name


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


@pytest.fixture
def other(host: str) -> Iterator[socket.socket]:
    """A socket of another server."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as made:
        made.bind((host, 0))
        yield made


@pytest.fixture
def port(host: str) -> int:
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def bound(host: str, port: int, n_sockets: int, receive_buffer: int = 1, tos: int = 0) -> UdpListener:
    listener = UdpListener("udp", host, port)
    listener.bind(n_sockets, receive_buffer, tos)
    return listener


@pytest.mark.parametrize("n_sockets", [1, 3])
def test_every_receiver_has_a_socket_on_the_same_address(host: str, port: int, n_sockets: int) -> None:
    listener = bound(host, port, n_sockets)
    assert [one.getsockname()[:2] for one in listener.sockets] == [(host, port)] * n_sockets
    for index in range(4):
        listener.use(index)
        assert listener.socket is listener.sockets[index % n_sockets]
    listener.close()
    assert all(one.fileno() == -1 for one in listener.sockets)


@pytest.mark.parametrize("n_sockets", [1, 2])
def test_an_address_in_use_is_refused_with_what_to_look_for(host: str, other: socket.socket, n_sockets: int) -> None:
    port = other.getsockname()[1]
    with pytest.raises(ResourceError) as refused:
        bound(host, port, n_sockets)
    shown = f"[{host}]" if ":" in host else host
    assert str(refused.value) == (
        f"cannot listen on udp:{shown}:{port}: Address already in use "
        "(is another server running there? is the address this machine's?)"
    )


def test_a_port_that_another_server_offers_to_share_is_refused_too(host: str) -> None:
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        foreign.bind((host, 0))
        with pytest.raises(ResourceError, match="Address already in use"):
            bound(host, foreign.getsockname()[1], 2)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ResourceError, match=r"udp:192\.0\.2\.123:5060: Cannot assign requested address"):
        bound("192.0.2.123", 5060, 2)


def test_a_datagram_goes_both_ways(host: str, port: int, other: socket.socket) -> None:
    listener = bound(host, port, 2)
    assert listener.send(b"hello", other.getsockname()[:2])
    other.settimeout(5)
    data, source = other.recvfrom(100)
    assert (data, source[:2]) == (b"hello", (host, port))
    listener.close()


def test_a_host_that_is_no_text_is_refused_too(caplog: pytest.LogCaptureFixture) -> None:
    listener = UdpListener("udp", "127.0.0.1", 0)
    listener.bind(1, 65536, 0)
    with caplog.at_level("CRITICAL", "openserd"):  # a report of the line could not be printed
        assert not listener.send(b"x", ("\ud800", 9))
    listener.close()


@pytest.mark.parametrize(
    ("data", "destination"),
    [
        (b"x" * 70_000, ("127.0.0.1", 9)),
        (b"x", ("127.0.0.1", 70_000)),
        (b"x", ("127.0.0.1", -1)),
        (b"x", ("a..b", 9)),
        (b"x", ("a\0b", 9)),
    ],
)
def test_what_the_system_refuses_to_send_is_logged_and_answered_with_false(
    data: bytes, destination: Address, caplog: pytest.LogCaptureFixture
) -> None:
    listener = UdpListener("udp", "127.0.0.1", 5060)
    listener.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with listener.socket, caplog.at_level(logging.WARNING, "openserd"):
        assert listener.send(data, destination) is False
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"cannot send {len(data)} bytes by udp:127.0.0.1:5060 to ")


def test_the_receive_buffer_grows_when_asked_and_never_shrinks(port: int, host: str) -> None:
    listener = bound(host, port, 1)
    usual = listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    listener.close()
    listener = bound(host, port, 1, receive_buffer=1000)
    assert listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == usual
    udp.grow_receive_buffer(listener.socket, usual + 1)
    assert listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= usual
    listener.close()


def test_the_type_of_service_is_set_on_ipv4() -> None:
    listener = bound("127.0.0.1", 0, 1, tos=0x10)
    assert listener.socket.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x10
    listener.close()


def test_an_ipv6_listener_leaves_the_ipv4_port_to_others() -> None:
    try:
        listener = bound("::", 0, 1)
    except ResourceError:
        pytest.skip("this machine has no IPv6")
    assert listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    listener.close()


def test_only_udp_listeners_are_bound() -> None:
    class Other(Listener):
        def send(self, data: bytes, destination: Address) -> bool:
            return True

    one = UdpListener("udp", "127.0.0.1", 5060)
    assert udp_listeners([one, Other("tcp", "127.0.0.1", 5060)]) == [one]


class Script:
    """Takes the place of a bound socket and of what handles a message: a list of what the read comes to."""

    def __init__(self, *reads: tuple[bytes, tuple[object, ...]] | Exception) -> None:
        self.reads = list(reads)
        self.received: list[tuple[bytes, tuple[object, ...]]] = []
        listener = UdpListener("udp", "127.0.0.1", 5060)
        listener.socket = self  # type: ignore[assignment]
        self.fatal = FatalMessages()
        self.dropped: list[bytes] = []
        self.loop = UdpReceiver(listener, self, InHand(self.fatal))  # type: ignore[arg-type]

    def recvfrom_into(self, room: memoryview) -> tuple[int, tuple[object, ...]]:
        assert self.loop.in_hand.length[0] == 0, "nothing is in hand while it waits"
        assert self.loop.idle, "a process that waits may be ended at once"
        if len(self.reads) == 1:
            self.loop.stopping = True
        read = self.reads.pop(0)
        if isinstance(read, Exception):
            raise read
        data, source = read
        room[: len(data)] = data
        return len(data), source

    def drop(self, data: bytes, source: tuple[object, ...]) -> None:
        self.dropped.append(data)

    def receive(self, data: bytes, source: tuple[object, ...], listener: Listener) -> None:
        assert not self.loop.idle, "a message in hand is finished first"
        assert listener is self.loop.listener
        assert self.loop.in_hand.length[0] == len(data), "what is in hand can be told by others"
        self.received.append((data, source))
        if data == b"poison":
            raise RuntimeError("bad message")


def test_every_datagram_is_handled_with_host_and_port_of_its_source() -> None:
    script = Script((b"one", ("127.0.0.1", 1)), (b"two", ("::1", 2, 0, 0)))
    script.loop.run()
    assert script.received == [(b"one", ("127.0.0.1", 1)), (b"two", ("::1", 2))]


def test_what_processes_have_died_of_is_dropped() -> None:
    script = Script((b"one", ("127.0.0.1", 1)), (b"fatal", ("127.0.0.1", 1)), (b"two", ("127.0.0.1", 1)))
    script.fatal.died_of(b"fatal")
    script.fatal.died_of(b"fatal")
    script.loop.run()
    assert [data for data, _ in script.received] == [b"one", b"two"]
    assert script.dropped == [b"fatal"]


def test_a_message_that_cannot_be_handled_is_logged_and_the_next_one_is_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    script = Script((b"poison", ("192.0.2.7", 5070)), (b"good", ("127.0.0.1", 1)))
    with caplog.at_level(logging.ERROR, "openserd"):
        script.loop.run()
    assert [data for data, _ in script.received] == [b"poison", b"good"]
    assert caplog.messages == ["a message from 192.0.2.7:5070 could not be handled"]


def test_an_error_of_the_socket_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(ConnectionRefusedError(111, "Connection refused"), (b"good", ("127.0.0.1", 1)))
    with caplog.at_level(logging.WARNING, "openserd"):
        script.loop.run()
    assert [data for data, _ in script.received] == [b"good"]
    assert "receiving on udp:127.0.0.1:5060" in caplog.text


def test_stop_ends_a_waiting_process_at_once_and_a_busy_one_after_its_message() -> None:
    loop = Script().loop
    loop.idle = False
    loop.stop()
    assert loop.stopping
    loop.run()
    loop.idle = True
    with pytest.raises(SystemExit):
        loop.stop()


# -- multicast ----------------------------------------------------------------------------------------------

GROUP = "239.255.71.60"


@pytest.fixture
def group() -> Iterator[UdpListener]:
    """A listener on a multicast group, as three receivers would have it."""
    listener = UdpListener("udp", GROUP, free_port("0.0.0.0"))
    try:
        listener.bind(3, 1, 0, Multicast(loopback=True, ttl=0))
    except ResourceError:
        pytest.skip("this machine has no interface for multicast")
    yield listener
    listener.close()


def free_port(host: str) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def options_of(opened: socket.socket) -> tuple[int, int]:
    loop = opened.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP)
    return loop, opened.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL)


def test_a_multicast_group_is_joined_by_one_socket_for_all_receivers(group: UdpListener) -> None:
    assert len(group.sockets) == 1
    group.socket.settimeout(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0)
        sender.sendto(b"to all", group.address)
    assert group.socket.recv(100) == b"to all"


def test_with_mcast_loopback_the_server_hears_what_it_sends_to_the_group(group: UdpListener) -> None:
    group.socket.settimeout(2)
    assert group.send(b"to myself too", group.address)
    assert group.socket.recv(100) == b"to myself too"


def test_without_mcast_loopback_it_does_not(group: UdpListener) -> None:
    sender = UdpListener("udp", "0.0.0.0", free_port("0.0.0.0"))
    sender.bind(1, 1, 0, Multicast(loopback=False, ttl=0))
    group.socket.settimeout(0.2)
    assert sender.send(b"to others", group.address)
    with pytest.raises(TimeoutError):
        group.socket.recv(100)
    sender.close()


@pytest.mark.parametrize(
    ("multicast", "options"), [(Multicast(), (0, 1)), (Multicast(True, 17), (1, 17)), (Multicast(False, 0), (0, 0))]
)
def test_mcast_loopback_and_mcast_ttl_are_those_of_every_socket(multicast: Multicast, options: tuple[int, int]) -> None:
    listener = UdpListener("udp", "127.0.0.1", free_port("127.0.0.1"))
    listener.bind(2, 1, 0, multicast)
    assert [options_of(one) for one in listener.sockets] == [options] * 2
    listener.close()


def test_mcast_options_of_ipv6() -> None:
    listener = UdpListener("udp", "::1", 0)
    try:
        listener.bind(1, 1, 0, Multicast(True, 9))
    except ResourceError:
        pytest.skip("this machine has no ::1")
    hops = listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS)
    loop = listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP)
    assert (loop, hops) == (1, 9)
    listener.close()
