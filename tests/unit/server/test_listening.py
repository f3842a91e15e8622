"""From `listen`, `port`, `alias` to listeners and to what counts as this server."""

import logging
from pathlib import Path

import pytest

from openserd.core.context import Core
from openserd.errors import ConfigError, ResourceError
from openserd.server import listening
from openserd.server.listening import bind, make_listeners, resolve
from openserd.server.udp import UdpListener

INTERFACES = {"eth0": ["192.0.2.5", "2001:db8::5"], "lo": ["127.0.0.1", "::1"]}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with two interfaces and a hosts file; comes back with that file."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n192.0.2.5 sip.example.com SIP\n198.51.100.9 elsewhere\n")
    monkeypatch.setattr(listening, "addresses_of", lambda name: INTERFACES.get(name, []))
    monkeypatch.setattr(listening, "all_addresses", lambda: ["127.0.0.1", "192.0.2.5"])
    monkeypatch.setattr(listening, "HOSTS_FILE", hosts)
    return hosts


def core_with(**params: object) -> Core:
    """A core whose script has set these parameters; a list sets one of many values."""
    core = Core()
    for name, value in params.items():
        core.params.set(name, value if isinstance(value, list) else [value])  # type: ignore[list-item]
    make_listeners(core)
    return core


def names(core: Core) -> list[str]:
    return [str(one) for one in core.listening.all]


def test_without_listen_every_address_is_served_on_port_5060() -> None:
    assert names(core_with()) == ["udp:127.0.0.1:5060", "udp:192.0.2.5:5060"]


def test_port_is_that_of_listeners_that_name_none() -> None:
    assert names(core_with(listen=["127.0.0.1", "udp:192.0.2.5:5080"], port=5070)) == [
        "udp:127.0.0.1:5070",
        "udp:192.0.2.5:5080",
    ]


def test_an_interface_stands_for_all_its_addresses() -> None:
    assert names(core_with(listen=["eth0"])) == ["udp:192.0.2.5:5060", "udp:[2001:db8::5]:5060"]
    assert names(core_with(listen=["udp:lo:5099"])) == ["udp:127.0.0.1:5099", "udp:[::1]:5099"]


def test_an_address_named_twice_is_served_once() -> None:
    assert names(core_with(listen=["127.0.0.1", "lo", "127.0.0.1:5060"])) == ["udp:127.0.0.1:5060", "udp:[::1]:5060"]


def test_ipv6_is_brought_to_one_form() -> None:
    assert names(core_with(listen=["[2001:DB8:0:0::5]:5060"])) == ["udp:[2001:db8::5]:5060"]


def test_a_host_name_stands_for_its_address() -> None:
    assert resolve("localhost") == ["127.0.0.1"]


def test_a_name_that_is_nothing_is_refused_with_what_would_be_right() -> None:
    with pytest.raises(ConfigError) as refused:
        core_with(listen=["eth7.invalid"])
    assert "cannot listen on 'eth7.invalid'" in str(refused.value)
    assert "an interface of this machine" in str(refused.value)


def test_other_transports_are_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "openserd"):
        core = core_with(listen=["tcp:127.0.0.1:5060", "udp:127.0.0.1:5060"])
    assert names(core) == ["udp:127.0.0.1:5060"]
    assert caplog.messages == ["listen=tcp:127.0.0.1: this version receives by UDP only"]


def test_a_server_without_any_address_is_refused() -> None:
    with pytest.raises(ResourceError, match=r"no address to listen on: .*-l ADDRESS"):
        core_with(listen=["tcp:127.0.0.1"])


def test_advertised_address_and_port_are_what_listeners_write() -> None:
    core = core_with(listen=["127.0.0.1"], advertised_address="sip.example.com", advertised_port=5999)
    assert core.listening.all[0].sent_by == b"sip.example.com:5999"


def test_listeners_count_as_this_server_with_their_own_port_only() -> None:
    core = core_with(listen=["192.0.2.5:5070"], auto_aliases=0)
    assert core.is_myself(b"192.0.2.5", 5070)
    assert not core.is_myself(b"192.0.2.5", 0)
    assert not core.is_myself(b"192.0.2.5", 5060)


def test_aliases_count_with_their_port_or_with_any() -> None:
    core = core_with(listen=["192.0.2.5"], alias=["example.com", "other.example.com:5080"])
    assert core.is_myself(b"Example.COM", 0) and core.is_myself(b"example.com", 1234)
    assert core.is_myself(b"other.example.com", 5080)
    assert not core.is_myself(b"other.example.com", 0)


def test_names_of_the_listening_addresses_in_the_hosts_file_count_too() -> None:
    core = core_with(listen=["192.0.2.5:5070"])
    assert core.is_myself(b"sip.example.com", 5070) and core.is_myself(b"sip", 5070)
    assert not core.is_myself(b"sip.example.com", 5060)
    assert not core.is_myself(b"elsewhere", 5070) and not core.is_myself(b"localhost", 5070)


def test_auto_aliases_off_leaves_the_hosts_file_alone() -> None:
    assert not core_with(listen=["192.0.2.5"], auto_aliases=0).is_myself(b"sip.example.com", 5060)


@pytest.mark.parametrize(
    ("settings", "n_sockets"),
    [
        ({"children": 3}, 3),
        ({"children": 3, "socket_mode": "shared"}, 1),
        ({"children": 3, "fork": 0}, 1),
    ],
)
def test_each_worker_gets_a_socket_unless_they_share_one(
    settings: dict[str, object], n_sockets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(UdpListener, "bind", lambda self, *given: asked.append(given))
    own = {"maxbuffer": 111_111, "tos": 8, "mcast_loopback": 1, "mcast_ttl": 3}
    bind(core_with(listen=["127.0.0.1"], **own, **settings))
    assert asked == [(n_sockets, 111_111, 8, (True, 3))]
