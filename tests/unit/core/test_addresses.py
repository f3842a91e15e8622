"""What counts as this server, and by which listener a message leaves."""

import socket

import pytest

from openserd.core.network.addresses import Listeners, Myself, normal_host
from openserd.core.network.transport import Listener
from tests.support.recording import RecordingListener

FIRST = RecordingListener("udp", "192.0.2.1", 5060)
SECOND = RecordingListener("udp", "192.0.2.1", 5070)
SIX = RecordingListener("udp", "2001:db8::1", 5060)
TCP = RecordingListener("tcp", "192.0.2.1", 5060)


@pytest.fixture
def listeners() -> Listeners:
    made = Listeners()
    for listener in (FIRST, SECOND, SIX, TCP):
        made.add(listener)
    return made


@pytest.fixture
def myself() -> Myself:
    made = Myself()
    made.add(b"192.0.2.1", 5060)
    made.add(b"192.0.2.1", 5070)
    made.add(b"2001:db8::1", 5060)
    made.add(b"Example.COM", 0)
    return made


@pytest.mark.parametrize(
    ("host", "port", "ours"),
    [
        (b"192.0.2.1", 0, True),
        (b"192.0.2.1", 5060, True),
        (b"192.0.2.1", 5070, True),
        (b"192.0.2.1", 5080, False),
        (b"192.0.2.2", 5060, False),
        (b"example.com", 0, True),
        (b"EXAMPLE.com", 9999, True),
        (b"www.example.com", 0, False),
        (b"[2001:db8::1]", 0, True),
        (b"[2001:DB8:0:0:0::1]", 5060, True),
        (b"[2001:db8::1]", 5070, False),
        (b"[2001:db8::2]", 0, False),
    ],
)
def test_host_and_port_are_compared_with_5060_for_a_port_left_out(
    myself: Myself, host: bytes, port: int, ours: bool
) -> None:
    assert myself.matches(host, port) is ours


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        (b"Example.COM", b"example.com"),
        (b"10.0.0.1", b"10.0.0.1"),
        (b"2001:DB8:0::1", b"[2001:db8::1]"),
        (b"[2001:DB8:0::1]", b"[2001:db8::1]"),
        (b"1.2.3.4.5", b"1.2.3.4.5"),
        (b"[Nonsense]", b"[nonsense]"),
        (b"", b""),
    ],
)
def test_hosts_have_one_form(host: bytes, normal: bytes) -> None:
    assert normal_host(host) == normal


def test_listeners_are_numbered_in_their_order(listeners: Listeners) -> None:
    assert [one.index for one in listeners.all] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("proto", "host", "port", "found"),
    [
        ("udp", "192.0.2.1", 5070, SECOND),
        ("udp", "192.0.2.1", 0, FIRST),
        ("tcp", "192.0.2.1", 0, TCP),
        (None, "192.0.2.1", 5060, FIRST),
        ("udp", "[2001:DB8::0:1]", 0, SIX),
        ("tls", "192.0.2.1", 0, None),
        ("udp", "192.0.2.9", 0, None),
    ],
)
def test_a_listener_is_found_by_transport_address_and_port(
    listeners: Listeners, proto: str | None, host: str, port: int, found: Listener | None
) -> None:
    assert listeners.find(proto, host, port) is found


@pytest.mark.parametrize(
    ("proto", "destination", "forced", "arrived", "chosen"),
    [
        ("udp", "198.51.100.1", None, None, FIRST),
        ("udp", "198.51.100.1", SECOND, FIRST, SECOND),
        ("udp", "198.51.100.1", SIX, SECOND, SECOND),
        ("udp", "198.51.100.1", TCP, None, FIRST),
        ("udp", "2001:db8::9", SECOND, SECOND, SIX),
        ("tcp", "198.51.100.1", None, FIRST, TCP),
        ("tls", "198.51.100.1", None, FIRST, None),
    ],
)
def test_a_message_leaves_by_the_forced_listener_that_it_came_in_by_or_the_first_that_fits(
    listeners: Listeners,
    proto: str,
    destination: str,
    forced: Listener | None,
    arrived: Listener | None,
    chosen: Listener | None,
) -> None:
    assert listeners.for_destination(proto, (destination, 5060), forced, arrived) is chosen


def test_without_a_message_it_leaves_by_the_listener_that_this_process_serves(listeners: Listeners) -> None:
    listeners.serving = SECOND
    assert listeners.for_destination("udp", ("198.51.100.1", 5060)) is SECOND
    assert listeners.for_destination("udp", ("198.51.100.1", 5060), None, FIRST) is FIRST


def routed(listeners: Listeners, monkeypatch: pytest.MonkeyPatch, source: str | None) -> Listener | None:
    """The choice of a multi-homed server whose system would send from `source`."""

    class Probe:
        def __init__(self, *_: object) -> None: ...

        def __enter__(self) -> "Probe":
            return self

        def __exit__(self, *_: object) -> None: ...

        def connect(self, destination: object) -> None:
            if source is None:
                raise OSError(101, "Network is unreachable")

        def getsockname(self) -> tuple[str | None, int]:
            return source, 1

    monkeypatch.setattr(socket, "socket", Probe)
    listeners.mhomed = True
    return listeners.for_destination("udp", ("198.51.100.1", 5060), None, FIRST)


def test_a_multi_homed_server_asks_the_system_s_routes(listeners: Listeners, monkeypatch: pytest.MonkeyPatch) -> None:
    other = RecordingListener("udp", "10.0.0.1", 5060)
    listeners.add(other)
    assert routed(listeners, monkeypatch, "10.0.0.1") is other


@pytest.mark.parametrize("source", [None, "10.9.9.9"])
def test_where_the_routes_lead_nowhere_known_the_usual_choice_is_made(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch, source: str | None
) -> None:
    assert routed(listeners, monkeypatch, source) is FIRST
