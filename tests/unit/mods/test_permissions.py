"""permissions: its functions over files, its tables over a real SQLite file."""

import logging
from pathlib import Path

import pytest

from openserd.core.database.cached import RETRY_SECONDS
from openserd.errors import ConfigError
from openserd.mods.permissions.addresses import AddressGroups
from openserd.mods.permissions.basic import basic_regex, extended
from openserd.script.problems import ConfigErrors
from openserd.testing import Script
from tests.unit.mods.cached_kit import add, answer, ask, asking, let_it_be_tried_again, make_database, run, values

# -- files ------------------------------------------------------------------------------------------------------


def files(folder: Path, **contents: str) -> str:
    """Files of rules beside a script: name_allow for name.allow; the path of the script."""
    for name, text in contents.items():
        (folder / name.replace("_", ".")).write_text(text)
    return str(folder / "openser.cfg")


CALLS = {
    "invite": "INVITE sip:900@gw.example;x=y",
    "other": "INVITE sip:bob@gw.example",
    "register": "REGISTER sip:biloxi.example",
}
FORWARDED_PARAMS = {
    "": ("permissions_allow", "permissions_deny"),
    '"calls"': ("calls_allow", "calls_deny"),
    '"a.x", "b.y"': ("a_x", "b_y"),
}


@pytest.mark.parametrize("arguments", FORWARDED_PARAMS)
def test_allow_routing_reads_the_files_that_its_arguments_name(tmp_path: Path, arguments: str) -> None:
    allow, deny = FORWARDED_PARAMS[arguments]
    script = files(tmp_path, **{allow: '"sip:alice@" : ALL', deny: 'ALL : "^sip:900@"'})
    with asking(f"allow_routing({arguments})", "permissions", file=script) as running:
        assert ask(running, CALLS["invite"], from_="sip:alice@x") == 1
        assert ask(running, CALLS["invite"], from_="sip:carol@x") == -1
        assert ask(running, CALLS["other"], from_="sip:carol@x") == 1
        assert ask(running, "INVITE urn:x:y", from_="sip:carol@x") == -1


def test_parameters_name_the_default_files_and_the_ends_of_names(tmp_path: Path) -> None:
    script = files(tmp_path, yes_txt="", no_txt='ALL : "900"', calls_no='ALL : "900"', calls_yes='"alice" : ALL')
    with asking("allow_routing()", "permissions", ['default_deny_file "no.txt"'], file=script) as running:
        assert ask(running, CALLS["invite"], from_="sip:alice@x") == -1
    params = ['default_deny_file "no.txt"', f'default_allow_file "{tmp_path}/calls.yes"']
    with asking("allow_routing()", "permissions", params, file=script) as running:
        assert ask(running, CALLS["invite"], from_="sip:alice@x") == 1
        assert ask(running, CALLS["invite"], from_="sip:carol@x") == -1
    for call in ('allow_routing("calls")', 'allow_register("calls")'):
        with asking(call, "permissions", ['allow_suffix ".yes"', 'deny_suffix ".no"'], file=script) as running:
            parts = {"headers": {"Contact": "<sip:900@x>"}, "to": "sip:carol@x", "from_": "sip:carol@x"}
            assert ask(running, CALLS["invite"], **parts) == -1
            parts |= {"to": "sip:alice@x", "from_": "sip:alice@x"}
            assert ask(running, CALLS["invite"], **parts) == 1


