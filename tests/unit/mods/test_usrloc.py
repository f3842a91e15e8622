"""The surface of usrloc: every parameter, MI command and statistic."""

from collections.abc import Iterator

import pytest

from openserd.core.management.mi import Command, Reply
from openserd.errors import ConfigError
from openserd.mods.usrloc import UsrLoc
from tests.unit.mods.location_kit import Clock, Site

ALICE = ("location", "alice")
ADD = ("sip:alice@192.0.2.10", "100", "0.5", "0", "0", "4", "255")

DEFAULTS = {
    "user_column": "username", "domain_column": "domain", "contact_column": "contact", "expires_column": "expires",
    "q_column": "q", "callid_column": "callid", "cseq_column": "cseq", "flags_column": "flags",
    "cflags_column": "cflags", "user_agent_column": "user_agent", "received_column": "received",
    "path_column": "path", "socket_column": "socket", "methods_column": "methods",
    "db_url": "mysql://openser:openserrw@localhost/openser", "db_mode": 0, "fetch_rows": 2000, "hash_size": 9,
    "timer_interval": 60, "use_domain": 0, "desc_time_order": 0, "matching_mode": 0, "cseq_delay": 20,
    "nat_bflag": -1,
}  # fmt: skip


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def mi(site: Site, name: str, *args: str) -> Reply:
    """What an MI command answers, its arguments counted as they are for all transports."""
    declared = site.usrloc.mi[name]
    least = sum(not arg.optional for arg in declared.args)
    run = getattr(site.usrloc, f"mi_{name}")
    return Command(name, run, least, len(declared.args), "usrloc").call(list(args))


def answer(site: Site, name: str, *args: str) -> tuple[int, str]:
    reply = mi(site, name, *args)
    return reply.code, reply.reason


# --- parameters ----------


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_parameters_have_the_defaults_of_openser(name: str, default: object) -> None:
    assert getattr(UsrLoc(), name) == default


@pytest.mark.parametrize("name", [name for name, default in DEFAULTS.items() if isinstance(default, str)])
def test_names_of_columns_and_database_can_be_set(name: str) -> None:
    assert getattr(UsrLoc(**{name: "other"}), name) == "other"


@pytest.mark.parametrize("db_mode", [1, 2, 3])
def test_a_database_mode_needs_the_driver_of_its_url(db_mode: int) -> None:
    with pytest.raises(ConfigError, match=r'loadmodule "mysql\.so"'):
        Site(usrloc={"db_mode": db_mode})


@pytest.mark.parametrize(
    ("name", "value"),
    [("db_mode", 4), ("matching_mode", 2), ("nat_bflag", 32), ("timer_interval", 0), ("cseq_delay", -1),
     ("hash_size", 99), ("fetch_rows", 0), ("max_aors", -1)],
)  # fmt: skip
def test_values_out_of_range_are_refused(name: str, value: int) -> None:
    with pytest.raises(ConfigError):
        UsrLoc(**{name: value})


def test_fetch_rows_is_accepted() -> None:
    assert UsrLoc(fetch_rows=10).fetch_rows == 10


def test_the_sweep_runs_every_timer_interval_seconds() -> None:
    assert UsrLoc.timers["expire"].seconds == "timer_interval"
    assert UsrLoc(timer_interval=5).timer_interval == 5


def test_hash_size_is_the_least_number_of_buckets() -> None:
    small, large = Site(usrloc={"max_aors": 100, "hash_size": 12}), Site(usrloc={"max_aors": 5000})
    assert (small.location.n_buckets, large.location.n_buckets) == (4096, 8192)
    small.close()
    large.close()


def test_without_max_aors_the_table_is_as_large_as_memory_allows() -> None:
    site = Site(megabytes=2, usrloc={"max_aors": 0})
    assert site.location.table.n_slots == 2 * 1024 * 1024 // 256
    site.close()


def test_max_aors_limits_the_table() -> None:
    site = Site(usrloc={"max_aors": 1})
    assert answer(site, "ul_add", "location", "a", *ADD)[0] == 200
    assert answer(site, "ul_add", "location", "b", *ADD) == (500, "Server Internal Error")
    site.close()


def test_use_domain_keeps_users_of_different_domains_apart() -> None:
    site = Site(usrloc={"use_domain": 1})
    site.register(["<sip:a@192.0.2.10>"], to="sip:alice@one.example")
    assert site.uris(b"alice@one.example") == [b"sip:a@192.0.2.10"]
    assert site.uris(b"alice@two.example") == []
    site.close()


def test_matching_mode_1_keeps_equal_contacts_of_two_calls_apart() -> None:
    by_uri, by_call_id = Site(), Site(usrloc={"matching_mode": 1})
    for site in (by_uri, by_call_id):
        for call_id in ("one", "two"):
            site.register(["<sip:a@192.0.2.10>"], call_id=call_id)
    assert (len(by_uri.uris()), len(by_call_id.uris())) == (1, 2)
    by_uri.close()
    by_call_id.close()


