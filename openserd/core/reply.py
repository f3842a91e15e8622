"""Replies: those made here to a request, and those of others on their way back.

(RFC 3261 sections 8.2.6 and 16.7; where to send: 18.2.2 and RFC 3581.)
"""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from openserd.core.destinations import contact_list
from openserd.core.lumps import apply_lumps
from openserd.core.message import SipMsg
from openserd.core.network.transport import Address, Listener
from openserd.errors import SipError
from openserd.parser.via import Via

if TYPE_CHECKING:
    from openserd.core.context import Core

MOST_STATUS_LINES: Final = 256  #: a script may make reasons of what it receives

log = logging.getLogger("openserd")


class StatusLines(dict[tuple[int, bytes], bytes]):
    """(code, reason) -> the status line; there are few."""

    __slots__ = ()

    def __missing__(self, written: tuple[int, bytes]) -> bytes:
        """The line of a code and reason that come for the first time."""
        line = b"SIP/2.0 %d %b\r\n" % written
        if len(self) < MOST_STATUS_LINES:
            self[written] = line
        return line


STATUS_LINES: Final = StatusLines()


def build_reply(
    core: "Core",
    msg: SipMsg,
    code: int,
    reason: bytes,
    to_tag: bytes | None = None,
    headers: bytes = b"",
    body: bytes = b"",
) -> bytes:
    """A reply to the request `msg`, ready to send.

    `to_tag` is used when the request has none and the code is 180 or more; `headers` are whole lines with their CRLF.
    Order (OpenSER): what is copied, in the request's order; added headers; Server; Content-Length; Warning.
    """
    copied = copied_lines(msg, code, to_tag)
    if not (body or msg.branches or core.params.sip_warning):
        end = core.reply_end or core.make_reply_end()
        return b"".join([STATUS_LINES[code, reason], *copied, *msg.reply_headers, headers, end])
    out = [STATUS_LINES[code, reason], *copied]
    if 300 <= code < 400 and msg.branches:
        out.append(b"Contact: %b\r\n" % contact_list(msg.branches))
    out += msg.reply_headers
    out.append(headers)
    out.append(core.server_header)
    out.append(b"Content-Length: %d\r\n" % len(body))
    if core.params.sip_warning:
        out.append(warning_line(msg))
    out.append(b"\r\n")
    out.append(body)
    return b"".join(out)


def copied_lines(msg: SipMsg, code: int, to_tag: bytes | None) -> Sequence[bytes]:
    """The header lines that a reply takes over, the top Via corrected and the To tagged."""
    layout = msg.layout
    if to_tag is not None and (code < 180 or msg.has_to_tag()):
        to_tag = None
    lines = msg.lines
    via_lumps = msg.via_lumps()
    if to_tag is not None or via_lumps:
        lines = lines.copy()
        if to_tag is not None:
            lines[layout.target] = b"%b;tag=%b\r\n" % (lines[layout.target].rstrip(), to_tag)
        if via_lumps:
            via_line = msg.top_via().line
            lines[via_line] = apply_lumps(msg.buf, *msg.line_span(via_line), via_lumps, None)
    return (layout.copied_with_route if 180 <= code < 300 else layout.copied)(lines)


def warning_line(msg: SipMsg) -> bytes:
    """The Warning 392 header line by which a trace tells who answered what (OpenSER: sip_warning)."""
    text = b"Noisy feedback tells: req_src_ip=%b req_src_port=%d in_uri=%b out_uri=%b via_cnt=%d" % (
        msg.source_host.encode(),
        msg.source_port,
        msg.original_ruri,
        msg.ruri,
        len(msg.vias()),
    )
    return b'Warning: 392 %b "%b"\r\n' % (msg.listener.sent_by, text)


def reply_destination(msg: SipMsg, core: "Core") -> Address:
    """Where a reply to `msg` goes: its source address, the port of its Via unless `rport` asked for the source port
    (OpenSER; RFC 3261 18.2.2, RFC 3581 4); with `reply_to_via`, the Via alone decides."""
    via = msg.top_via()
    if core.params.reply_to_via:
        address = core.resolver.address(via.host)
        if address is not None:
            return address, via.port or 5060
    if via.rport is not None or msg.rport_forced:
        return msg.source_host, msg.source_port
    if via.maddr and (address := core.resolver.address(via.maddr)) is not None:
        return address, via.port or 5060
    return msg.source_host, via.port or 5060


def send_reply(core: "Core", msg: SipMsg, code: int, reason: bytes, to_tag: bytes | None = None) -> bool:
    """Answers `msg` statelessly, by the listener it came in by."""
    return msg.listener.send(build_reply(core, msg, code, reason, to_tag), reply_destination(msg, core))


def via_destination(core: "Core", via: Via) -> Address | None:
    """Where a reply with `via` on top goes: received and rport, maddr, else host and port; None without address."""
    host = via.received or via.maddr or via.host
    address = core.resolver.address(host if host.count(b":") < 2 or host.startswith(b"[") else b"[%b]" % host)
    if address is None:
        return None
    return address, int(via.rport) if via.rport and via.rport.isdigit() else via.port or 5060


def build_forwarded_reply(msg: SipMsg) -> bytes:
    """The reply `msg` as it goes on: without this server's Via, with the script's edits."""
    buf, end = msg.buf, msg.end
    via_start, via_end = msg.top_via_span()
    if not msg.lumps:
        return b"%b%b" % (buf[:via_start], buf[via_end:end])
    return apply_lumps(buf, 0, end, [(via_start, via_end, b""), *msg.lumps], msg.listener)


def forward_reply(core: "Core", msg: SipMsg) -> bool:
    """Sends a reply that belongs to no transaction on to the next Via; False where there is none."""
    vias = msg.vias()
    if len(vias) < 2:
        return False
    destination = via_destination(core, vias[1])
    if destination is None or is_broadcast(destination[0]):
        return False
    listener = sending_listener(core, msg, vias[1], destination)
    if listener is None or not listener.send(build_forwarded_reply(msg), destination):
        return False
    core.stats.fwd_replies.bump()
    return True


def sending_listener(core: "Core", msg: SipMsg, via: Via, destination: Address) -> Listener | None:
    """The listener by which a reply leaves towards `via`."""
    proto = via.transport.decode("latin-1").lower()
    return core.listening.for_destination(proto, destination, msg.force_listener, msg.listener)


def is_broadcast(host: str) -> bool:
    """Whether a reply to that address would reach more than one host."""
    if ":" in host:
        return host.lower().startswith("ff")
    return host == "255.255.255.255" or 224 <= int(host.partition(".")[0] or 0) <= 239


def reject(core: "Core", msg: SipMsg, error: SipError) -> None:
    """Answers a request that breaks a rule, where it carries enough to be answered; an ACK never is."""
    if msg.method == b"ACK":
        return
    try:
        send_reply(core, msg, error.code, error.reason.encode("utf-8", "replace"), b"openserd-%08x" % core.process)
    except SipError as unanswerable:
        log.debug("cannot answer a bad request: %s", unanswerable)