def test_files_that_are_not_there_allow_everything(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    script = files(tmp_path)
    with asking('allow_routing("calls")', "permissions", file=script) as running:
        assert f"there is no file {tmp_path}/calls.deny" in caplog.text
        assert ask(running, CALLS["invite"]) == 1
    caplog.clear()
    with asking("allow_routing()", "permissions", file=script) as running:
        assert caplog.text == ""
        assert ask(running, CALLS["invite"]) == 1
        assert ask(running, CALLS["invite"]) == 1
        assert caplog.text.count("allow_routing() allows everything") == 1


def test_a_file_that_cannot_be_read_is_an_error_of_its_own_place(tmp_path: Path) -> None:
    script = files(tmp_path, calls_deny="# none\nALL\n", permissions_deny="ALL")
    with pytest.raises(ConfigErrors) as caught:
        asking('allow_routing("calls")', "permissions", file=script)
    (error,) = caught.value.errors
    assert (error.file, error.line) == (f"{tmp_path}/calls.deny", 2)
    with pytest.raises(ConfigError, match=r"permissions\.deny:1:1: this rule has no colon"):
        asking("allow_routing()", "permissions", file=script)
    with pytest.raises(ConfigErrors, match="cannot read"):
        asking(f'allow_routing("/", "{tmp_path}/none")', "permissions", file=script)


def test_allow_routing_looks_at_all_branches_unless_told_not_to(tmp_path: Path) -> None:
    script = files(tmp_path, calls_deny='ALL : "^sip:900@"', calls_allow='"alice" : "^sip:bob@"')
    call = 'append_branch("sip:900@gw.example:5080"); allow_routing("calls")'
    with asking(call, "permissions", file=script) as running:
        assert ask(running, CALLS["other"], from_="sip:alice@x") == -1
        assert ask(running, "INVITE sip:carol@x", from_="sip:alice@x") == -1
    with asking(call, "permissions", ["check_all_branches 0"], file=script) as running:
        assert ask(running, CALLS["other"], from_="sip:alice@x") == 1
        assert ask(running, CALLS["invite"], from_="sip:alice@x") == -1


@pytest.mark.parametrize("arguments", ['"reg"', '"reg.allow", "reg.deny"'])
def test_allow_register_looks_at_to_and_all_contacts(tmp_path: Path, arguments: str) -> None:
    script = files(tmp_path, reg_allow='"sip:admin@" : ALL', reg_deny='ALL : "@192\\.0\\.2\\.99$"')
    with asking(f"allow_register({arguments})", "permissions", file=script) as running:

        def register(contact: str | list[str] | None, to: str = "sip:alice@x") -> int:
            return ask(running, CALLS["register"], headers={"Contact": contact}, to=to)

        assert register("<sip:a@192.0.2.1>") == 1
        assert register("<sip:a@192.0.2.99:5080;transport=tcp>") == -1
        assert register(["<sip:a@192.0.2.1>", "<sip:b@192.0.2.2>, <sip:a@192.0.2.99>"]) == -1
        assert register("<sip:a@192.0.2.99>", to="sip:admin@x") == 1
        assert register("*") == 1
        assert register(None) == 1
        assert register("<what") == -1


def test_allow_uri_looks_at_from_and_a_variable(tmp_path: Path) -> None:
    script = files(tmp_path, refer_allow='"sip:alice@" : "^sip:9001@"', refer_deny='ALL : "^sip:900"')
    call = '$avp(s:u) = $hdr(Subject); allow_uri("refer", "$avp(s:u)")'
    with asking(call, "permissions", file=script) as running:

        def refer(uri: str | None, from_: str = "sip:alice@x") -> int:
            return ask(running, headers={"Subject": uri}, from_=from_)

        assert refer("sip:9001@gw") == 1
        assert refer("sip:9001@gw", "sip:carol@x") == -1
        assert refer("sip:%39002@gw") == -1
        assert refer("sip:bob@gw") == 1
        assert refer(None) == -1
    with asking('allow_uri("nothing", "$avp(s:u)")', "permissions", file=script) as running:
        assert ask(running) == 1


FUNCTIONS = [
    "allow_routing()", 'allow_routing("a")', 'allow_routing("a", "b")', 'allow_register("a")', "allow_trusted()",
    'allow_register("a", "b")', 'allow_uri("a", "$ru")', 'set_address_group("1")', 'allow_address("$si", "$sp")',
    'allow_source_address("1")',
]  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functions_may_be_called_in_request_and_failure_routes(tmp_path: Path, name: str) -> None:
    script = files(tmp_path)
    asking(f"{name}; }} failure_route[1] {{ {name}", "permissions", file=script).close()
    for kind in ("branch_route", "onreply_route"):
        with pytest.raises(ConfigErrors, match=f"cannot be used in {kind}"):
            asking(f"exit; }} {kind}[1] {{ {name}", "permissions", file=script)


# -- trusted peers ----------------------------------------------------------------------------------------------

MODES = ["db_mode 0", "db_mode 1"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database whose tables are empty."""
    return make_database(tmp_path / "openser.db", "trusted", "address")


def trust(path: Path, source: str, proto: str = "any", pattern: str | None = None, tag: str | None = None) -> None:
    """A row of the table of trusted peers."""
    add(path, "trusted", src_ip=source, proto=proto, from_pattern=pattern, tag=tag)


@pytest.mark.parametrize("mode", MODES)
def test_allow_trusted_looks_at_address_protocol_and_from(path: Path, mode: str) -> None:
    trust(path, "192.0.2.1", "UDP" if mode == "db_mode 0" else "udp")
    trust(path, "192.0.2.2", "tcp")
    trust(path, "192.0.2.3", "any", "^sip:alice@.*\\.example$")
    trust(path, "192.0.2.4", "none")
    trust(path, "2001:db8::1")
    trust(path, "192.0.2.5", "tls")
    trust(path, "192.0.2.5", "sctp")
    with asking("allow_trusted()", "permissions", [mode], path) as script:
        assert ask(script, source="192.0.2.1:5060") == 1
        assert ask(script, source="192.0.2.1:9") == 1
        assert ask(script, source="192.0.2.2:5060") == -1
        assert ask(script, source="192.0.2.3:5060", from_="sip:alice@a.example") == 1
        assert ask(script, source="192.0.2.3:5060", from_="sip:Alice@a.example") == -1
        assert ask(script, source="192.0.2.4:5060") == -1
        assert ask(script, source="192.0.2.5:5060") == -1
        assert ask(script, source="[2001:db8::1]:5060") == 1
        assert ask(script, source="192.0.2.9:5060") == -1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spelled", ["$avp(s:peer)", "s:peer"])
def test_the_tag_of_a_peer_goes_into_an_avp(path: Path, mode: str, spelled: str) -> None:
    trust(path, "192.0.2.1", tag="gateway")
    trust(path, "192.0.2.2")
    with asking("allow_trusted()", "permissions", [mode, f'peer_tag_avp "{spelled}"'], path) as script:
        assert script.request("INVITE sip:a@x", source="192.0.2.1:5060").variable("$avp(s:peer)") == "gateway"
        assert script.request("INVITE sip:a@x", source="192.0.2.2:5060").variable("$avp(s:peer)") is None
    with asking("allow_trusted()", "permissions", [mode], path) as script:
        assert script.request("INVITE sip:a@x", source="192.0.2.1:5060").variable("$avp(s:peer)") is None
    with pytest.raises(ConfigError, match="AVP"):
        asking("allow_trusted()", "permissions", ['peer_tag_avp "i:x"'], path)


def test_of_several_peers_at_an_address_any_may_match(path: Path) -> None:
    trust(path, "192.0.2.1", pattern="alice", tag="first")
    trust(path, "192.0.2.1", pattern="bob", tag="second")
    trust(path, "192.0.2.1", pattern="alice", tag="third")
    for mode, tag in (("db_mode 0", "first"), ("db_mode 1", "third")):
        with asking("allow_trusted()", "permissions", [mode, 'peer_tag_avp "s:t"'], path) as script:
            found = [script.request("INVITE sip:a@x", source="192.0.2.1:5060", from_=f"sip:{user}@x")
                     for user in ("alice", "bob", "carol")]  # fmt: skip
            assert [one.variable("$avp(s:t)") for one in found] == [tag, "second", None]


def test_trusted_peers_are_read_again_and_listed(path: Path) -> None:
    trust(path, "192.0.2.1", "udp", tag="gw")
    with asking("allow_trusted()", "permissions", MODES[1:], path) as script:
        assert values(script, "trusted_dump") == ["   0 <192.0.2.1, 1, NULL, gw>"]
        run(path, "DELETE FROM trusted")
        for proto in ("any", "tcp", "tls", "sctp", "none"):
            trust(path, "192.0.2.2", proto, "^sip:a")
        assert ask(script, source="192.0.2.1:5060") == 1
        assert answer(script, "trusted_reload") == (200, "OK")
        assert ask(script, source="192.0.2.1:5060") == -1
        assert values(script, "trusted_dump") == [
            "   0 <192.0.2.2, 4, ^sip:a, NULL>",
            "   1 <192.0.2.2, 3, ^sip:a, NULL>",
            "   2 <192.0.2.2, 2, ^sip:a, NULL>",
            "   3 <192.0.2.2, 0, ^sip:a, NULL>",
        ]


@pytest.mark.parametrize(
    ("proto", "pattern", "said"), [("ipx", None, "protocol 'ipx'"), ("any", "a\\(b", "bad regular expression")]
)
def test_a_peer_that_cannot_be_used_is_refused(
    path: Path, caplog: pytest.LogCaptureFixture, proto: str, pattern: str | None, said: str
) -> None:
    trust(path, "192.0.2.1", tag="gw")
    with asking("allow_trusted()", "permissions", MODES[1:], path) as script:
        trust(path, "192.0.2.1", proto, pattern)
        assert answer(script, "trusted_reload") == (400, "Trusted table reload failed")
        assert said in caplog.text
        assert ask(script, source="192.0.2.1:5060") == 1
    with pytest.raises(ConfigError, match=said):
        asking("allow_trusted()", "permissions", MODES[1:], path)
    with asking("allow_trusted()", "permissions", MODES[:1], path) as script:
        assert ask(script, source="192.0.2.1:5060") == 1
        run(path, "DELETE FROM trusted WHERE tag IS NOT NULL")
        assert ask(script, source="192.0.2.1:5060") == -1


def test_without_a_cache_the_database_is_asked_each_time(path: Path) -> None:
    with asking("allow_trusted()", "permissions", MODES[:1], path) as script:
        assert ask(script, source="192.0.2.1:5060") == -1
        trust(path, "192.0.2.1")
        assert ask(script, source="192.0.2.1:5060") == 1
        for command in ("trusted_reload", "trusted_dump"):
            assert answer(script, command) == (400, "trusted peers are not cached (db_mode is 0)")
        run(path, "DROP TABLE trusted")
        assert ask(script, source="192.0.2.1:5060") == -1


@pytest.mark.parametrize("mode", MODES)
def test_the_table_of_peers_may_have_other_names(tmp_path: Path, mode: str) -> None:
    path = make_database(tmp_path / "openser.db", "address", pbx="trusted")
    for old, new in (("src_ip", "a"), ("proto", "b"), ("from_pattern", "c"), ("tag", "d")):
        run(path, f"ALTER TABLE pbx RENAME COLUMN {old} TO {new}")
    add(path, "pbx", a="192.0.2.1", b="udp", c="alice", d="gw")
    params = ['trusted_table "pbx"', 'source_col "a"', 'proto_col "b"', 'from_col "c"', 'tag_col "d"']
    with asking("allow_trusted()", "permissions", [mode, 'peer_tag_avp "s:t"', *params], path) as script:
        result = script.request("INVITE sip:a@x", source="192.0.2.1:5060", from_="sip:alice@x")
        assert (result.log, result.variable("$avp(s:t)")) == (["1"], "gw")


@pytest.mark.parametrize(
    ("basic", "expected"),
    [
        ("^sip:.*@abc\\.com$", "^sip:.*@abc\\.com$"),
        ("(a)+b?{2}|", "\\(a\\)\\+b\\?\\{2\\}\\|"),
        ("\\(a\\|b\\)\\{2\\}c\\+d\\?", "(a|b){2}c+d?"),
        ("*a^b$c", "\\*a\\^b\\$c"),
        ("^*a\\(^b*$\\)", "^\\*a(^b*$)"),
        ("[]a\\]x[^]b][[:digit:]]", "[]a\\\\]x[^]b][[:digit:]]"),
        ("a[", "a\\["),
    ],
)
def test_basic_expressions_are_understood(basic: str, expected: str) -> None:
    assert extended(basic) == expected
    basic_regex(basic)


def test_a_basic_expression_takes_signs_as_they_are() -> None:
    assert basic_regex("^sip:+49[0-9]*@").search(b"sip:+4930@x")
    assert not basic_regex("^sip:+49[0-9]*@").search(b"sip:4930@x")


# -- groups of addresses ----------------------------------------------------------------------------------------


def place(path: Path, group: int, address: str, mask: int = 32, port: int = 0) -> None:
    """A row of the table of addresses."""
    add(path, "address", grp=group, ip_addr=address, mask=mask, port=port)


def test_allow_source_address_looks_at_address_and_port(path: Path) -> None:
    place(path, 1, "192.0.2.1")
    place(path, 1, "192.0.2.2", port=5060)
    place(path, 2, "198.51.100.77", mask=20, port=5080)
    place(path, 2, "198.51.100.0", mask=24)
    place(path, 1, "2001:db8::", mask=64)
    with asking('allow_source_address("1")', "permissions", [], path) as script:
        assert ask(script, source="192.0.2.1:9") == 1
        assert ask(script, source="192.0.2.2:5060") == 1
        assert ask(script, source="192.0.2.2:5061") == -1
        assert ask(script, source="198.51.100.9:5080") == -1
        assert ask(script, source="[2001:db8::7]:5060") == 1
        assert ask(script, source="[2001:db9::7]:5060") == -1
    with asking('$var(g) = 2; allow_source_address("$var(g)")', "permissions", [], path) as script:
        assert ask(script, source="198.51.100.9:9") == 1
        assert ask(script, source="198.51.111.9:5080") == 1
        assert ask(script, source="198.51.111.9:9") == -1
        assert ask(script, source="198.51.112.9:5080") == -1
        assert ask(script, source="192.0.2.1:9") == -1
    with asking('allow_source_address("$avp(s:none)")', "permissions", [], path) as script:
        assert ask(script, source="192.0.2.1:9") == -1
    with pytest.raises(ConfigErrors, match="not a number"):
        asking('allow_source_address("one")', "permissions", [], path)


def test_allow_address_looks_at_variables_in_the_group_that_was_set(path: Path) -> None:
    place(path, 0, "192.0.2.1", port=5062)
    place(path, 7, "192.0.2.7")
    group_7 = 'set_address_group("7")'
    for call in (group_7, '$avp(s:g) = "7"; set_address_group("$avp(s:g)")', "$var(g) = 7; set_address_group($var(g))"):
        with asking(f'{call}; allow_address("$si", "$sp")', "permissions", [], path) as script:
            assert ask(script, source="192.0.2.7:9") == 1
            assert ask(script, source="192.0.2.1:5062") == -1
    lookup = '$avp(s:a) = $hdr(Subject); allow_address("$avp(s:a)", "$sp")'
    with asking(lookup, "permissions", [], path) as script:
        assert ask(script, source="192.0.2.9:5062", headers={"Subject": "192.0.2.1"}) == 1
        assert ask(script, source="192.0.2.9:5063", headers={"Subject": "192.0.2.1"}) == -1
        assert ask(script, source="192.0.2.9:5062", headers={"Subject": "host.example"}) == -1
        assert ask(script, source="192.0.2.9:5062") == -1
    with asking(f'if ($hdr(Subject) == "x") {group_7}; allow_address("$si", "$sp")', "permissions", [], path) as script:
        assert ask(script, source="192.0.2.7:9", headers={"Subject": "x"}) == 1
        assert ask(script, source="192.0.2.7:9") == -1, "another request's group"
    with asking('set_address_group("$avp(s:none)")', "permissions", [], path) as script:
        assert ask(script) == -1


def test_set_address_group_is_known_to_whoever_takes_the_request_up_again(path: Path) -> None:
    with asking('set_address_group("7")', "permissions", [], path) as script:
        result = script.request("INVITE sip:a@x")
        assert result.log == ["1"]
        assert result.message is not None and result.message.attached("permissions") == b"7"


def test_addresses_are_read_again_and_listed(path: Path) -> None:
    place(path, 1, "192.0.2.1", port=5060)
    place(path, 3, "198.51.100.77", mask=24, port=5080)
    with asking('allow_source_address("1")', "permissions", [], path) as script:
        assert values(script, "address_dump") == ["   0 <1, 192.0.2.1, 5060>"]
        assert values(script, "subnet_dump") == ["   0 <3, 198.51.100.0, 24, 5080>"]
        place(path, 1, "192.0.2.2")
        place(path, 2, "10.0.0.0", mask=8)
        assert ask(script, source="192.0.2.2:9") == -1
        assert answer(script, "address_reload") == (200, "OK")
        assert ask(script, source="192.0.2.2:9") == 1
        assert values(script, "address_dump") == ["   0 <1, 192.0.2.1, 5060>", "   1 <1, 192.0.2.2, 0>"]
        assert values(script, "subnet_dump") == [
            "   0 <2, 10.0.0.0, 8, 0>",
            "   1 <3, 198.51.100.0, 24, 5080>",
        ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((1, "host.example", 32, 0), "<1, host.example, 32, 0> cannot be used"),
        ((1, "192.0.2.1", 33, 0), "cannot be used"),
        ((1, "192.0.2.1", 0, 0), "cannot be used"),
        ((1, "192.0.2.1", 32, 70000), "cannot be used"),
        ((-1, "192.0.2.1", 32, 0), "cannot be used"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(
    path: Path, caplog: pytest.LogCaptureFixture, row: tuple[int, str, int, int], said: str
) -> None:
    place(path, 1, "192.0.2.1")
    with asking('allow_source_address("1")', "permissions", [], path) as script:
        place(path, *row)
        assert answer(script, "address_reload") == (400, "Address table reload failed")
        assert said in caplog.text
        assert ask(script, source="192.0.2.1:9") == 1
    with pytest.raises(ConfigError, match=said):
        asking('allow_source_address("1")', "permissions", [], path)


def test_numbers_may_come_as_text() -> None:
    assert AddressGroups([(b"1", b"192.0.2.0", 24.0, b"0")]).has(1, "192.0.2.9", 5060)
    with pytest.raises(ConfigError):
        AddressGroups([(b"1", b"192.0.2.0", None, 0)])


def test_the_table_of_addresses_may_have_other_names(tmp_path: Path) -> None:
    path = make_database(tmp_path / "openser.db", "trusted", places="address")
    for old, new in (("grp", "a"), ("ip_addr", "b"), ("mask", "c"), ("port", "d")):
        run(path, f"ALTER TABLE places RENAME COLUMN {old} TO {new}")
    add(path, "places", a=1, b="192.0.2.0", c=24, d=5060)
    params = ['address_table "places"', 'grp_col "a"', 'ip_addr_col "b"', 'mask_col "c"', 'port_col "d"']
    with asking('allow_source_address("1")', "permissions", params, path) as script:
        assert ask(script, source="192.0.2.5:5060") == 1
        assert ask(script, source="192.0.2.5:5061") == -1


# -- databases that are not there -------------------------------------------------------------------------------


def test_without_a_database_there_are_only_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    script = files(tmp_path)
    for call in ("allow_trusted()", 'allow_address("$si", "$sp")', 'allow_source_address("1")'):
        with asking(call, "permissions", file=script) as running:
            assert ask(running) == -1
            assert "db_url is empty" in caplog.text
            for command in ("trusted_reload", "trusted_dump", "address_reload"):
                assert answer(running, command) == (400, "there is no database (db_url is not set)")
            assert values(running, "address_dump") == values(running, "subnet_dump") == []


def test_tables_that_are_not_there_at_the_start_are_read_when_they_are(tmp_path: Path) -> None:
    path = tmp_path / "late.db"
    call = 'allow_trusted(); xlog("L_ERR", "$rc"); allow_source_address("1")'
    with asking(call, "permissions", MODES[1:], path) as script:
        assert script.request("INVITE sip:a@x", source="192.0.2.1:5060").log == ["-1", "-1"]
        make_database(path, "trusted", "address")
        trust(path, "192.0.2.1")
        place(path, 1, "192.0.2.1")
        let_it_be_tried_again(script, path)
        log = script.advance(RETRY_SECONDS).log
        assert {"permissions: table trusted has been read", "permissions: table address has been read"} <= set(log)
        assert script.request("INVITE sip:a@x", source="192.0.2.1:5060").log == ["1", "1"]


@pytest.mark.parametrize(("table", "needed"), [("trusted", 4), ("address", 3)])
@pytest.mark.parametrize("mode", MODES)
def test_a_table_of_another_version_is_refused(path: Path, table: str, needed: int, mode: str) -> None:
    run(path, f"UPDATE version SET table_version = 1 WHERE table_name = '{table}'")
    with pytest.raises(ConfigError, match=f"table {table} of .* has version 1, {needed} is needed"):
        asking("allow_trusted()", "permissions", [mode], path)


def test_db_mode_is_0_or_1(path: Path) -> None:
    with pytest.raises(ConfigErrors, match="db_mode"):
        Script.text('loadmodule "permissions.so" modparam("permissions", "db_mode", 2) route { }')


def test_rows_are_no_statements(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), asking("allow_trusted()", "permissions", MODES[:1], path) as script:
        trust(path, "192.0.2.1", pattern="'; DROP TABLE trusted; --")
        assert ask(script, source="192.0.2.1:5060", from_="sip:'%3b@x") == -1
        assert caplog.text.count("ERROR") == 1  # the line that tells the result
