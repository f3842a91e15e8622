"""openserctl's commands about the running server: contacts, requests, statistics, start and stop."""

import os
import signal
import stat
import time
from pathlib import Path

import pytest

from openserd.ctl.client import Reply
from openserd.ctl.commands import monitor
from openserd.server.daemon import is_alive
from tests.unit.ctl.support import Ctl, new_database

NOT_FOUND = Reply(404, "AOR not found", [])


@pytest.fixture
def ctl(tmp_path: Path) -> Ctl:
    return Ctl(f"sqlite:{tmp_path}/none")


# -- contacts -----------------------------------------------------------------------------------------------

TABLES = {"ul": "location", "usrloc": "location", "alias": "aliases"}


@pytest.mark.parametrize("group", TABLES)
def test_contacts_are_added_and_removed(ctl: Ctl, group: str) -> None:
    uri = "sip:alice@192.0.2.1:5062"
    for words in (("add", "alice", uri), ("add", "a@b.org", uri, "60"), ("rm", "alice"), ("rm", "alice", uri)):
        ctl.run(group, *words)
    table, alice = TABLES[group], "alice@example.com"
    assert ctl.server.calls == [
        ("ul_add", table, alice, uri, "0", "1.00", "0", "0", "0", "4294967295"),
        ("ul_add", table, "a@b.org", uri, "60", "1.00", "0", "0", "0", "4294967295"),
        ("ul_rm", table, alice),
        ("ul_rm_contact", table, alice, uri),
    ]


@pytest.mark.parametrize("words", [("add", "alice", "192.0.2.1"), ("add", "a", "sip:b", "-1"), ("rm", "a", "tel:1")])
def test_what_is_no_contact_is_not_sent(ctl: Ctl, words: tuple[str, ...]) -> None:
    ctl.run("ul", *words, code=2)
    assert ctl.server.calls == []


def test_a_contact_that_is_not_there_is_an_error(ctl: Ctl) -> None:
    ctl.server.replies["ul_rm_contact"] = NOT_FOUND
    assert ctl.run("ul", "rm", "alice", "sip:a@b", code=1).stderr == "404 AOR not found\n"


def test_other_names_of_tables(ctl: Ctl) -> None:
    ctl.run("alias", "rm", "alice", rc="ALS_TABLE=names")
    ctl.run("ul", "rm", "alice", rc="UL_TABLE=where")
    assert [call[1] for call in ctl.server.calls] == ["names", "where"]


def test_an_alias_is_not_what_is_there_already(tmp_path: Path) -> None:
    ctl = Ctl(new_database("sqlite", tmp_path), "SIP_DOMAIN=example.com ALIASES_TYPE=UL")
    ctl.server.replies["ul_show_contact"] = NOT_FOUND
    ctl.run("add", "alice", "secret")
    assert "is a subscriber" in ctl.run("alias", "add", "alice", "sip:a@b", code=1).stderr
    ctl.run("alias", "add", "sales", "sip:a@b")
    del ctl.server.replies["ul_show_contact"]
    assert "is an alias already" in ctl.run("alias", "add", "sales", "sip:a@b", code=1).stderr


def test_who_is_online(ctl: Ctl) -> None:
    lines = ["Domain:: location table=512", "\tAOR:: bob", "\tAOR:: alice", "Domain:: aliases", "\tAOR:: bob"]
    ctl.server.replies["ul_dump"] = Reply(200, "OK", lines)
    assert ctl.run("online").stdout == "alice\nbob\n"
    assert ctl.server.calls == [("ul_dump", "brief")]


# -- requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "method", "header"), [("ping", "OPTIONS", ""), ("cisco_restart", "NOTIFY", "Event: check-sync\r\n")]
)
def test_requests_are_sent(ctl: Ctl, command: str, method: str, header: str) -> None:
    ctl.server.replies["t_uac_dlg"] = Reply(200, "OK", ["200 Fine", ".", ".", "."])
    assert ctl.run(command, "sip:alice@192.0.2.1").stdout == "200 Fine\n"
    headers = (
        f"From: <sip:daemon@example.com>\r\nTo: <sip:alice@192.0.2.1>\r\n{header}Contact: <sip:daemon@!!>\r\n"
    )  # fmt: skip
    assert ctl.server.calls == [("t_uac_dlg", method, "sip:alice@192.0.2.1", ".", ".", headers)]
    assert ctl.server.timeout > 30


