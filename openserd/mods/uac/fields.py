"""Edits of From and To."""

import re
from typing import TYPE_CHECKING, Final

from openserd.parser import names
from openserd.parser.params import QUOTED

if TYPE_CHECKING:
    from openserd.core.message import SipMsg
    from openserd.parser.nameaddr import NameAddr

CONTROL: Final = bytes.maketrans(bytes(range(32)), b" " * 32)


_QUOTED: Final = re.compile(QUOTED, re.DOTALL)


def quoted(display: bytes) -> bytes:
    """A display name in quotes, whatever is in it, if it has none yet; nothing for an empty one."""
    text = display.translate(CONTROL)
    if not text or _QUOTED.fullmatch(text):
        return text
    return b'"%b"' % text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def replace_uri(msg: "SipMsg", address: "NameAddr", uri: bytes) -> None:
    """Puts another URI in its place, in angle brackets where the old one had none."""
    bracketed = msg.buf[address.uri_start - 1 : address.uri_start] == b"<"
    msg.replace(address.uri_start, address.uri_end, uri if bracketed else b"<%b>" % uri)


def replace_address(msg: "SipMsg", address: "NameAddr", display: bytes | None, uri: bytes) -> None:
    """Puts another display name, None to leave it, and another URI, b"" to leave it, into an address."""
    if display is None:
        if uri:
            replace_uri(msg, address, uri)
        return
    shown = quoted(display)
    text = b"<%b>" % (uri or address.uri)
    msg.replace(address.start, address.params_start, b"%b %b" % (shown, text) if shown else text)


def restore_value(reply: "SipMsg", request: "SipMsg", field: int) -> None:
    """Gives a header field of a reply the value that it had in the request; the tag of the reply's To stays."""
    line, received = reply.find(field), request.find(field)
    if line < 0 or received < 0:
        return
    if field == names.TO:
        theirs, ours = reply.to, request.to
        reply.replace(theirs.start, theirs.params_start, request.buf[ours.start : ours.params_start])
    else:
        reply.replace_line(*reply.line_span(line), request.buf[slice(*request.line_span(received))])
