"""maxfwd: loop guard on Max-Forwards (RFC 3261 sections 16.3 item 3 and 16.6 item 3)."""

from typing import Final

from openserd.core.message import SipMsg
from openserd.core.module import BRANCH, FAILURE, FALSE, OK, REQUEST, Fn, Int, Module, between, param

ADDED: Final = 2


class MaxFwd(Module):
    name = "maxfwd"
    max_limit: int = param(256, check=between(1, 256))  #: highest value sent onwards, in hops
    functions = {
        "mf_process_maxfwd_header": Fn(Int("limit", lo=1, hi="max_limit"), routes=REQUEST, on_error=-2),
        "is_maxfwd_lt": Fn(Int("limit", lo=1, hi="max_limit"), routes=REQUEST | FAILURE | BRANCH, on_error=-3),
    }

    def mf_process_maxfwd_header(self, msg: SipMsg, limit: int) -> int:
        """1 lowered by one, 2 absent and added as `limit`, -1 already zero, -2 malformed.

        A second call finds what the first has set.
        """
        hops = msg.max_forwards
        if hops is None:
            msg.set_max_forwards(limit)
            return ADDED
        if hops == 0:
            return FALSE
        msg.set_max_forwards(hops - 1 if hops <= self.max_limit else self.max_limit)
        return OK

    def is_maxfwd_lt(self, msg: SipMsg, limit: int) -> int:
        """1 below `limit`, -1 at or above it, -2 absent, -3 malformed."""
        if msg.max_forwards is None:
            return -2
        return OK if msg.max_forwards < limit else FALSE
