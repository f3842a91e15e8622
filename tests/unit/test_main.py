"""The daemon's command line as far as it reads and checks scripts; starting the server is for tests/process."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from openserd import __main__ as program
from openserd.__main__ import main
from openserd.core.context import Core
from openserd.server.assembly import Server
from openserd.server.options import Options

LISTEN = "listen=udp:127.0.0.1:5999\nauto_aliases=no\n"
MODULES = 'loadmodule "tm.so"\nloadmodule "sl.so"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A script without mistakes."""
    path = tmp_path / "openser.cfg"
    path.write_text(f"{LISTEN}{MODULES}route {{\n\tif (uri==myself) sl_reply_error();\n}}\n")
    return path


def run(*arguments: str | Path) -> Result:
    """What the command says."""
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_a_script_without_mistakes_is_ok(config: Path) -> None:
    for option in ("-c", "-C", "--lint"):
        result = run("-f", config, option)
        assert (result.exit_code, result.output) == (0, "config file ok, exiting...\n")


def test_mistakes_are_printed_and_end_with_255(config: Path) -> None:
    config.write_text(f"{LISTEN}route {{ nosuch(); }}\n")
    result = run("-f", config, "-C")
    assert result.exit_code == 255
    assert f"{config}:3:9: unknown function nosuch" in result.output


def test_findings_of_lint_are_warnings(config: Path) -> None:
    config.write_text(f"{LISTEN}{MODULES}route {{ t_relay(); }}\n")
    assert "[open-relay]" not in run("-f", config, "-C").output
    result = run("-f", config, "--lint")
    assert result.exit_code == 0
    assert "t_relay forwards requests to foreign domains for anybody [open-relay]" in result.output


def test_json_is_one_array_with_a_line_for_each_problem(config: Path) -> None:
    config.write_text(f"{LISTEN}{MODULES}dns=yes\nroute {{ t_relay(); nosuch(); sl_send_reply(200); }}\n")
    result = run("-f", config, "-C", "--json")
    assert result.exit_code == 255
    found = json.loads(result.output)
    assert found[0] == {
        "file": str(config),
        "line": 6,
        "column": 20,
        "endColumn": 26,
        "severity": "error",
        "message": "unknown function nosuch",
    }
    assert [(one["severity"], one["message"]) for one in found[1:]] == [
        ("error", "sl_send_reply takes 2 arguments, not 1"),
        ("warning", "dns is not in effect yet"),
    ]
    assert found[1]["expected"] == "sl_send_reply(code, reason)"
    assert len(result.output.splitlines()) == len(found) + 2


def test_json_names_lints_and_is_empty_where_nothing_is_wrong(config: Path) -> None:
    result = run("-f", config, "--json")
    assert (result.exit_code, json.loads(result.output)) == (0, [])
    config.write_text(f"{LISTEN}{MODULES}route {{ if (!t_relay()) exit; }}\n")
    found = json.loads(run("-f", config, "--lint", "--json").output)
    assert {one["lint"] for one in found} == {"open-relay", "loop-guard", "message-size"}
    assert all(one["severity"] == "warning" for one in found)


def test_json_tells_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    result = run("-f", tmp_path / "none.cfg", "-C", "--json")
    assert result.exit_code == 255
    (found,) = json.loads(result.output)
    assert found["message"] == f"cannot read {tmp_path}/none.cfg: No such file or directory"
    assert (found["file"], found["line"], found["severity"]) == (f"{tmp_path}/none.cfg", 0, "error")


def test_dump_prints_the_generated_python(config: Path) -> None:
    result = run("-f", config, "--dump")
    assert result.exit_code == 0
    assert result.output.splitlines()[:2] == ["def route(msg):", "    if uri_is_myself(msg):"]


