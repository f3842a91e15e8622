"""The machine's own addresses, as far as every Linux has them."""

from pathlib import Path

import pytest

from openserd.server import interfaces
from openserd.server.interfaces import addresses_of, all_addresses, ipv4_addresses, ipv6_addresses

TABLE = """\
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000002 04 40 00 82     eth0
"""


def test_the_loopback_is_among_the_ipv4_addresses() -> None:
    assert ("lo", "127.0.0.1") in ipv4_addresses()


def test_all_addresses_are_ipv4_and_each_is_there_once() -> None:
    found = all_addresses()
    assert "127.0.0.1" in found
    assert len(found) == len(set(found))
    assert not any(":" in address for address in found)


def test_ipv6_addresses_are_read_from_the_kernel_s_table_without_link_local_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(TABLE)
    monkeypatch.setattr(interfaces, "IF_INET6", table)
    assert ipv6_addresses() == [("lo", "::1"), ("eth0", "2001:db8::2")]


def test_a_kernel_without_ipv6_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(interfaces, "IF_INET6", tmp_path / "absent")
    assert ipv6_addresses() == []


def test_an_interface_has_its_addresses_of_both_kinds_and_those_of_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        interfaces, "ipv4_addresses", lambda: [("eth0", "192.0.2.2"), ("eth0:1", "192.0.2.3"), ("eth01", "192.0.2.4")]
    )
    monkeypatch.setattr(interfaces, "ipv6_addresses", lambda: [("eth0", "2001:db8::2"), ("lo", "::1")])
    assert addresses_of("eth0") == ["192.0.2.2", "192.0.2.3", "2001:db8::2"]


def test_an_interface_that_is_not_there_has_none() -> None:
    assert addresses_of("no-such-interface") == []
