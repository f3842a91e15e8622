"""The requests that a client transaction makes itself, from the INVITE it sent: ACK and CANCEL.

(RFC 3261 sections 17.1.1.3 and 9.1: same request URI, same top Via, same Route, From, Call-ID and CSeq number.)
"""

from typing import Final

from openserd.core.message import SipMsg
from openserd.parser import names
from openserd.parser.message import Message

_COPIED: Final = frozenset((names.FROM, names.CALL_ID, names.ROUTE))


def build_ack(sent: bytes, reply: SipMsg) -> bytes:
    """The ACK for a negative reply to the INVITE `sent`; its To is the reply's."""
    to = reply.line_span(reply.find(names.TO))
    return derived(sent, b"ACK", reply.buf[slice(*to)])


def build_cancel(sent: bytes, reason: bytes = b"") -> bytes:
    """The CANCEL for the INVITE `sent`; `reason` is a Reason header line or nothing."""
    return derived(sent, b"CANCEL", b"", reason)


def derived(sent: bytes, method: bytes, to_line: bytes, extra: bytes = b"") -> bytes:
    """A request of `method` derived from the INVITE `sent`, with another To line where one is given."""
    invite = Message(sent)
    buf = invite.buf
    lines = [b"%b %b SIP/2.0\r\n" % (method, invite.ruri)]
    via_seen = False
    for index, header in enumerate(invite.hdr_ids):
        line = buf[invite.hdr_starts[index] : invite.hdr_starts[index + 1]]
        if header == names.VIA:
            if not via_seen:
                lines.append(line)
            via_seen = True
        elif header == names.TO:
            lines.append(to_line or line)
        elif header in _COPIED:
            lines.append(line)
        elif header == names.CSEQ:
            lines.append(b"CSeq: %d %b\r\n" % (invite.cseq.number, method))
    lines += [extra, b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"]
    return b"".join(lines)