def test_desc_time_order_sends_to_the_newest_contact_first() -> None:
    site = Site(usrloc={"desc_time_order": 1})
    site.register(["<sip:old@192.0.2.10>;q=1"])
    site.register(["<sip:new@192.0.2.10>;q=0.1"])
    assert site.uris() == [b"sip:new@192.0.2.10", b"sip:old@192.0.2.10"]
    site.close()


def test_cseq_delay_bounds_the_time_for_retransmissions() -> None:
    site = Site(usrloc={"cseq_delay": 5})
    site.register(["<sip:a@192.0.2.10>"], cseq=1)
    site.clock.now += 4
    assert site.register(["<sip:a@192.0.2.10>"], cseq=1).status == 200
    site.clock.now += 1
    assert site.register(["<sip:a@192.0.2.10>"], cseq=1).status == 400
    site.close()


def test_nat_bflag_is_published_as_a_mask() -> None:
    site = Site(usrloc={"nat_bflag": 6})
    assert site.location.nat_bflag == 64
    site.close()


def test_the_store_is_published(site: Site) -> None:
    assert site.core.require("usrloc") is site.location


def test_the_clock_is_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1234.9)
    assert UsrLoc().clock() == 1234


# --- statistics ----------


def test_registered_users_counts_aors_over_all_tables(site: Site) -> None:
    site.registrar.fix_domain("aliases")
    mi(site, "ul_add", *ALICE, *ADD)
    mi(site, "ul_add", "location", "bob", *ADD)
    mi(site, "ul_add", "aliases", "alice", *ADD)
    assert site.usrloc.registered_users.value() == 3
    assert not site.usrloc.registered_users.resettable


def test_each_table_counts_users_contacts_and_expired_contacts(site: Site) -> None:
    mi(site, "ul_add", *ALICE, *ADD)
    mi(site, "ul_add", *ALICE, "sip:alice@192.0.2.11", *ADD[1:])
    assert [site.statistic(f"location-{name}") for name in ("users", "contacts", "expires")] == [1, 2, 0]
    site.clock.now += 100
    site.usrloc.timer_expire()
    assert [site.statistic(f"location-{name}") for name in ("users", "contacts", "expires")] == [0, 0, 2]


# --- MI ----------


@pytest.mark.parametrize(
    ("name", "n_args"), [("ul_dump", 2), ("ul_rm", 1), ("ul_rm_contact", 2), ("ul_add", 8), ("ul_show_contact", 3)]
)
def test_a_wrong_number_of_arguments_is_refused(site: Site, name: str, n_args: int) -> None:
    assert answer(site, name, *["x"] * n_args) == (400, "Too few or too many arguments")


@pytest.mark.parametrize(
    ("name", "rest"), [("ul_rm", ()), ("ul_rm_contact", ("sip:a@h",)), ("ul_add", ADD), ("ul_show_contact", ())]
)
def test_tables_that_the_script_does_not_use_are_not_found(site: Site, name: str, rest: tuple[str, ...]) -> None:
    assert answer(site, name, "elsewhere", "alice", *rest) == (404, "Table not found")


@pytest.mark.parametrize(
    ("name", "rest"), [("ul_rm", ()), ("ul_rm_contact", ("sip:a@h",)), ("ul_add", ADD), ("ul_show_contact", ())]
)
def test_with_use_domain_an_aor_needs_its_domain(name: str, rest: tuple[str, ...]) -> None:
    site = Site(usrloc={"use_domain": 1})
    assert answer(site, name, "location", "alice", *rest) == (400, "Domain missing in AOR")
    site.close()


def test_without_use_domain_the_domain_of_an_aor_is_ignored_and_case_too(site: Site) -> None:
    mi(site, "ul_add", "location", "Alice@Example.com", *ADD)
    assert site.uris(b"alice") == [b"sip:alice@192.0.2.10"]


def test_ul_add_stores_what_it_is_given(site: Site) -> None:
    assert answer(site, "ul_add", *ALICE, "sip:alice@h", "100", "0.25", "0", "1", "4", "7") == (200, "OK")
    (binding,) = site.location.get(b"location", b"alice")
    assert (binding.uri, binding.expires, binding.q) == (b"sip:alice@h", site.clock.now + 100, 250)
    assert (binding.flags, binding.cflags, binding.methods) == (1, 4, 7)
    assert (binding.call_id, binding.cseq) == (b"dfjrewr12386fd6-343@openser.mi", 1)
    assert (binding.user_agent, binding.socket) == (b"OpenSER MI Server", b"")


