"""Programs that other people wrote register and call through the default script: sipsak, baresip."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.conftest import PhoneMaker
from tests.support import Server, free_port
from tests.support.server import ROOT

pytestmark = pytest.mark.xdist_group("real_phones")  # one server for all of them

BARESIP = """\
poll_method epoll
sip_listen 127.0.0.1:{sip_port}
net_interface 127.0.0.1
module_path /usr/lib/baresip/modules
module g711.so
module ausine.so
module aubridge.so
module_tmp uuid.so
module_tmp account.so
module_app contact.so
module_app menu.so
audio_source ausine,440
audio_player aubridge,p{user}
audio_alert aubridge,a{user}
ausrc_srate 48000
ausrc_channels 2
rtp_ports {rtp_port}-{last_rtp_port}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The script of `make run`, its FIFO moved out of /tmp; sipsak loses the fifth digit of a port."""
    script = (ROOT / "cfg/openser.cfg").read_text().replace("/tmp/openser_fifo", "@FIFO@")
    port = free_port(range(6000, 9999))
    with Server(script, tmp_path_factory.mktemp("real-phones"), port=port) as running:
        yield running


def sipsak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sipsak", *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_sipsak_gets_an_answer_to_options(server: Server) -> None:
    """To the server itself, which has no user of that name: an answer is what counts."""
    done = sipsak("-v", "-v", "-s", f"sip:nobody@127.0.0.1:{server.port}")
    assert "404 Not Found" in done.stdout + done.stderr


def test_sipsak_registers(server: Server, phone: PhoneMaker) -> None:
    query = phone("sak", server)
    contact = f"sip:{query.user}@127.0.0.1:{free_port(range(6000, 9999))}"
    done = sipsak("-U", "-C", contact, "-s", f"sip:{query.user}@127.0.0.1:{server.port}", "-x", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    assert contact in query.bindings()


class Baresip:
    """A baresip without sound hardware, in a folder of its own."""

    def __init__(self, folder: Path, user: str, server: Server, *arguments: str) -> None:
        self.folder = folder / user
        self.folder.mkdir()
        rtp_port = free_port() & ~1
        config = BARESIP.format(sip_port=free_port(), user=user, rtp_port=rtp_port, last_rtp_port=rtp_port + 10)
        (self.folder / "config").write_text(config)
        account = f"<sip:{user}@127.0.0.1:{server.port};transport=udp>;auth_pass=none;regint=60;answermode=auto"
        (self.folder / "accounts").write_text(account + "\n")
        (self.folder / "contacts").touch()
        self.log_file = self.folder / "log"
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                ["baresip", "-4", "-f", str(self.folder), "-t", "30", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_for(self, text: str, timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while text not in self.log:
            assert self.process.poll() is None, f"baresip ended:\n{self.log}"
            assert time.monotonic() < deadline, f"no {text!r} within {timeout} s:\n{self.log}"
            time.sleep(0.05)

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def test_baresip_registers_and_calls_baresip(server: Server, tmp_path: Path) -> None:
    callee = Baresip(tmp_path, "bob", server)
    try:
        callee.wait_for("200 OK")
        caller = Baresip(tmp_path, "alice", server, "-e", f"/dial sip:bob@127.0.0.1:{server.port}")
        try:
            caller.wait_for("Call established")
            callee.wait_for("Call established")
        finally:
            caller.close()
        callee.wait_for("session closed")
    finally:
        callee.close()
