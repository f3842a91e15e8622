"""The control socket: requests as datagrams, replies to whoever asks, and the file that it leaves to nobody."""

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from openserd.core.management.mi import Command, MiRegistry, Reply
from openserd.core.params import GlobalParams
from openserd.errors import ConfigError, ResourceError
from openserd.server.control_socket import (
    BadFirstLine,
    ControlSocket,
    Request,
    Settings,
    parse_request,
    peer_of,
    settings_of,
    ticket_of,
)

TICKETS: list[str] = []


def echo(*words: str) -> Reply:
    reply = Reply()
    node = reply.add("Words", len(words), first=words[0])
    for word in words:
        node.add(value=word)
    return reply


def fail() -> Reply:
    raise RuntimeError("on purpose")


def wait(ticket: str) -> Reply | None:
    TICKETS.append(ticket)
    return None if ticket else Reply(202, "Accepted")


@pytest.fixture
def registry() -> MiRegistry:
    made = MiRegistry()
    for command in (
        Command("echo", echo, 1, None),
        Command("fail", fail),
        Command("wait", wait, is_later=True),
        Command("huge", lambda: Reply(200, "x" * 8_000_000)),
    ):
        made.add(command)
    return made


@pytest.fixture
def control(registry: MiRegistry, tmp_path: Path) -> Iterator[ControlSocket]:
    made = ControlSocket(registry, Settings(str(tmp_path / "control"), 0o640, send_seconds=0.1))
    made.open()
    yield made
    made.close()


class Caller:
    """Somebody with a socket of their own."""

    def __init__(self, control: ControlSocket, address: str) -> None:
        self.control = control
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(2)

    def asks(self, data: bytes) -> bytes:
        """The answer to a request."""
        self.sends(data)
        return self.socket.recv(65536)

    def sends(self, data: bytes) -> None:
        self.socket.sendto(data, self.control.settings.path)
        assert self.control.socket is not None
        self.control.handle(*self.control.socket.recvfrom(65536))


@pytest.fixture(params=["path", "abstract name"])
def caller(control: ControlSocket, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Caller]:
    made = Caller(control, str(tmp_path / "caller") if request.param == "path" else f"\0openserd-{os.getpid()}")
    yield made
    made.socket.close()


# -- requests -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "request_"),
    [
        (b":ps:reply\n", Request("ps", [])),
        (b":ps:", Request("ps", [])),
        (b":ps:\n\n", Request("ps", [])),
        (b":a:r\none\n two \n\nthree\n", Request("a", ["one", "two"])),
        (b":a:r\none\r\n\r\ntwo", Request("a", ["one"])),
        (b":a:r\nlast", Request("a", ["last"])),
        (b":a:r\nname::value\n::bare\n", Request("a", ["value", "bare"])),
        (b':a:r\n"first line\nsecond \\"line\\""\nb\n', Request("a", ['first line\nsecond "line"', "b"])),
        (b':a:r\n"open\n', Request("a", [], "a quoted value is not closed")),
        (b':a:r\n"a" b\n', Request("a", [], "text behind a closing quote")),
        (b":a:r\na\0b\n", Request("a", [], "a zero byte")),
        (b":a:b:c\nx", Request("a", ["x"])),
    ],
)
def test_a_datagram_is_a_request(data: bytes, request_: Request) -> None:
    assert parse_request(data) == request_


@pytest.mark.parametrize("data", [b"", b":", b"::", b"ps", b":ps", b"::reply\n", b" :ps:r\n", b"\n:ps:r\n", b":ps\n:r"])
def test_a_datagram_without_a_first_line_is_none(data: bytes) -> None:
    with pytest.raises(BadFirstLine):
        parse_request(data)


@pytest.mark.parametrize("peer", ["/tmp/somebody", b"\0abstract\xff", "/tmp/\u00e9", "/tmp/\udcff"])
def test_a_ticket_brings_back_its_caller(peer: str | bytes) -> None:
    assert ticket_of(peer).startswith("unix:") and peer_of(ticket_of(peer)) == os.fsencode(peer)


# -- answers ------------------------------------------------------------------------------------------------


def test_a_reply_is_one_datagram_framed_as_over_the_fifo(caller: Caller) -> None:
    assert caller.asks(b":echo:r\na\nb c\n") == b"200 OK\nWords:: 2 first=a\n\ta\n\tb c\n\n"


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"nonsense", b"400 First line malformed\n"),
        (b":nothing:r\n", b"500 Command nothing not found\n"),
        (b":echo:r\n", b"400 Too few or too many arguments\n\n"),
        (b':echo:r\n"\n', b"400 parse error in command 'echo'\n"),
        (b":fail:r\n", b"500 command 'fail' failed\n"),
        (b":ECHO:r\nx\n", b"200 OK\nWords:: 1 first=x\n\tx\n\n"),
        (b":huge:r\n", b"500 The reply does not fit into a datagram\n"),
    ],
)
def test_every_request_gets_an_answer(caller: Caller, data: bytes, answer: bytes) -> None:
    assert caller.asks(data) == answer