def test_ul_add_with_expires_0_is_permanent(site: Site) -> None:
    mi(site, "ul_add", *ALICE, "sip:alice@h", "0", *ADD[2:])
    site.clock.now += 10**9
    site.usrloc.timer_expire()
    assert site.uris() == [b"sip:alice@h"]


def test_ul_add_of_a_known_contact_changes_it(site: Site) -> None:
    site.register(["<sip:alice@192.0.2.10>;expires=3600"])
    mi(site, "ul_add", *ALICE, *ADD)
    mi(site, "ul_add", *ALICE, "sip:alice@192.0.2.10", "200", *ADD[2:])
    (binding,) = site.location.get(b"location", b"alice")
    assert binding.expires == site.clock.now + 200


@pytest.mark.parametrize("position", [1, 2, 4, 5, 6])
@pytest.mark.parametrize("bad", ["x", "-1", "", "4294967296"])
def test_ul_add_refuses_what_is_no_number(site: Site, position: int, bad: str) -> None:
    args = list(ADD)
    args[position] = bad
    assert answer(site, "ul_add", *ALICE, *args) == (400, "Bad parameter")
    assert site.uris() == []


def test_ul_rm_removes_an_aor_and_answers_200_for_one_that_is_not_there(site: Site) -> None:
    site.register(["<sip:a@192.0.2.10>, <sip:b@192.0.2.10>"])
    assert answer(site, "ul_rm", *ALICE) == (200, "OK")
    assert site.location.get(b"location", b"alice") == []
    assert answer(site, "ul_rm", *ALICE) == (200, "OK")


def test_ul_rm_contact_removes_one_contact(site: Site) -> None:
    site.register(["<sip:a@192.0.2.10>, <sip:b@192.0.2.10>"])
    assert answer(site, "ul_rm_contact", *ALICE, "sip:a@192.0.2.10") == (200, "OK")
    assert site.uris() == [b"sip:b@192.0.2.10"]


def test_ul_rm_contact_says_what_it_has_not_found(site: Site) -> None:
    assert answer(site, "ul_rm_contact", *ALICE, "sip:a@h") == (404, "AOR not found")
    mi(site, "ul_add", *ALICE, *ADD)
    assert answer(site, "ul_rm_contact", *ALICE, "sip:a@h") == (404, "Contact not found")
    assert len(site.uris()) == 1


def test_ul_show_contact_writes_one_line_for_each_contact(site: Site) -> None:
    mi(site, "ul_add", *ALICE, *ADD)
    msg = site.message(
        b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
        b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:alice@example.com>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
        b'Contact: <sip:alice@192.0.2.11>;expires=300;received="sip:203.0.113.1:1024"\r\nUser-Agent: Phone\r\n\r\n'
    )
    site.save(msg)
    reply = mi(site, "ul_show_contact", *ALICE)
    assert [(node.name, node.value) for node in reply.nodes] == [
        ("Contact", b"<sip:alice@192.0.2.10>;q=0.5;expires=100;flags=0x0;cflags=0x4;socket=<NULL>;methods=0xFF"
                    b";user_agent=<OpenSER MI Server>"),
        ("Contact", b"<sip:alice@192.0.2.11>;q=;expires=300;flags=0x0;cflags=0x0;socket=<udp:192.0.2.1:5060>"
                    b";methods=0xFFFFFFFF;received=<sip:203.0.113.1:1024>;user_agent=<Phone>"),
    ]  # fmt: skip


def test_ul_show_contact_shows_the_path_and_zero_for_permanent() -> None:
    site = Site(registrar={"use_path": 1, "path_mode": 0})
    site.register(["<sip:a@192.0.2.10>"], headers=["Path: <sip:p1;lr>"])
    mi(site, "ul_add", "location", "bob", "sip:b@h", "0", *ADD[2:])
    assert str(mi(site, "ul_show_contact", *ALICE).nodes[0].value).endswith(";path=<<sip:p1;lr>>'")
    assert b";expires=0;" in bytes(mi(site, "ul_show_contact", "location", "bob").nodes[0].value)  # type: ignore[arg-type]
    site.close()


def test_ul_show_contact_says_what_it_has_not_found(site: Site) -> None:
    assert answer(site, "ul_show_contact", *ALICE) == (404, "AOR not found")
    mi(site, "ul_add", *ALICE, *ADD)
    site.clock.now += 100
    assert answer(site, "ul_show_contact", *ALICE) == (404, "AOR has no contacts")


