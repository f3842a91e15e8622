"""Host names to addresses on a clock of its own: what is asked, what is remembered, how long a worker may wait."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dns.exception
import dns.resolver
import pytest

from openserd.core.network import dns as module
from openserd.core.network.dns import ANSWER_SECONDS, FAILURE_SECONDS, LOOKUP_SECONDS, Resolver, literal, read_hosts


class Zone:
    """Answers questions from a table and counts them; each takes `seconds`, at most the lifetime it was given."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.seconds = 0.01
        self.records: dict[tuple[str, str], str] = {}  #: several addresses with blanks between
        self.asked: list[tuple[str, str]] = []

    def resolve(self, name: str, kind: str, lifetime: float) -> list[str]:
        self.asked.append((name, kind))
        self.now += min(self.seconds, lifetime)
        if self.seconds >= lifetime:
            raise dns.exception.Timeout
        if (name, kind) not in self.records:
            raise dns.resolver.NXDOMAIN
        return self.records[name, kind].split()


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Zone:
    made = Zone()
    monkeypatch.setattr(dns.resolver, "resolve", made.resolve)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    hosts = tmp_path / "hosts"
    hosts.write_text("192.0.2.77 gw.example.com GW\n")
    return Resolver(hosts)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b"255.255.255.255", "255.255.255.255"),
        (b"0.0.0.0", "0.0.0.0"),
        (b"[2001:DB8::1]", "2001:db8::1"),
        (b"[::ffff:192.0.2.1]", "::ffff:c000:201"),
    ],
)
def test_an_address_is_taken_as_it_is_and_nothing_is_asked(
    zone: Zone, resolver: Resolver, host: bytes, address: str
) -> None:
    assert resolver.address(host) == literal(host) == address
    assert zone.asked == []


@pytest.mark.parametrize("host", [b"[:::::]", b"[1.2.3.4]", b"[]", b"[", b"[::1]:5060", b"[host]"])
def test_brackets_around_no_address_are_refused_and_nothing_is_asked(
    zone: Zone, resolver: Resolver, host: bytes
) -> None:
    assert resolver.address(host) is None
    assert zone.asked == []


@pytest.mark.parametrize("host", [b"256.1.1.1", b"1.2.3", b"1.2.3.4.5", b"08.1.1.1", b"1.2.3.4\n", b"1.2.3.4."])
def test_what_only_looks_like_an_address_is_a_name(host: bytes) -> None:
    assert literal(host) is None


def test_the_hosts_file_comes_before_the_resolver_whatever_the_case(zone: Zone, resolver: Resolver) -> None:
    assert resolver.address(b"GW.Example.com") == resolver.address(b"gw") == resolver.address(b"gw.") == "192.0.2.77"
    assert zone.asked == []


def test_an_ipv4_address_is_asked_for_first_then_an_ipv6_address(zone: Zone, resolver: Resolver) -> None:
    zone.records = {("four", "A"): "192.0.2.4", ("six", "AAAA"): "2001:db8::6"}
    assert (resolver.address(b"four"), resolver.address(b"six")) == ("192.0.2.4", "2001:db8::6")
    assert zone.asked == [("four", "A"), ("six", "A"), ("six", "AAAA")]


def test_all_addresses_of_a_name_are_told_in_the_order_of_the_answer(zone: Zone, resolver: Resolver) -> None:
    zone.records = {("host", "A"): "192.0.2.5 192.0.2.4", ("host", "AAAA"): "2001:db8::6"}
    assert resolver.addresses(b"host") == resolver.addresses(b"host") == ("192.0.2.5", "192.0.2.4")
    assert resolver.address(b"host") == "192.0.2.5"
    assert zone.asked == [("host", "A")]
    assert resolver.addresses(b"[2001:DB8::1]") == ("2001:db8::1",)
    assert resolver.addresses(b"nobody") == ()


def test_an_answer_is_kept_for_a_minute(zone: Zone, resolver: Resolver) -> None:
    zone.records["host", "A"] = "192.0.2.4"
    resolver.address(b"host")
    zone.records["host", "A"] = "192.0.2.5"
    zone.now += ANSWER_SECONDS - 1
    assert resolver.address(b"host") == "192.0.2.4"
    zone.now += 2
    assert resolver.address(b"host") == "192.0.2.5"
    assert len(zone.asked) == 2


