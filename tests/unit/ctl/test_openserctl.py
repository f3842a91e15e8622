"""openserctl's commands: what they ask the server, what they print, how they end."""

import pytest
from click.testing import CliRunner, Result

from openserd import __version__
from openserd.ctl.__main__ import main
from openserd.ctl.client import Reply, Unanswered, parse_reply, quoted, request
from openserd.ctl.commands import ps, ul
from openserd.ctl.commands.ul import contact_rows
from openserd.ctl.config import Settings
from openserd.ctl.context import Control

DUMP = """Domain:: location table=512
\tAOR:: alice
\t\tContact:: sip:alice@10.0.0.1 Q=1
\t\t\tExpires:: 60
\t\t\tUser-agent:: Phone:: 2
\t\tContact:: sip:alice@10.0.0.2 Q=0.5
\t\t\tExpires:: permanent
\tAOR:: bob
\t\tContact:: sip:bob@10.0.0.3 Q=
""".splitlines()


class Server:
    """Answers every command with one reply."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.timeout = 5.0
        self.calls: list[tuple[str, ...]] = []

    def call(self, command: str, *arguments: str) -> Reply:
        self.calls.append((command, *arguments))
        return self.reply


def run(*words: str, reply: Reply | None = None, rc: str = "") -> tuple[Result, Server]:
    settings = Settings((), {})
    settings.take(rc)
    server = Server(reply or Reply(200, "OK", ["one:: 1", "\ttwo:: 2"]))
    return CliRunner().invoke(main, words, obj=Control(settings, server)), server


def test_fifo_sends_any_command_and_prints_the_body() -> None:
    result, server = run("fifo", "ul_add", "location", "--odd", "-1", "a\nb")
    assert server.calls == [("ul_add", "location", "--odd", "-1", "a\nb")]
    assert (result.exit_code, result.stdout, result.stderr) == (0, "one:: 1\n\ttwo:: 2\n", "")


def test_an_error_goes_to_standard_error_with_code_1() -> None:
    result, _ = run("fifo", "nope", reply=Reply(500, "command 'nope' not available", []))
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "500 command 'nope' not available\n")


def test_other_successes_are_told() -> None:
    result, _ = run("fifo", "t_uac_dlg", reply=Reply(202, "Accepted", []))
    assert (result.exit_code, result.stdout) == (0, "202 Accepted\n")


def test_ps_prints_the_server_s_lines_into_a_pipe() -> None:
    line = "Process::  ID=0 PID=7 Type=attendant"
    result, server = run("ps", reply=Reply(200, "OK", [line]))
    assert (result.stdout, server.calls) == (line + "\n", [("ps",)])


def test_ps_makes_a_table_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ps, "on_terminal", lambda: True)
    line = "Process::  ID=12 PID=7 Type=receiver child=0 sock= [::1]:5060"
    result, _ = run("ps", reply=Reply(200, "OK", [line]))
    heading, row = result.stdout.splitlines()
    assert heading.split() == ["ID", "PID", "Type"]
    assert row.split(None, 2) == ["12", "7", "receiver child=0 sock= [::1]:5060"]


@pytest.mark.parametrize("group", ["ul", "usrloc", "alias"])
def test_ul_show_asks_for_all_for_names_or_for_one(group: str) -> None:
    assert run(group, "show")[1].calls == [("ul_dump",)]
    assert run(group, "show", "--brief")[1].calls == [("ul_dump", "brief")]
    assert run(group, "show", "alice")[1].calls == [
        ("ul_show_contact", "aliases" if group == "alias" else "location", "alice")
    ]  # fmt: skip


def test_ul_show_uses_the_settings() -> None:
    assert run("ul", "show", "alice", rc="SIP_DOMAIN=example.com UL_TABLE=loc")[1].calls == [
        ("ul_show_contact", "loc", "alice@example.com")
    ]
    assert run("ul", "show", "a@b.c", rc="SIP_DOMAIN=example.com")[1].calls == [
        ("ul_show_contact", "location", "a@b.c")
    ]


def test_ul_show_makes_a_table_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ul, "on_terminal", lambda: True)
    result, _ = run("ul", "show", reply=Reply(200, "OK", DUMP))
    assert result.exit_code == 0 and "alice" in result.stdout and "::" not in result.stdout.splitlines()[0]


def test_contacts_become_rows() -> None:
    assert contact_rows(DUMP) == [
        ["alice", "sip:alice@10.0.0.1", "1", "60", "Phone:: 2"],
        ["", "sip:alice@10.0.0.2", "0.5", "permanent", ""],
        ["bob", "sip:bob@10.0.0.3", "", "", ""],
    ]


def test_the_version_is_told() -> None:
    assert run("--version")[0].stdout == f"openserctl, version {__version__}\n"
    assert run("version")[0].stdout == f"openserctl, version {__version__}\n"


def test_no_server_is_explained(tmp_path: pytest.TempPathFactory) -> None:
    result = CliRunner().invoke(main, ["--fifo", f"{tmp_path}/none", "ps"])
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: openserd is not running or its mi_fifo has another fifo_name; looked at {tmp_path}/none\n"
    )


# --- requests and replies -------------------------------------------------------------------------


def test_a_request_is_written_as_the_server_reads_it() -> None:
    assert request("c", "r", ["a", "b\nc"]) == b':c:r\na\n"b\nc"\n\n'


@pytest.mark.parametrize("argument", ["a\n\nb", "a\0", ' "\\'])
def test_arguments_that_cannot_be_sent_are_refused(argument: str) -> None:
    with pytest.raises(Exception, match="argument"):
        quoted(argument)


@pytest.mark.parametrize("command", ["", "a b", "a:b", "a\n"])
def test_commands_that_cannot_be_sent_are_refused(command: str) -> None:
    with pytest.raises(Exception, match="command"):
        request(command, "r", [])


@pytest.mark.parametrize("data", [b"", b"hello\n", b"20 OK\n"])
def test_what_is_no_reply_is_told(data: bytes) -> None:
    with pytest.raises(Unanswered):
        parse_reply(data)