def test_ul_dump_shows_every_field_of_every_binding() -> None:
    site = Site(registrar={"use_path": 1, "path_mode": 0}, usrloc={"max_aors": 64})
    contact = '<sip:alice@192.0.2.10>;q=0.7;expires=300;received="sip:203.0.113.1:1024";methods="INVITE,BYE"'
    site.register([contact], cseq=7, call_id="c", headers=["Path: <sip:p1;lr>", "User-Agent: Phone"], flags=1)
    (domain,) = mi(site, "ul_dump").nodes
    assert (domain.name, domain.value) == ("Domain", b"location")
    assert domain.attributes == {"table": 512, "records": 1, "max_slot": 1}
    (aor,) = domain.children
    assert (aor.name, aor.value) == ("AOR", b"alice")
    (node,) = aor.children
    assert (node.name, node.value, node.attributes) == ("Contact", b"sip:alice@192.0.2.10", {"Q": b"0.7"})
    assert [(child.name, child.value) for child in node.children] == [
        ("Expires", "300"), ("Callid", b"c"), ("Cseq", 7), ("User-agent", b"Phone"),
        ("Received", b"sip:203.0.113.1:1024"), ("Path", b"<sip:p1;lr>"), ("State", "CS_NEW"), ("Flags", 1),
        ("Cflags", 0), ("Socket", b"udp:192.0.2.1:5060"), ("Methods", 9),
    ]  # fmt: skip
    site.close()


def test_ul_dump_leaves_out_what_a_binding_has_not(site: Site) -> None:
    mi(site, "ul_add", *ALICE, "sip:a@h", "0", *ADD[2:])
    site.register(["<sip:b@192.0.2.10>;expires=60"])
    site.clock.now += 61
    nodes = mi(site, "ul_dump").nodes[0].children[0].children
    assert [node.children[0].value for node in nodes] == ["permanent", "expired"]
    assert [child.name for child in nodes[0].children] == [
        "Expires", "Callid", "Cseq", "User-agent", "State", "Flags", "Cflags", "Methods",
    ]  # fmt: skip
    assert nodes[1].attributes == {"Q": b""}


def test_ul_dump_brief_shows_aors_alone_and_any_other_word_all(site: Site) -> None:
    mi(site, "ul_add", *ALICE, *ADD)
    assert mi(site, "ul_dump", "Brief").nodes[0].children[0].children == []
    assert mi(site, "ul_dump", "full").nodes[0].children[0].children != []


def test_ul_dump_counts_the_longest_chain_of_each_table() -> None:
    site = Site(usrloc={"max_aors": 2000, "hash_size": 1})
    site.registrar.fix_domain("empty")
    for number in range(1500):
        mi(site, "ul_add", "location", f"user{number}", *ADD)
    location, empty = mi(site, "ul_dump", "brief").nodes
    assert location.attributes["records"] == len(location.children) == 1500
    assert 2 <= int(location.attributes["max_slot"]) <= 10
    assert (empty.attributes["records"], empty.attributes["max_slot"]) == (0, 0)
    site.close()


def test_ul_flush_answers_200_and_takes_no_input(site: Site) -> None:
    assert site.usrloc.mi["ul_flush"].no_input
    assert answer(site, "ul_flush") == (200, "OK")


def test_mi_commands_read_the_module_clock(site: Site) -> None:
    site.usrloc.clock = Clock(5000)  # type: ignore[method-assign]
    mi(site, "ul_add", *ALICE, *ADD)
    assert site.location.get(b"location", b"alice")[0].expires == 5100


# --- processes ----------


def test_a_database_is_written_by_a_process_of_its_own_and_memory_by_the_timer() -> None:
    assert {mode: list(UsrLoc(db_mode=mode).own_processes()) for mode in range(4)} == {
        0: [], 1: ["database"], 2: ["database"], 3: ["database"],
    }  # fmt: skip


def test_the_timer_leaves_a_database_alone(site: Site) -> None:
    calls: list[int] = []
    site.usrloc.expire = lambda: calls.append(site.usrloc.db_mode)  # type: ignore[method-assign]
    for site.usrloc.db_mode in range(4):
        site.usrloc.timer_expire()
    assert calls == [0]


def test_the_process_for_the_database_does_what_is_due(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now, done = [100.0], list[tuple[float, str]]()
    site.usrloc.timer_interval = 5

    def sleep(seconds: float) -> None:
        if now[0] >= 112:
            raise SystemExit
        now[0] += seconds

    monkeypatch.setattr("openserd.mods.usrloc.time.sleep", sleep)
    monkeypatch.setattr("openserd.mods.usrloc.time.monotonic", lambda: now[0])
    site.usrloc.expire = lambda: done.append((now[0], "expire"))  # type: ignore[method-assign]
    site.usrloc.catch_up = lambda: done.append((now[0], "catch up"))  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        site.usrloc.process_database()
    assert done == [
        (102, "catch up"), (104, "catch up"), (105, "expire"), (107, "catch up"), (109, "catch up"), (110, "expire"),
        (112, "catch up"),
    ]  # fmt: skip
