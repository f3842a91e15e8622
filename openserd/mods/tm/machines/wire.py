"""The requests that a client transaction makes itself, from the INVITE it sent: ACK and CANCEL.

(RFC 3261 sections 17.1.1.3 and 9.1: same request URI, same top Via, same Route, From, Call-ID and CSeq number.)
"""

from typing import Final

from openserd.core.message import SipMsg
from openserd.parser import names
from openserd.parser.message import Message
from openserd.parser.uri import parse_uri

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


def build_dialog_ack(request: Message, reply: Message) -> tuple[bytes, bytes]:
    """The ACK, without Via, for a 2xx to an INVITE made here, and the URI that it goes to (RFC 3261 13.2.2.4, 12.2.1.1:
    a first route without `lr` is a strict router, which becomes the request URI)."""
    target = reply.contacts[0].uri if reply.contacts else request.ruri
    routes = [value.uri for value in reversed(reply.record_routes)]
    next_uri = routes[0] if routes else target
    if routes and not parse_uri(routes[0]).has_param(b"lr"):
        routes, target = [*routes[1:], target], routes[0]
    lines = [b"ACK %b SIP/2.0\r\n" % target]
    lines += [b"Route: <%b>\r\n" % uri for uri in routes]
    for message, header in ((request, names.FROM), (reply, names.TO), (request, names.CALL_ID)):
        lines.append(message.buf[slice(*message.line_span(message.find(header)))])
    lines.append(b"CSeq: %d ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n" % request.cseq.number)
    return b"".join(lines), next_uri
