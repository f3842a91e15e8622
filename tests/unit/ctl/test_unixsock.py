"""openserctl unixsock where no server answers; the real socket is tested in tests/process/test_control_socket.py."""

from pathlib import Path

import click
import pytest

from openserd.ctl.__main__ import client_of
from openserd.ctl.client import FifoClient, Unanswered
from openserd.ctl.commands.unixsock import SocketClient
from openserd.ctl.config import Settings
from tests.unit.ctl.support import Ctl


def settings(*lines: str) -> Settings:
    made = Settings((), {})
    for line in lines:
        made.take(line)
    return made


def test_no_server_is_said_with_the_path(tmp_path: Path) -> None:
    result = Ctl("", rc=f"OSER_UNIXSOCK={tmp_path}/none.sock").run("unixsock", "which", code=2)
    assert f"looked at {tmp_path}/none.sock" in result.output
    with pytest.raises(Unanswered, match="not running"):
        SocketClient(f"{tmp_path}/none.sock").call("which")


def test_ctlengine_chooses_the_way_to_the_server() -> None:
    assert isinstance(client_of(settings()), FifoClient)
    socket = client_of(settings("CTLENGINE=UNIXSOCK", "OSER_UNIXSOCK=/run/x.sock"))
    assert isinstance(socket, SocketClient) and socket.path == "/run/x.sock"
    assert isinstance(client_of(settings("CTLENGINE=UNIXSOCK"), "/run/fifo"), FifoClient)
    with pytest.raises(click.UsageError, match="FIFO or UNIXSOCK"):
        client_of(settings("CTLENGINE=HTTP"))
