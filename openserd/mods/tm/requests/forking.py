"""What keeps a request that is sent to several places at once from multiplying (RFC 5393).

Loops: each branch of a fork carries a digest over everything that routing depends on.  A request that is to be forked
and whose Via says that this server has forked it before, with the same digest, is refused with 482; one whose request
URI has changed in between (a spiral) goes on.

Max-Breadth: how many branches a request may have at a time, all servers together.  A fork divides it; too little for
the branches is refused with 440.  Both are looked at only where there is a fork: a request with one destination leaves
as it came.
"""

from hashlib import md5
from typing import TYPE_CHECKING, Final

from openserd.core.message import SipMsg
from openserd.errors import SipError
from openserd.mods.tm.memory.keys import branch_digest
from openserd.parser import names

if TYPE_CHECKING:
    from openserd.core.context import Core
    from openserd.core.lumps import Lump
    from openserd.mods.tm.requests.forwarding import Hop

ROUTING: Final = frozenset((names.ROUTE, names.PROXY_REQUIRE, names.PROXY_AUTHORIZATION))
MAX_BREADTH: Final = b"Max-Breadth"


def loop_digest(msg: SipMsg) -> bytes:
    """32 hex digits over what the routing of a request depends on (RFC 5393 4.2.2)."""
    parts = [msg.original_ruri, msg.call_id, msg.from_tag or b"", msg.to_tag or b"", b"%d" % msg.cseq.number]
    parts += [line for header, line in zip(msg.hdr_ids, msg.lines, strict=False) if header in ROUTING]
    return md5(b"|".join(parts), usedforsecurity=False).hexdigest().encode()


class Forks:
    """The guard; `detects_loops` and `breadth` are parameters, 0 leaves forks alone as OpenSER does."""

    def __init__(self, core: "Core", detects_loops: bool, breadth: int) -> None:
        self.core = core
        self.detects_loops = detects_loops
        self.breadth = breadth

    def guarded(self, msg: SipMsg, hops: "list[Hop]") -> "list[Hop]":
        """The branches of a fork with their shares of the breadth. Raises SipError 482 or 440."""
        if self.detects_loops:
            self.check_loop(msg)
        return self.divided(msg, hops) if self.breadth else hops

    def check_loop(self, msg: SipMsg) -> None:
        """Raises SipError 482 where this server has forked the same request before."""
        vias = msg.vias()
        if len(vias) < 2 and branch_digest(vias[0].branch) is None:
            return
        digest = loop_digest(msg)
        for via in vias:
            if branch_digest(via.branch) == digest and self.core.is_myself(via.host, via.port or 5060):
                raise SipError("Loop Detected", 0, 482)

    def divided(self, msg: SipMsg, hops: "list[Hop]") -> "list[Hop]":
        """The branches, each with its own Max-Breadth."""
        lines = msg.indexes_named(MAX_BREADTH)
        value = msg.value(lines[0]).strip() if lines else b"%d" % self.breadth
        breadth = int(value) if value.isdigit() else self.breadth
        if breadth < len(hops):
            raise SipError("Max-Breadth Exceeded", 0, 440)
        share, rest = divmod(breadth, len(hops))
        at = msg.line_span(lines[0]) if lines else (msg.headers_end, msg.headers_end)
        return [
            (branch, hop, [*(msg.lumps if lumps is None else lumps), breadth_lump(at, share + (number < rest))])
            for number, (branch, hop, lumps) in enumerate(hops)
        ]


def breadth_lump(at: tuple[int, int], share: int) -> "Lump":
    """The edit that writes one branch's Max-Breadth."""
    return (*at, b"%b: %d\r\n" % (MAX_BREADTH, share))
