"""openserctl lcr on files of sqlite and on dbtext."""

from pathlib import Path

import pytest

from tests.unit.ctl.support import Ctl, new_database


@pytest.fixture(params=["sqlite", "dbtext"])
def ctl(request: pytest.FixtureRequest, tmp_path: Path) -> Ctl:
    return Ctl(new_database(request.param, tmp_path))


def test_gateways_groups_and_rules_are_added_shown_and_removed(ctl: Ctl) -> None:
    assert ctl.run("lcr", "addgw_grp", "usa").stdout.startswith("group 1, usa, added")
    ctl.run("lcr", "addgw_grp", "europe", "7")
    ctl.run("lcr", "addgw", "level3", "192.0.2.1", "5080", "sip", "tcp", "1")
    ctl.run("lcr", "addgw", "other", "192.0.2.2", "5061", "2", "TLS", "7", "00", "1")
    ctl.run("lcr", "addroute", "+1", "", "1", "1")
    ctl.run("lcr", "addroute", "+49", "%@example.com", "7", "2")
    shown = [[value.replace("NULL", "") for value in row] for row in ctl.rows("lcr", "show")]  # dbtext has no ''
    assert shown == [
        ["gw:"], ["level3", "192.0.2.1", "5080", "1", "2", "1", "", "0"],
        ["other", "192.0.2.2", "5061", "2", "3", "7", "00", "1"],
        ["gw_grp:"], ["1", "usa"], ["7", "europe"],
        ["lcr:"], ["+1", "", "1", "1"], ["+49", "%@example.com", "7", "2"],
    ]  # fmt: skip
    ctl.run("lcr", "rmroute", "+49", "%@example.com", "7", "2")
    ctl.run("lcr", "rmroute", "+1", "", "1", "1")
    ctl.run("lcr", "rmgw", "other")
    ctl.run("lcr", "rmgw_grp", "7")
    assert [row for row in ctl.rows("lcr", "show") if row[0] in ("other", "7", "+1", "+49")] == []


def test_a_group_in_use_stays(ctl: Ctl) -> None:
    ctl.run("lcr", "addgw_grp", "usa", "1")
    ctl.run("lcr", "addgw", "level3", "192.0.2.1", "5080", "sip", "udp", "1")
    assert "still has gateways" in ctl.run("lcr", "rmgw_grp", "1", code=1).output
    ctl.run("lcr", "rmgw", "level3")
    ctl.run("lcr", "addroute", "+1", "", "1", "1")
    assert "still has rules" in ctl.run("lcr", "rmgw_grp", "1", code=1).output


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("addgw a 192.0.2.300 5060 sip udp 1", 2, "no IPv4 address"),
        ("addgw a 192.0.2.1 5060 tel udp 1", 2, "no scheme"),
        ("addgw a 192.0.2.1 5060 sip sctp 1", 2, "no transport"),
        ("addgw a 192.0.2.1 70000 sip udp 1", 2, "70000"),
        ("addgw a 192.0.2.1 5060 sip udp 9", 1, "no group 9"),
        ("addgw level3 192.0.2.1 5060 sip udp 1", 1, "there already"),
        ("addgw_grp again 1", 1, "there already"),
        ("addroute +1 '' 9 1", 1, "no group 9"),
        ("addroute +1 x 1 1", 1, "there already"),
        ("rmgw nobody", 1, "no gateway nobody"),
        ("rmgw_grp 9", 1, "no group 9"),
        ("rmroute +2 x 1 1", 1, "no such rule"),
    ],
)
def test_what_cannot_be_done_is_said(ctl: Ctl, words: str, code: int, says: str) -> None:
    ctl.run("lcr", "addgw_grp", "usa", "1")
    ctl.run("lcr", "addgw", "level3", "192.0.2.1", "5080", "sip", "udp", "1")
    ctl.run("lcr", "addroute", "+1", "x", "1", "1")
    assert says in ctl.run("lcr", *words.split(), code=code).output


def test_reload_tells_the_running_server(ctl: Ctl) -> None:
    ctl.run("lcr", "reload")
    assert ctl.server.calls == [("lcr_reload",)]


def test_the_tables_may_have_other_names(ctl: Ctl) -> None:
    assert "no_such" in ctl.run("lcr", "addgw_grp", "usa", rc="GW_GRP_TABLE=no_such", code=1).output
    assert "no_such" in ctl.run("lcr", "show", rc="GW_TABLE=no_such", code=1).output
    assert "no_such" in ctl.run("lcr", "rmroute", "1", "", "1", "1", rc="LCR_TABLE=no_such", code=1).output