def test_an_answer_that_comes_later_finds_its_caller(caller: Caller) -> None:
    caller.sends(b":wait:r\n")
    caller.control.registry.answer(TICKETS[-1], Reply(200, "at last"))
    assert caller.socket.recv(100) == b"200 at last\n\n"


def test_a_caller_without_an_address_is_not_answered_and_its_command_runs(control: ControlSocket) -> None:
    assert control.socket is not None
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
        nameless.sendto(b":wait:r\n", control.settings.path)
    control.handle(*control.socket.recvfrom(100))
    assert TICKETS[-1] == ""


def test_what_a_command_leaves_for_afterwards_runs_after_its_answer(control: ControlSocket, tmp_path: Path) -> None:
    caller = Caller(control, str(tmp_path / "caller"))
    seen: list[bytes] = []
    control.registry.add(Command("end", lambda: Reply(after=lambda: seen.append(caller.socket.recv(100)))))
    caller.sends(b":end:r\n")
    assert seen == [b"200 OK\n\n"]
    caller.socket.close()


def test_a_caller_that_does_not_read_holds_nobody_up_for_long(
    control: ControlSocket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = Caller(control, str(tmp_path / "slow"))
    for _ in range(1000):
        control.send(b"x", str(tmp_path / "slow"))
        if caplog.records:
            break
    assert "no reply to" in caplog.text and os.strerror(errno.EAGAIN) in caplog.text
    slow.socket.close()


def test_a_caller_that_has_gone_is_no_error(control: ControlSocket, caplog: pytest.LogCaptureFixture) -> None:
    control.handle(b":echo:r\nx\n", "/nowhere/at/all")
    assert "no reply to '/nowhere/at/all'" in caplog.text


# -- the file -----------------------------------------------------------------------------------------------


def test_the_socket_has_its_mode_at_once_and_is_removed_at_the_end(control: ControlSocket) -> None:
    status = os.lstat(control.settings.path)
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o640
    control.close()
    assert not os.path.lexists(control.settings.path)
    control.close()


def test_a_socket_that_a_dead_server_left_is_replaced(registry: MiRegistry, tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    made = ControlSocket(registry, Settings(str(path)))
    made.open()
    assert Caller(made, str(tmp_path / "caller")).asks(b":echo:r\nx\n").startswith(b"200")
    made.close()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_the_socket_of_a_running_server_is_left_alone(registry: MiRegistry, tmp_path: Path, kind: int) -> None:
    path = str(tmp_path / "control")
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(path)
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(ResourceError, match="read by another process"):
            ControlSocket(registry, Settings(path)).open()
        assert os.path.lexists(path)


def test_what_is_no_socket_is_left_alone(registry: MiRegistry, tmp_path: Path) -> None:
    path = tmp_path / "control"
    path.write_text("mine")
    with pytest.raises(ResourceError, match="not a socket"):
        ControlSocket(registry, Settings(str(path))).open()
    assert path.read_text() == "mine"


def test_a_socket_of_somebody_else_at_the_path_survives_the_end(control: ControlSocket) -> None:
    os.unlink(control.settings.path)
    Path(control.settings.path).write_text("another's")
    control.close()
    assert Path(control.settings.path).read_text() == "another's"


def test_a_folder_that_is_not_there_is_reported(registry: MiRegistry, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"cannot make the control socket .*/none/control: No such file"):
        ControlSocket(registry, Settings(str(tmp_path / "none" / "control"))).open()


def test_an_owner_that_cannot_be_given_leaves_no_socket(
    registry: MiRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, uid: int, gid: int) -> None:
        raise PermissionError(errno.EPERM, f"{uid} {gid}")

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(ResourceError, match="1 2"):
        ControlSocket(registry, Settings(str(tmp_path / "control"), uid=1, gid=2)).open()
    assert list(tmp_path.iterdir()) == []


# -- the parameters -----------------------------------------------------------------------------------------


def params(**values: int | str) -> GlobalParams:
    made = GlobalParams()
    for name, value in values.items():
        assert made.set(name, [value]) is None
    return made


def test_without_unix_sock_there_is_no_control_socket() -> None:
    assert settings_of(params()).path == ""


def test_the_parameters_say_where_and_whose_the_socket_is() -> None:
    given = params(unix_sock="/run/control", sock_mode=0o600, sock_user="root", sock_group=0, unix_tx_timeout=1500)
    assert settings_of(given) == Settings("/run/control", 0o600, 0, 0, 1.5)
    assert settings_of(params(unix_sock="/run/control")) == Settings("/run/control", 0o660, -1, -1, 2.0)


def test_a_mode_of_0_would_let_nobody_in() -> None:
    assert settings_of(params(unix_sock="/c", sock_mode=0)).mode == 0o600


@pytest.mark.parametrize(
    "values", [{"unix_sock": "/" + "x" * 107}, {"sock_user": "nobody-here"}, {"sock_group": "nobody-here"}]
)
def test_settings_that_cannot_be_are_refused(values: dict[str, int | str]) -> None:
    with pytest.raises(ConfigError):
        settings_of(params(**values))
