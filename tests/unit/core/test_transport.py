"""Listeners: how they are written, and how one stands in for another."""

import pytest

from openserd.core.network.transport import Advertised, Listener, bracketed, sent_by
from tests.support.recording import RecordingListener


@pytest.mark.parametrize(
    ("host", "port", "written"),
    [
        ("192.0.2.1", 5060, b"192.0.2.1"),
        ("192.0.2.1", 5061, b"192.0.2.1:5061"),
        ("2001:db8::1", 5060, b"[2001:db8::1]"),
        ("2001:db8::1", 5070, b"[2001:db8::1]:5070"),
        ("[2001:db8::1]", 5070, b"[2001:db8::1]:5070"),
        ("sip.example.com", 5060, b"sip.example.com"),
    ],
)
def test_the_default_port_is_left_out_and_ipv6_stands_in_brackets(host: str, port: int, written: bytes) -> None:
    assert sent_by(host, port) == written


def test_brackets_are_for_ipv6_only() -> None:
    assert (bracketed("::1"), bracketed("127.0.0.1")) == ("[::1]", "127.0.0.1")


def test_a_listener_shows_where_it_is_and_what_it_writes() -> None:
    listener = RecordingListener("udp", "2001:db8::1", 5070)
    assert str(listener) == "udp:[2001:db8::1]:5070"
    assert (listener.address, listener.family) == (("2001:db8::1", 5070), 6)
    assert (listener.via_proto, listener.sent_by) == (b"UDP", b"[2001:db8::1]:5070")
    assert RecordingListener("udp", "fe80::1%eth0").family == 6


def test_a_listener_may_write_another_address_than_its_own() -> None:
    listener = RecordingListener("udp", "10.0.0.1", 5060, advertised_host="sip.example.com", advertised_port=5999)
    assert (listener.sent_by, listener.address) == (b"sip.example.com:5999", ("10.0.0.1", 5060))


def test_an_advertised_listener_writes_another_address_and_sends_by_the_one_behind() -> None:
    behind = RecordingListener("udp", "10.0.0.1", 5070, index=3)
    shown = Advertised(behind, "sip.example.com", 0)
    assert (shown.sent_by, shown.index, str(shown)) == (b"sip.example.com:5070", 3, "udp:10.0.0.1:5070")
    assert shown.send(b"data", ("192.0.2.9", 5060))
    assert behind.sent == [(b"data", ("192.0.2.9", 5060))]
    behind.broken = True
    assert not shown.send(b"data", ("192.0.2.9", 5060))


def test_keeping_is_handed_on_to_the_listener_behind() -> None:
    kept: list[tuple[object, int]] = []

    class Keeping(RecordingListener):
        def keep(self, destination: tuple[str, int], seconds: int) -> None:
            kept.append((destination, seconds))

    Advertised(Keeping(), "x", 0).keep(("192.0.2.9", 5060), 30)
    RecordingListener().keep(("192.0.2.9", 5060), 30)
    assert kept == [(("192.0.2.9", 5060), 30)]


def test_a_listener_has_to_say_how_it_sends() -> None:
    with pytest.raises(TypeError):
        Listener("udp", "127.0.0.1", 5060)  # type: ignore[abstract]
