"""A message that a worker dies of: the log holds it, the next is handled by the successor."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import Message, Phone, Server, wait_until
from tests.support.server import cpu_ticks, read_process

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


def bomb(alice: Phone) -> Message:
    """Has a phone send what keeps a worker busy."""
    return alice.request("MESSAGE", "sip:bob@127.0.0.1", headers=[("X-Text", "a" * 4000 + "!")])


def is_waiting(pid: int) -> bool:
    """Whether a process sleeps."""
    process = read_process(pid)
    return process is not None and process.state == "S"


def kill_at_work(server: Server, number: signal.Signals, send: Callable[[], object]) -> None:
    """Sends a message, kills the worker while it handles that, and waits for the successor."""
    worker = server.child("receiver child=0")
    used = cpu_ticks(worker)
    send()
    wait_until(lambda: cpu_ticks(worker) > used + 5, 5.0, "the worker is at it")
    os.kill(worker, number)
    wait_until(lambda: server.child("receiver child=0") not in (0, worker), 5.0, "the successor")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_the_message_that_a_worker_dies_of_is_in_the_log_and_the_next_is_answered(
    number: signal.Signals, tmp_path: Path
) -> None:
    with Server(SCRIPT, tmp_path) as server, Phone("alice", server.address) as alice:
        sent: list[Message] = []
        kill_at_work(server, number, lambda: sent.append(bomb(alice)))
        assert alice.receive_reply(alice.request("OPTIONS", "sip:127.0.0.1"), timeout=10.0).code == 200
        assert "it was handling this message of" in server.log
        assert hex_lines(server.log) == sent[0].raw


def test_a_message_that_has_killed_two_workers_is_not_handled_again(tmp_path: Path) -> None:
    script = SCRIPT.replace("children=1", "children=1\ndebug=3")
    with Server(script, tmp_path) as server, Phone("alice", server.address) as alice:
        sent: list[Message] = []
        kill_at_work(server, signal.SIGSEGV, lambda: sent.append(bomb(alice)))
        kill_at_work(server, signal.SIGSEGV, lambda: alice.send_raw(sent[0].raw, server.address))
        alice.send_raw(sent[0].raw, server.address)
        wait_until(lambda: "is not handled: processes have died of it" in server.log, 5.0, "it is dropped")
        assert alice.receive_reply(alice.request("OPTIONS", "sip:127.0.0.1"), timeout=10.0).code == 200
        assert server.log.count("died of") - server.log.count("have died of") == 2
        assert "it is the second process that this message has killed" in server.log


def test_nothing_is_told_of_a_worker_that_dies_while_it_waits(tmp_path: Path) -> None:
    with Server(SCRIPT, tmp_path) as server, Phone("alice", server.address) as alice:
        assert alice.receive_reply(alice.request("OPTIONS", "sip:127.0.0.1")).code == 200
        worker = server.child("receiver child=0")
        wait_until(lambda: is_waiting(worker), 5.0, "the worker waits")
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "died of" in server.log, 5.0, "its death is told")
        assert alice.receive_reply(alice.request("OPTIONS", "sip:127.0.0.1"), timeout=10.0).code == 200
        assert "it was handling" not in server.log
