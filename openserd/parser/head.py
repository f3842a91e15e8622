"""The head of a message: start line and header lines found in a datagram (RFC 3261 sections 7 and 7.3.1).

    INVITE sip:bob@biloxi.example SIP/2.0 CRLF      <- start line
    Via: SIP/2.0/UDP pc33.atlanta.example CRLF      <- a line
    ...
    CRLF                                            <- end, the empty line
    body

Nothing here looks into a header line.
"""

import re
from typing import Final

from openserd.errors import SipError
from openserd.parser.learned import Learned
from openserd.parser.methods import METHOD_BITS
from openserd.parser.params import TOKEN

_REQUEST_LINE: Final = re.compile(rb"(" + TOKEN + rb"++) ([^ ]++) SIP/2\.0\r\n", re.IGNORECASE)
#: What still is meant as a request: its parts can be told apart, so that it can be answered.
_BROKEN_REQUEST: Final = re.compile(
    rb"(" + TOKEN + rb"++)[ \t]++(\S(?:.*\S)?)[ \t]++SIP/([0-9]{1,9}\.[0-9]{1,9})[ \t]*\r\n", re.IGNORECASE
)
_STATUS_LINE: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9])(?: ([^\r\n]*+))?\r\n", re.IGNORECASE)
_SIP_VERSION: Final = re.compile(rb"SIP/[0-9]{1,9}\.[0-9]{1,9} ", re.IGNORECASE)
#: What slack senders end a line with: LF alone, or one CR too many.
_LINE_END: Final = re.compile(rb"\r{0,2}\n")
_EMPTY_LINE: Final = re.compile(rb"\n\r{0,2}\n")
_FOLD: Final = re.compile(rb"\r\n(?=[ \t])")


#: Whether it is a request, method, request URI, status, reason phrase, and the error of a request line that
#: is broken but can be answered: 400, or 505 for another version.
StartLine = tuple[bool, bytes, bytes, int, bytes, SipError | None]


def split_head(buf: bytes) -> tuple[bytes, list[bytes], int]:
    """The message to work on, its start and header lines (with CRLF), and the offset of the empty line after them.

    Line breaks before the start line are skipped (section 7.5); lines that end in a bare LF, or CR CR LF, get a CRLF,
    as OpenSER accepts them.  A fold is a line of its own here, of no name (`Layout.is_folded`): `split_careful` makes
    folds spaces of the same length.  Raises SipError when there is no empty line, or a CR that ends no line.
    """
    if buf[:1] <= b"\r":
        buf = buf.lstrip(b"\r\n")
    end = buf.find(b"\r\n\r\n") + 2
    head = buf[:end]
    lines = head.splitlines(True)
    if end == 1 or head.count(b"\r\n") != len(lines):
        return split_careful(buf)
    return buf, lines, end


def split_careful(buf: bytes) -> tuple[bytes, list[bytes], int]:
    """As `split_head`, for bare LF and folds."""
    empty = _EMPTY_LINE.search(buf)
    if empty is None:
        raise SipError("No empty line after the header fields", len(buf))
    head = _LINE_END.sub(b"\r\n", buf[: empty.start() + 1])
    head = _FOLD.sub(b"  ", head)
    lines = head.splitlines(True)
    if head.count(b"\r\n") != len(lines):
        raise SipError("Bare CR in a header line", head.replace(b"\r\n", b"  ").find(b"\r"))
    return head + b"\r\n" + buf[empty.end() :], lines, len(head)


def parse_start_line(line: bytes) -> StartLine:
    """The start line in `line`, which ends with CRLF (RFC 3261 section 7.1 and 7.2).

    Raises SipError when it is neither a reply nor enough of a request to be answered.
    """
    if line[:4].upper() == b"SIP/":
        return _parse_status_line(line)
    match = _REQUEST_LINE.fullmatch(line)
    if match is not None:
        return (True, match[1], match[2], 0, b"", None)
    return _parse_broken_request(line)


def _parse_status_line(line: bytes) -> StartLine:
    """A reply; raises SipError unless it is SIP/2.0 and a status from 100 to 699."""
    match = _STATUS_LINE.fullmatch(line)
    if match is not None:
        return (False, b"", b"", int(match[1]), match[2] or b"", None)
    if _SIP_VERSION.match(line) and line[:8].upper() != b"SIP/2.0 ":
        raise SipError("Version not supported", 0, 505)
    raise SipError("Malformed status line", 0)


def usual_start_line(line: bytes) -> StartLine | None:
    """As `parse_start_line`, None for a request whose method is not known or whose line is broken."""
    parts = line.split(b" ")
    if len(parts) == 3 and parts[2] == b"SIP/2.0\r\n" and parts[0] in METHOD_BITS and parts[1]:
        return (True, parts[0], parts[1], 0, b"", None)
    return _parse_status_line(line) if line[:4].upper() == b"SIP/" else None


#: Replies, and the REGISTERs and OPTIONS of many phones, come with few start lines (0.6 -> 0.1 us).
START_LINES: Final = Learned(usual_start_line)


def _parse_broken_request(line: bytes) -> StartLine:
    """A request line with a fault that leaves its parts recognisable; raises SipError otherwise."""
    match = _BROKEN_REQUEST.fullmatch(line)
    if match is None:
        raise SipError("Malformed start line", 0)
    method, ruri, version = match.groups()
    if version != b"2.0":
        return (True, method, ruri, 0, b"", SipError("Version Not Supported", match.start(3), 505))
    return (True, method, ruri, 0, b"", SipError("Malformed request line", match.start(2)))