def test_names_are_defined_on_the_command_line(config: Path) -> None:
    config.write_text(f"{LISTEN}#!ifdef BROKEN\nbroken\n#!endif\nroute {{ setflag(FLAG); }}\n")
    assert run("-f", config, "-c", "-A", "FLAG=3").exit_code == 0
    assert run("-f", config, "-c", "-A", "FLAG=99").exit_code == 255
    assert run("-f", config, "-c", "-A", "FLAG=3", "-A", "BROKEN").exit_code == 255
    result = run("-f", config, "-c", "-A", "1=2")
    assert result.exit_code == 2
    assert "'1' is no name" in result.output


def test_files_are_included_from_beside_the_script(config: Path) -> None:
    config.with_name("blocks.cfg").write_text("route[1] { exit; }\n")
    config.write_text(f'{LISTEN}include_file "blocks.cfg"\nroute {{ route(1); }}\n')
    assert run("-f", config, "-C").exit_code == 0
    config.with_name("blocks.cfg").write_text("route[1] { nosuch(); }\n")
    assert f"{config.parent}/blocks.cfg:1:12: unknown function nosuch" in run("-f", config, "-C").output


def test_the_environment_is_there_for_scripts(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENSERD_TEST_FLAG", "3")
    config.write_text(f"{LISTEN}#!defenv OPENSERD_TEST_FLAG\nroute {{ setflag(OPENSERD_TEST_FLAG); }}\n")
    assert run("-f", config, "-c").exit_code == 0
    monkeypatch.delenv("OPENSERD_TEST_FLAG")
    assert "the environment has no OPENSERD_TEST_FLAG" in run("-f", config, "-c").output


@pytest.mark.parametrize(
    ("given", "option", "value"),
    [
        ("-l udp:127.0.0.1:5080 -l ::1", "listen", ["udp:127.0.0.1:5080", "::1"]),
        ("-n 3", "children", 3),
        ("-D", "no_fork", 1),
        ("-DD", "no_fork", 2),
        ("-E", "log_stderror", True),
        ("-ddd", "debug", 3),
        ("-m 16", "megabytes", 16),
        ("-P /run/pid", "pid_file", "/run/pid"),
        ("-G /run/group", "group_file", "/run/group"),
        ("-t /srv", "chroot", "/srv"),
        ("-u sip", "user", "sip"),
        ("-g sips", "group", "sips"),
        ("-w /tmp", "workdir", "/tmp"),
        ("-b 10000", "receive_buffer", 10000),
        ("-v", "check_via", True),
        ("-x /run/control", "unix_sock", "/run/control"),
    ],
)
def test_an_option_is_what_the_server_is_started_with(
    monkeypatch: pytest.MonkeyPatch, given: str, option: str, value: object
) -> None:
    seen: list[Options] = []

    def keep(options: Options) -> int:
        seen.append(options)
        return 0

    monkeypatch.setattr(program, "run", keep)
    assert run(*given.split()).exit_code == 0
    assert getattr(seen[0], option) == value != getattr(Options(), option)


class Configured(Exception):
    """The log has been set up, the arguments are what it was set up with."""


def configured(*arguments: object) -> None:
    raise Configured(*arguments)


@pytest.mark.parametrize(("log_name", "ident"), [("", "openserd"), ("proxy1", "proxy1")])
def test_log_name_and_log_facility_are_those_of_the_log(
    monkeypatch: pytest.MonkeyPatch, log_name: str, ident: str
) -> None:
    core = Core()
    for name, value in (("log_name", log_name), ("log_facility", "LOG_LOCAL3"), ("debug", 3)):
        core.params.set(name, [value])
    monkeypatch.setattr(program, "configure", configured)
    for name in ("set_limits", "enter_workdir", "drop_privileges"):
        monkeypatch.setattr(program, name, lambda *given: None)
    with pytest.raises(Configured) as caught:
        program.run_server(Server(core, Options(no_fork=2)), [], [])
    assert caught.value.args == (3, False, "LOG_LOCAL3", ident)
