"""Tests of `openser.cfg`: messages go in, and what the script does with them comes out, without a network.

    from openserd.testing import Script

    with Script.load("openser.cfg") as script:
        script.register("bob", contact="sip:bob@192.0.2.20")
        call = script.request("INVITE sip:bob@example.com")
        assert call.forwarded[0].uri == "sip:bob@192.0.2.20"

The script is compiled by the real compiler and runs over the real modules, with shared memory of its own; only sockets,
processes and the clock are not there.
"""

from openserd.testing.result import LogLine, Result
from openserd.testing.script import Script
from openserd.testing.sent import Sent

__all__ = ["LogLine", "Result", "Script", "Sent"]
