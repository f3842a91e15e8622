"""A regular expression that would take for ever is cut off: the message gets a false, the log a line, nobody dies."""

import time
from pathlib import Path

import pytest

from openserd.core.arguments import REGEX_SECONDS
from tests.support import Phone, Server

SCRIPT = """
children=1
loadmodule "sl.so"
loadmodule "textops.so"
route {
    if (is_method("MESSAGE")) {
        if (@TEST@) { sl_send_reply("200", "Matched"); exit; }
        sl_send_reply("404", "No match");
        exit;
    }
    sl_send_reply("200", "OK");
}
"""
BOMB = "(a|aa)+$"
TESTS = {
    "an operand": f'$hdr(X-Text) =~ "{BOMB}"',
    "a function": f'search("X-Text: {BOMB}")',
    "a substitution": f"subst('/^X-Text: {BOMB}/X-Text: b/')",
}


@pytest.mark.parametrize("kind", TESTS)
def test_a_catastrophic_expression_costs_one_message_a_moment_and_nothing_else(kind: str, tmp_path: Path) -> None:
    with Server(SCRIPT.replace("@TEST@", TESTS[kind]), tmp_path) as server, Phone("alice", server.address) as alice:
        workers = server.children()
        began = time.monotonic()
        text = [("X-Text", "a" * 4000 + "!")]
        message = alice.request("MESSAGE", "sip:bob@127.0.0.1", headers=text)
        assert alice.receive_reply(message, timeout=20.0).code == 404
        assert time.monotonic() - began < 20 * REGEX_SECONDS
        assert "took" in server.log
        assert alice.receive_reply(alice.request("OPTIONS", "sip:127.0.0.1")).code == 200
        assert server.children() == workers
