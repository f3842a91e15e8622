"""A message that a worker dies of: the log holds it, the next is handled by the successor."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.support import Phone, Server, wait_until
from tests.support.server import cpu_ticks

#: Each is cut off after a quarter of a second: together they keep a worker busy for a while.
BOMBS = "\n".join(f'    search("X-Text: (a|aa)+{letter}");' for letter in "bcdefghijklmnopqrst")
SCRIPT = f"""
children=1
loadmodule "sl.so"
loadmodule "textops.so"
route {{
{BOMBS}
    sl_send_reply("200", "OK");
}}
"""


def hex_lines(log: str) -> bytes:
    """The message that the log tells."""
    return bytes.fromhex("".join(re.findall(r" +\d+: ([0-9a-f]+)$", log, re.M)))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_the_message_that_a_worker_dies_of_is_in_the_log_and_the_next_is_answered(
    number: signal.Signals, tmp_path: Path
) -> None:
    with Server(SCRIPT, tmp_path) as server, Phone("alice", server.address) as alice:
        worker = server.child("receiver child=0")
        used = cpu_ticks(worker)
        fatal = alice.request("MESSAGE", "sip:bob@127.0.0.1", headers=[("X-Text", "a" * 4000 + "!")])
        wait_until(lambda: cpu_ticks(worker) > used + 5, 5.0, "the worker is at it")
        os.kill(worker, number)
        wait_until(lambda: server.child("receiver child=0") not in (0, worker), 5.0, "the successor")
        assert alice.receive_reply(alice.request("OPTIONS", "sip:127.0.0.1"), timeout=10.0).code == 200
        assert "it was handling this message of" in server.log
        assert hex_lines(server.log) == fatal.raw


def test_nothing_is_told_of_a_worker_that_dies_while_it_waits(tmp_path: Path) -> None:
    with Server(SCRIPT, tmp_path) as server, Phone("alice", server.address) as alice:
        assert alice.receive_reply(alice.request("OPTIONS", "sip:127.0.0.1")).code == 200
        worker = server.child("receiver child=0")
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "died of" in server.log, 5.0, "its death is told")
        assert alice.receive_reply(alice.request("OPTIONS", "sip:127.0.0.1"), timeout=10.0).code == 200
        assert "it was handling" not in server.log
