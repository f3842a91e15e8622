"""linphonec, Linphone's phone for the terminal, without sound hardware and without a terminal.

It reads commands from standard input and says on standard output what happens; sound comes from nowhere and goes there.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.support.server import free_port

CONFIG = """\
[sip]
sip_port={sip_port}
sip_tcp_port=0
sip_tls_port=0
use_ipv6=0
guess_hostname=0
contact="{user}" <sip:{user}@127.0.0.1>
[rtp]
audio_rtp_port={rtp_port}
"""


class Linphone:
    """One phone of `user`, in a folder of its own, which is its home."""

    def __init__(self, folder: Path, user: str, *arguments: str) -> None:
        home = folder / f"linphone-{user}"
        for name in (".local/share/linphone", ".config/linphone"):
            (home / name).mkdir(parents=True)
        config = home / "linphonerc"
        config.write_text(CONFIG.format(sip_port=free_port(), rtp_port=free_port() & ~1, user=user))
        self.output = home / "output"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                ["linphonec", "-c", str(config), "-d", "0", *arguments],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, "HOME": str(home), "TERM": "dumb"},
            )
        self.command("soundcard use files")

    @staticmethod
    def installed() -> bool:
        """Whether there is such a phone here."""
        return shutil.which("linphonec") is not None

    def __enter__(self) -> "Linphone":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def said(self) -> str:
        """All that it has said."""
        return self.output.read_text(errors="replace")

    def command(self, text: str) -> None:
        """Types a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())
        self.process.stdin.flush()

    def wait_for(self, text: str, asking: str = "", timeout: float = 15.0) -> None:
        """Until it has said `text`; `asking` is typed again and again meanwhile."""
        deadline = time.monotonic() + timeout
        while text not in self.said:
            if asking:
                self.command(asking)
            assert self.process.poll() is None, f"linphonec ended:\n{self.said}"
            assert time.monotonic() < deadline, f"no {text!r} within {timeout} s:\n{self.said}"
            time.sleep(0.1)

    def close(self) -> None:
        """Ends it; one that is stuck is killed."""
        try:
            self.process.communicate(b"quit\n", timeout=5)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self.process.kill()
            self.process.wait()
