"""diversion: tells the next server for whom a diverted call was meant (RFC 5806, draft-levy-sip-diversion)."""

from openserd.core.message import SipMsg
from openserd.core.module import FAILURE, OK, REQUEST, Fn, Module, Str, param


class Diversion(Module):
    name = "diversion"
    suffix: bytes = param(b"")  #: further parameters of the header field, with their semicolon
    functions = {"add_diversion": Fn(Str("reason"), routes=REQUEST | FAILURE)}

    def add_diversion(self, msg: SipMsg, reason: bytes) -> int:
        """1: a Diversion with the request URI as received is added, above all that there are."""
        line = b"Diversion: <%b>;reason=%b%b\r\n" % (msg.original_ruri, reason, self.suffix)
        present = msg.indexes_named(b"Diversion")
        at = msg.hdr_starts[present[0]] if present else msg.headers_end
        earlier = (index for index, lump in enumerate(msg.lumps) if is_diversion(lump[2]) and lump[:2] == (at, at))
        msg.lumps.insert(next(earlier, len(msg.lumps)), (at, at, line))
        return OK


def is_diversion(data: object) -> bool:
    """Whether an edit adds a Diversion."""
    return isinstance(data, bytes) and data.startswith(b"Diversion: <")
