"""What tests talk with: a real server, SIP phones of our own, a relay that loses datagrams, SIPp.

Nothing here imports openserd: a fault in the product's parser must not hide behind its twin in the test.
"""

from tests.support.ports import free_port
from tests.support.relay import Relay, Rule
from tests.support.scripts import hello_world
from tests.support.server import Server, ServerError, check_script, wait_until
from tests.support.sip import Message, Phone, TimedOut, new_token
from tests.support.sipp import Counts, Sipp, SippFailed

__all__ = [
    "Counts",
    "Message",
    "Phone",
    "Relay",
    "Rule",
    "Server",
    "ServerError",
    "Sipp",
    "SippFailed",
    "TimedOut",
    "check_script",
    "free_port",
    "hello_world",
    "new_token",
    "wait_until",
]
