"""SIP from values: start lines, header lines, addresses, whole messages (RFC 3261 sections 7 and 25.1)."""

import re
from typing import Final

from openserd.parser.params import TOKEN, quote
from openserd.parser.status import reason_phrase

_WORDS: Final = re.compile(TOKEN + rb"++(?: " + TOKEN + rb"++)*")


def request_line(method: bytes, ruri: bytes) -> bytes:
    """The start line of a request, with its CRLF."""
    return b"%b %b SIP/2.0\r\n" % (method, ruri)


def status_line(code: int, reason: bytes | None = None) -> bytes:
    """The start line of a reply, with its CRLF; the default reason phrase unless one is given."""
    return b"SIP/2.0 %d %b\r\n" % (code, reason_phrase(code) if reason is None else reason)


def header_line(name: bytes, value: bytes) -> bytes:
    """One header line, with its CRLF; neither part may hold a line break."""
    assert b"\n" not in value and b"\r" not in value and b"\n" not in name and b"\r" not in name
    return b"%b: %b\r\n" % (name, value)


def format_name_addr(display: bytes, uri: bytes, params: bytes = b"") -> bytes:
    """An address; `display` as a person reads it is quoted when it needs to be, `params` begins with ";"."""
    if not display:
        return b"<%b>%b" % (uri, params)
    if _WORDS.fullmatch(display) is None:
        display = quote(display)
    return b"%b <%b>%b" % (display, uri, params)


def build_message(start_line: bytes, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """A whole message: start line (with CRLF), header fields in order, Content-Length added, body."""
    lines = [header_line(name, value) for name, value in headers]
    return b"%b%bContent-Length: %d\r\n\r\n%b" % (start_line, b"".join(lines), len(body), body)
