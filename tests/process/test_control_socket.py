"""The core's control socket on the real daemon: its processes, its file, and commands that end or answer later."""

import grp
import os
import pwd
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import Server
from tests.support.scripts import hello_world
from tests.support.server import wait_until

SOCKET = """
unix_sock="@RUN@/control"
unix_sock_children=2
unix_tx_timeout=500
sock_mode=0600
"""


class Caller:
    """An operator's program."""

    def __init__(self, server: Server) -> None:
        self.path = str(server.run / "control")
        self.own = str(server.run / "caller")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.own)
        self.socket.settimeout(5)
        self.socket.connect(self.path)

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        os.unlink(self.own)

    def asks(self, command: str, *lines: str) -> str:
        self.socket.send("\n".join([f":{command}:reply", *lines, "", ""]).encode())
        return self.socket.recv(65536).decode()


def test_commands_by_datagram(tmp_path: Path) -> None:
    with Server(SOCKET + hello_world(children=1), tmp_path) as server, Caller(server) as caller:
        rows = [line.partition("Type=")[2] for line in caller.asks("ps").splitlines()[1:-1]]
        control = "unix domain socket server"
        assert rows[:4] == ["attendant", control, control, f"receiver child=0 sock= 127.0.0.1:{server.port}"]
        assert "core:rcv_requests" in caller.asks("get_statistics", "core:")
        assert caller.asks("nothing") == "500 Command nothing not found\n"
        assert stat.S_IMODE(os.lstat(caller.path).st_mode) == 0o600
        path = caller.path
    assert not os.path.lexists(path)


def test_openserctl_sends_commands_by_the_socket(tmp_path: Path) -> None:
    settings = {"CTLENGINE": "UNIXSOCK"}

    def ctl(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "openserd.ctl", *words],
            capture_output=True, text=True, timeout=30, check=False, env=os.environ | settings,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    with Server(SOCKET + hello_world(children=1), tmp_path) as server:
        settings["OSER_UNIXSOCK"] = str(server.run / "control")
        assert "core:rcv_requests" in ctl("unixsock", "get_statistics", "core:")
        ctl("unixsock", "no_such_command", code=1)
        ctl("ul", "add", "alice", "sip:alice@192.0.2.1")
        assert "sip:alice@192.0.2.1" in ctl("ul", "show", "alice")
        assert "get_statistics" in ctl("fifo", "which")


def test_a_killed_process_of_the_socket_is_replaced(tmp_path: Path) -> None:
    with Server(SOCKET + hello_world(children=1), tmp_path) as server, Caller(server) as caller:
        control = [pid for pid, kind in server.processes().items() if kind == "unix domain socket server"]
        for pid in control:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: server.log.count("died of signal 9") == len(control) == 2, 5.0, "both have ended")
        assert caller.asks("version").startswith("200 OK\n")
        wait_until(lambda: 0 not in server.processes(), 5.0, "both run again")
        assert not set(control) & server.processes().keys()


def test_an_answer_that_comes_later_is_sent_by_the_process_that_has_it(tmp_path: Path) -> None:
    with Server(SOCKET + hello_world(children=2), tmp_path) as server, Caller(server) as caller:
        headers = '"From: <sip:me@a>;tag=1\nTo: <sip:ping@a>"'
        uri = f"sip:ping@127.0.0.1:{server.port}"
        assert caller.asks("t_uac_dlg", "OPTIONS", uri, ".", ".", headers).startswith("200 OK\n200 alive\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_sock_user_and_sock_group_own_the_socket_of_a_daemon(tmp_path: Path) -> None:
    owner = 'sock_user="nobody"\nsock_group="daemon"\n'
    with Server(SOCKET + owner + hello_world(children=1), tmp_path, daemonize=True) as server, Caller(server) as caller:
        assert caller.asks("version").startswith("200 OK\n")
        status = os.stat(caller.path)
        assert (status.st_uid, status.st_gid) == (pwd.getpwnam("nobody").pw_uid, grp.getgrnam("daemon").gr_gid)


def test_kill_is_answered_and_ends_the_server(tmp_path: Path) -> None:
    server = Server(SOCKET + hello_world(children=1), tmp_path)
    server.start()
    try:
        with Caller(server) as caller:
            assert caller.asks("kill") == "200 OK\n\n"
        wait_until(lambda: not server.is_alive(), 5.0, "the server ends")
        assert server.exit_code == 0 and not (server.run / "control").exists()
    finally:
        server.kill()


@pytest.mark.parametrize("args", [["-D"], []])
def test_option_x_names_the_socket_and_a_stale_one_is_replaced(tmp_path: Path, args: list[str]) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    fork = "fork=no\n" if args else ""
    with Server(fork + hello_world(children=1), tmp_path, args=["-x", str(path)]) as server:
        (server.run / "control").symlink_to(path)
        with Caller(server) as caller:
            assert "Type=unix domain socket server" in caller.asks("ps")
    assert not os.path.lexists(path)


def test_a_server_that_cannot_start_leaves_no_socket(tmp_path: Path) -> None:
    server = Server(SOCKET + hello_world(children=1), tmp_path, args=["-w", "/nowhere"], start=False)
    with pytest.raises(AssertionError, match="ended while it was started"):
        server.start()
    assert not (server.run / "control").exists()
    assert "cannot change to directory /nowhere" in server.log