def test_a_failure_is_kept_for_ten_seconds(zone: Zone, resolver: Resolver) -> None:
    assert resolver.address(b"host") is None
    zone.records["host", "A"] = "192.0.2.4"
    zone.now += FAILURE_SECONDS - 1
    assert resolver.address(b"host") is None
    zone.now += 2
    assert resolver.address(b"host") == "192.0.2.4"


@pytest.mark.parametrize(
    "fault", [dns.resolver.NoResolverConfiguration, OSError, UnicodeError, dns.exception.SyntaxError]
)
def test_whatever_the_resolver_stumbles_over_is_no_address(
    zone: Zone, resolver: Resolver, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise fault

    monkeypatch.setattr(dns.resolver, "resolve", fail)
    assert resolver.address(b"\xff..host") is None


def test_one_question_blocks_for_two_seconds_at_most(zone: Zone, resolver: Resolver) -> None:
    zone.seconds = 60.0
    before = zone.now
    assert resolver.address(b"host") is None
    assert zone.now - before <= LOOKUP_SECONDS == 2.0


def test_a_silent_resolver_costs_a_quarter_of_the_time_at_most(zone: Zone, resolver: Resolver) -> None:
    zone.seconds = 60.0
    start, waited, n_names = zone.now, 0.0, 0
    while zone.now < start + 600:
        before = zone.now
        assert resolver.address(b"host%d" % n_names) is None
        waited += zone.now - before
        zone.now += 0.001
        n_names += 1
    assert waited / (zone.now - start) <= 0.26
    assert n_names > 100_000, "other messages are handled meanwhile"


def test_while_nothing_is_asked_known_names_keep_their_address_even_an_old_one(zone: Zone, resolver: Resolver) -> None:
    zone.records["host", "A"] = "192.0.2.4"
    resolver.address(b"host")
    zone.now += ANSWER_SECONDS + 1
    zone.seconds = 60.0
    resolver.address(b"hostile")
    assert resolver.address(b"host") == "192.0.2.4"
    assert resolver.address(b"gw") == "192.0.2.77"
    assert resolver.address(b"another") is None


def test_after_the_pause_names_are_asked_for_again(zone: Zone, resolver: Resolver) -> None:
    zone.records["host", "A"] = "192.0.2.4"
    zone.seconds = 60.0
    resolver.address(b"hostile")
    zone.seconds = 0.01
    assert resolver.address(b"host") is None
    zone.now += 3 * LOOKUP_SECONDS
    assert resolver.address(b"host") == "192.0.2.4", "what was not asked was not remembered as a failure"


def test_quick_answers_are_followed_by_no_pause(zone: Zone, resolver: Resolver) -> None:
    for number in range(100):
        resolver.address(b"host%d" % number)
    assert len(zone.asked) == 200


def test_hostile_names_push_out_the_oldest_and_the_cache_stays_small(
    zone: Zone, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_NAMES", 10)
    zone.seconds = 0.0
    for number in range(15):
        resolver.address(b"host%d" % number)
    assert list(resolver.known) == [b"host%d" % number for number in range(5, 15)]
    zone.now += ANSWER_SECONDS
    resolver.address(b"host7")
    assert list(resolver.known)[-1] == b"host7", "what is asked for again is no longer among the oldest"
    assert len(resolver.known) == 10


@pytest.mark.parametrize("kind", ["ANY.CNAME", "IN.A", "IN.AAAA"])
def test_what_answers_are_made_of_is_loaded_before_the_root_directory_changes(kind: str) -> None:
    assert f"dns.rdtypes.{kind}" in sys.modules


def test_a_hosts_file_is_read_with_comments_several_names_and_ipv4_before_ipv6(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(
        b"# comment\n::1 localhost ip6-localhost\n127.0.0.1 localhost # again\n"
        b"127.0.0.2 LocalHost\n\n192.0.2.1\nx\xe9 y\n"
    )
    assert read_hosts(path) == {
        "localhost": ("127.0.0.1", "127.0.0.2", "::1"),
        "ip6-localhost": ("::1",),
        "y": ("x\xe9",),
    }


def test_without_a_hosts_file_no_name_is_in_it(tmp_path: Path) -> None:
    assert read_hosts(tmp_path / "absent") == {}