@pytest.mark.parametrize("command", ["ping", "cisco_restart"])
def test_a_request_that_fails_is_told(ctl: Ctl, command: str) -> None:
    ctl.server.replies["t_uac_dlg"] = Reply(200, "OK", ["408 Request Timeout"])
    assert ctl.run(command, "sip:alice@192.0.2.1", code=1).stdout == "408 Request Timeout\n"
    ctl.server.replies["t_uac_dlg"] = Reply(500, "command 't_uac_dlg' not available", [])
    assert "not available" in ctl.run(command, "sip:alice@192.0.2.1", code=1).stderr
    assert "is no SIP URI" in ctl.run(command, "alice", code=2).stderr


# -- statistics ---------------------------------------------------------------------------------------------


@pytest.fixture
def busy(ctl: Ctl) -> Ctl:
    ctl.server.replies |= {
        "version": Reply(200, "OK", ["Server:: openserd"]),
        "uptime": Reply(200, "OK", ["Up time:: 7 [sec]"]),
        "get_statistics": Reply(200, "OK", ["::tm:UAS_transactions = 12", "odd"]),
    }
    return ctl


@pytest.mark.parametrize("name", ["monitor", "console", "moni", "con"])
def test_the_monitor_shows_it_once(busy: Ctl, name: str) -> None:
    lines = busy.run(name, "--once").stdout.splitlines()
    assert lines[:4] == ["Server:: openserd", "Up time:: 7 [sec]", "Transactions:", "  tm:UAS_transactions = 12"]
    assert busy.server.calls[2] == ("get_statistics", "UAS_transactions", "UAC_transactions", "inuse_transactions")


def test_statistics_of_modules_that_are_not_loaded_are_left_out(busy: Ctl) -> None:
    busy.server.replies["get_statistics"] = Reply(404, "Statistics Not Found", [])
    assert busy.run("monitor", "--once").stdout == "Server:: openserd\nUp time:: 7 [sec]\n"


def test_the_monitor_looks_again(busy: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    output = busy.run("monitor", "3", rc="WATCH_PERIOD=5").stdout
    assert (output.count("Server::"), pauses) == (3, [5.0, 5.0])
    assert "WATCH_PERIOD is 'x'" in busy.run("monitor", rc="WATCH_PERIOD=x", code=2).stderr


def test_the_monitor_draws_for_a_person(busy: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "on_terminal", lambda: True)
    output = busy.run("monitor", "1").stdout
    assert "Statistic" in output and "tm:UAS_transactions" in output


def test_changes_are_counted_by_the_second() -> None:
    before = monitor.Picture(10.0, [], {"A": {"a:x": 5, "a:y": 1}})
    now = monitor.Picture(12.0, [], {"A": {"a:x": 9, "a:y": 1}, "B": {"b:z": 3}})
    assert monitor.rates(now, before) == {"a:x": 2.0, "a:y": 0.0}
    assert monitor.rates(now, None) == monitor.rates(now, now) == {}
    assert list(monitor.as_lines(now, before)) == ["A:", "  a:x = 9  +2.0/s", "  a:y = 1", "B:", "  b:z = 3"]


# -- start and stop -----------------------------------------------------------------------------------------

PROGRAM = """#!/bin/sh
echo "$@" >> {folder}/started
[ "$1" = -P ] || exit 1
sleep 60 >/dev/null 2>&1 &
echo $! > "$2"
"""


@pytest.fixture
def daemon(ctl: Ctl, tmp_path: Path) -> Ctl:
    program = tmp_path / "server"
    program.write_text(PROGRAM.format(folder=tmp_path))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    ctl.rc = f"PID_FILE={tmp_path}/pid OSERBIN={program} STARTOPTIONS='-f \"a b\"'"
    return ctl


def test_the_server_is_started_and_stopped(daemon: Ctl, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    try:
        daemon.run("start")
        pid = int(pid_file.read_text())
        assert is_alive(pid)
        assert f"runs already as process {pid}" in daemon.run("start", code=1).stderr
        daemon.run("restart", rc="SYSLOG=0")
        assert not is_alive(pid)
        pid = int(pid_file.read_text())
        daemon.run("stop")
        assert not is_alive(pid)
        assert "does not run" in daemon.run("stop", code=1).stderr
    finally:
        pid = int(pid_file.read_text())
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    assert (tmp_path / "started").read_text().splitlines() == [
        f"-P {pid_file} -f a b", f"-P {pid_file} -E -f a b",
    ]  # fmt: skip


def test_a_server_that_does_not_start_is_told(daemon: Ctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openserd.ctl.commands.daemon.START_SECONDS", 0.0)
    assert "cannot be run" in daemon.run("start", rc="OSERBIN=/nowhere", code=1).stderr
    assert "exit code 1" in daemon.run("start", rc="OSERBIN=/bin/false", code=1).stderr
    assert "names no running process" in daemon.run("start", rc="OSERBIN=/bin/true", code=1).stderr
