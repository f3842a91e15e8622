"""One SIP message: start line and header lines found at once, everything in them read when asked and kept.

    buf         INVITE sip:... CRLF Via: ... CRLF From: ... CRLF CRLF body
                ^0                  ^line_end     ^hdr_starts[1] ^     ^body_start
                                    =hdr_starts[0]               hdr_starts[-1]

Header lines are counted from 0; `hdr_ids[i]` names line i, `hdr_starts[i]` is where it begins.  `layout` tells in which
line each header field is.
"""

import re
from enum import Enum
from itertools import accumulate
from typing import Final, Literal, NoReturn

from openserd.errors import SipError
from openserd.parser import names
from openserd.parser.cseq import CSEQ_LINES, CSeq, parse_cseq
from openserd.parser.digest import Credentials, parse_credentials
from openserd.parser.head import START_LINES, parse_start_line, split_careful, split_head
from openserd.parser.layout import ABSENT, SEVERAL, layout_of
from openserd.parser.learned import LONGEST_LEARNED, MOST_LEARNED
from openserd.parser.methods import method_mask
from openserd.parser.nameaddr import NameAddr, all_addresses, one_address
from openserd.parser.numbers import LINE_NUMBERS, read_seconds
from openserd.parser.uri import UriError, parse_uri
from openserd.parser.usual import read_via, usual_branch, usual_call_id, usual_tag
from openserd.parser.via import Via, all_vias

#: One value of Route, Record-Route or Path; its `line`, `start` and `end` tell where it can be deleted.
RouteValue = NameAddr

MAX_FORWARDS_LIMIT: Final = 255

_CONTENT_LENGTH: Final = names.CONTENT_LENGTH
_QUICK_RURI: Final = re.compile(
    rb"sips?:(?:[A-Za-z0-9.+\-_*#]++@)?[A-Za-z0-9.\-]++(?::(?:[1-5][0-9]{4}|[1-9][0-9]{0,3}))?(?:;[A-Za-z0-9.=\-;]*+)?"
)
_SOUND_RURIS: Final[set[bytes]] = set()  #: some that were found to be so
_NEAR: Final = 8
_SPACE: Final = re.compile(rb"\s")


class _Unread(Enum):
    UNREAD = 0


_UNREAD: Final = _Unread.UNREAD
_Lazy = Literal[_Unread.UNREAD]


class Message:
    """A request or a reply.

    `buf` is the datagram without line breaks before the start line, with folds as spaces; every offset counts
    in it.  Of a request `method` and `ruri` are as received; of a reply `status` and `reason`, its method is
    `cseq.method`.  `start_error` is set on a request whose start line is broken but can be answered;
    `validate_request` raises it.  `end` is the offset after the message: bytes after the body that Content-Length
    announces do not belong to it (RFC 3261 section 18.3); where it announces too much or nothing, `end` is `buf`'s.
    """

    __slots__ = (
        "_addresses", "_call_id", "_content_length", "_cseq", "_from", "_from_tag", "_max_forwards", "_starts",
        "_to", "_to_tag", "_top_branch", "_via1", "_vias", "body_start", "buf", "end", "is_request",
        "layout", "line_end", "lines", "method", "reason", "ruri", "start_error", "status",
    )  # fmt: skip

    def __init__(self, buf: bytes) -> None:
        """Finds the lines of `buf`; raises SipError when there is nothing to be routed or answered."""
        self.buf, lines, end = split_head(buf)
        first, lines = lines[0], lines[1:]
        layout = layout_of(lines)
        if layout.is_folded:
            self.buf, lines, end = split_careful(buf)
            first, lines = lines[0], lines[1:]
            layout = layout_of(lines)
        self.layout = layout
        start_line = START_LINES[first] or parse_start_line(first)
        self.is_request, self.method, self.ruri, self.status, self.reason, self.start_error = start_line
        self.lines = lines  #: header lines, each with its CRLF
        self.line_end = len(first)
        self.body_start = body_start = end + 2
        self._starts: list[int] | None = None
        self.end = size = len(self.buf)
        self._content_length: int | _Lazy | None = None
        at = layout.content_length
        if at >= 0:
            length = LINE_NUMBERS[lines[at]]
            if 0 <= length <= size - body_start:
                self._content_length = length
                self.end = body_start + length
            else:
                self._content_length = _UNREAD
        elif at == SEVERAL:
            self._content_length = _UNREAD
        self._vias: list[Via] | None = None
        self._addresses: dict[int, list[NameAddr]] | None = None
        self._via1: Via | None = None
        self._top_branch: bytes | _Lazy = _UNREAD
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._cseq: CSeq | None = None
        self._call_id: bytes | None = None
        self._from_tag: bytes | _Lazy | None = _UNREAD
        self._to_tag: bytes | _Lazy | None = _UNREAD
        self._max_forwards: int | _Lazy | None = _UNREAD

    # Header lines

    @property
    def hdr_ids(self) -> tuple[int, ...]:
        """The header field of each header line."""
        return self.layout.ids

    @property
    def hdr_starts(self) -> list[int]:
        """The offset of each header line, and of the empty line after them."""
        starts = self._starts
        if starts is None:
            starts = self._starts = list(accumulate(map(len, self.lines), initial=self.line_end))
        return starts

    def line_start(self, index: int) -> int:
        """The offset of a header line; those of all are only counted for a line that is far down."""
        if index > _NEAR or self._starts is not None:
            return self.hdr_starts[index]
        start = self.line_end
        for line in self.lines[:index]:
            start += len(line)
        return start

    def find(self, hid: int) -> int:
        """The index of the first line of a header field, -1 when there is none."""
        return self.layout.first.get(hid, ABSENT)

    def indexes(self, hid: int) -> list[int]:
        """The indexes of all lines of a header field, in order."""
        layout = self.layout
        if hid in layout.only:
            return [layout.only[hid]]
        return [index for index, found in enumerate(layout.ids) if found == hid] if hid in layout.first else []

    def indexes_named(self, name: bytes) -> list[int]:
        """As `indexes`, by name: in any case, compact equal to long, known to the server or not."""
        hid = names.header_id(name)
        if hid:
            return self.indexes(hid)
        wanted = name.strip(b" \t").lower()
        return [index for index in self.indexes(names.OTHER) if self.name(index).lower() == wanted]

    def name(self, index: int) -> bytes:
        """The name of a header line as received; the whole line when it has no colon."""
        return self.lines[index].partition(b":")[0].strip(b" \t\r\n")

    def value(self, index: int) -> bytes:
        """The value of a header line without white space at its ends; b"" when the line has no colon."""
        return self.lines[index].partition(b":")[2].strip(b" \t\r\n")

    def value_span(self, index: int) -> tuple[int, int]:
        """The offsets of `value(index)`."""
        line = self.lines[index]
        inner = line.rstrip(b" \t\r\n")
        colon = inner.find(b":") + 1 or len(inner)
        start = self.line_start(index)
        return start + len(inner) - len(inner[colon:].lstrip(b" \t")), start + len(inner)

    def line_span(self, index: int) -> tuple[int, int]:
        """The offsets of a whole header line, its CRLF included."""
        start = self.line_start(index)
        return start, start + len(self.lines[index])

    def header(self, hid: int) -> bytes | None:
        """The value of the first line of a header field, None when there is none."""
        first = self.layout.first
        return self.value(first[hid]) if hid in first else None

    def headers(self, hid: int) -> list[bytes]:
        """The values of all lines of a header field, in order."""
        return [self.value(index) for index in self.indexes(hid)]

    @property
    def bad_headers(self) -> int:
        """How many header lines have no colon or a name that is no token; they are kept and passed on."""
        others = self.indexes(names.OTHER)
        return sum(b":" not in self.lines[i] or not names.is_header_name(self.name(i)) for i in others)

    def removal_span(self, value: NameAddr | Via) -> tuple[int, int]:
        """What to delete to take out one value: its whole line, or the value and the comma at its side."""
        line_start, line_end = self.line_span(value.line)
        if self.buf.find(b",", line_start, line_end) < 0:
            return line_start, line_end
        first, last = self.value_span(value.line)
        if value.end < last:
            comma = self.buf.index(b",", value.end, line_end)
            after = comma + 1
            while self.buf[after] in b" \t":
                after += 1
            return value.start, after
        if value.start > first:
            return self.buf.rindex(b",", line_start, value.start), value.end
        return line_start, line_end

    # Fields every message has

    def top_via(self) -> Via:
        """The first Via; raises SipError when there is none or it is malformed."""
        via = self._via1
        if via is None:
            line = self._required(names.VIA)
            self._via1 = via = read_via(self.lines[line], self.line_start(line), self.buf)
            via.line = line
        return via

    def top_branch(self) -> bytes | None:
        """The branch of the first Via, None when it has none; errors as `top_via`, which need not be read for it."""
        branch = self._top_branch
        return self.top_via().branch if branch is _UNREAD else branch

    def top_via_span(self) -> tuple[int, int]:
        """What to delete to take out the first Via: its line, or its value where the line holds several."""
        if self._top_branch is _UNREAD:
            return self.removal_span(self.top_via())
        return self.line_span(self.layout.via)

    def vias(self) -> list[Via]:
        """All Via values over all lines, in order; raises SipError when one is malformed."""
        if self._vias is None:
            vias: list[Via] = []
            for index in self.indexes(names.VIA):
                found = all_vias(self.buf, *self._content(index))
                for via in found:
                    via.line = index
                vias += found
            self._vias = vias
        return self._vias

    @property
    def from_(self) -> NameAddr:
        """The From address; raises SipError when absent or malformed."""
        if self._from is None:
            self._from = self._one_address(names.FROM)
        return self._from

    @property
    def to(self) -> NameAddr:
        """The To address; raises SipError when absent or malformed."""
        if self._to is None:
            self._to = self._one_address(names.TO)
        return self._to

    @property
    def from_tag(self) -> bytes | None:
        """The tag of From, None when it has none (RFC 2543); errors as `from_`."""
        tag = self._from_tag
        if tag is _UNREAD:
            tag = usual_tag(self.lines[self._required(names.FROM)])
            tag = self._from_tag = self.from_.tag if tag is None else tag or None
        return tag

    @property
    def to_tag(self) -> bytes | None:
        """The tag of To, None when it has none; errors as `to`."""
        tag = self._to_tag
        if tag is _UNREAD:
            tag = usual_tag(self.lines[self._required(names.TO)])
            tag = self._to_tag = self.to.tag if tag is None else tag or None
        return tag

    def has_to_tag(self) -> bool:
        """Whether To has a tag; errors as `to`."""
        tag = self._to_tag
        return (self.to_tag if tag is _UNREAD else tag) is not None

    @property
    def call_id(self) -> bytes:
        """The Call-ID; raises SipError when absent, empty or with white space inside."""
        if self._call_id is None:
            index = self._required(names.CALL_ID)
            value = self.value(index)
            if not value or b" " in value or b"\t" in value:
                raise SipError("Malformed Call-ID", self.value_span(index)[0])
            self._call_id = value
        return self._call_id

    @property
    def cseq(self) -> CSeq:
        """The CSeq; raises SipError when absent, malformed or above 2**32-1."""
        if self._cseq is None:
            index = self._required(names.CSEQ)
            self._cseq = parse_cseq(self.value(index), self.hdr_starts[index])
        return self._cseq

    # Addresses

    def addresses(self, hid: int) -> list[NameAddr]:
        """All addresses in the lines of a header field, in order; raises SipError when one is malformed."""
        if hid not in self.layout.first:
            return []
        known = self._addresses
        if known is None:
            known = self._addresses = {}
        if hid not in known:
            known[hid] = self._read_addresses(hid)
        return known[hid]

    @property
    def contact_star(self) -> bool:
        """Whether Contact is the "*" that removes all bindings (RFC 3261 section 10.2.2)."""
        return self.header(names.CONTACT) == b"*"

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contact addresses, none for "*"; raises SipError when malformed or "*" is not alone."""
        if names.CONTACT in self.layout.first and self.contact_star:
            lines = self.indexes(names.CONTACT)
            if len(lines) > 1:
                raise SipError("Contact * is not alone", self.hdr_starts[lines[1]])
            return []
        return self.addresses(names.CONTACT)

    @property
    def routes(self) -> list[RouteValue]:
        """All Route values, first hop first; raises SipError when malformed."""
        return self.addresses(names.ROUTE)

    @property
    def record_routes(self) -> list[RouteValue]:
        """All Record-Route values, top first; raises SipError when malformed."""
        return self.addresses(names.RECORD_ROUTE)

    @property
    def paths(self) -> list[RouteValue]:
        """All Path values, top first (RFC 3327); raises SipError when malformed."""
        return self.addresses(names.PATH)

    # Numbers, tokens, body

    @property
    def max_forwards(self) -> int | None:
        """Hops left, 0 to 255, None when absent; raises SipError when malformed."""
        value = self._max_forwards
        if value is _UNREAD:
            value = self._max_forwards = self._read_max_forwards()
        return value

    @property
    def content_length(self) -> int | None:
        """Bytes of body announced, None when absent; raises SipError when malformed or two lines disagree."""
        value = self._content_length
        if value is _UNREAD:
            value = self._content_length = self._read_content_length()
        return value

    @property
    def expires(self) -> int | None:
        """Expires in seconds, at most 2**32-1; None when absent or no number (an absolute date, RFC 2543)."""
        value = self.header(names.EXPIRES)
        return None if value is None else read_seconds(value)

    @property
    def content_type(self) -> bytes | None:
        """Content-Type as received, None when absent."""
        return self.header(names.CONTENT_TYPE)

    @property
    def event(self) -> bytes | None:
        """Event as received, with its parameters, None when absent (RFC 6665)."""
        return self.header(names.EVENT)

    def tokens(self, hid: int) -> list[bytes]:
        """All tokens in the comma-separated lines of a header field, in order, as received."""
        pieces = (piece.strip(b" \t") for value in self.headers(hid) for piece in value.split(b","))
        return [piece for piece in pieces if piece]

    @property
    def supported(self) -> list[bytes]:
        """Option tags of Supported."""
        return self.tokens(names.SUPPORTED)

    @property
    def require(self) -> list[bytes]:
        """Option tags of Require."""
        return self.tokens(names.REQUIRE)

    @property
    def proxy_require(self) -> list[bytes]:
        """Option tags of Proxy-Require."""
        return self.tokens(names.PROXY_REQUIRE)

    @property
    def allow_methods(self) -> int | None:
        """The bits (`parser.methods`) of all methods in Allow, None when the header field is absent."""
        return method_mask(self.headers(names.ALLOW)) if names.ALLOW in self.layout.first else None

    def credentials(self, hid: int) -> list[Credentials]:
        """Credentials of every Authorization or Proxy-Authorization line; raises SipError when malformed."""
        return [parse_credentials(self.value(i), self.value_span(i)[0]) for i in self.indexes(hid)]

    @property
    def body(self) -> bytes:
        """The body, as long as Content-Length says, or all there is without one; errors as `check_length`."""
        self.check_length()
        length = self.content_length
        return self.buf[self.body_start : None if length is None else self.body_start + length]

    # Checks before routing

    def check_length(self) -> None:
        """Raises SipError when Content-Length is malformed, or the datagram ends before the body that it announces."""
        length = self.content_length
        if length is None:
            return
        if len(self.buf) - self.body_start < length:
            raise SipError("Content-Length larger than the body", len(self.buf))
        self.end = self.body_start + length

    def check_ruri_scheme(self, routable: tuple[bytes, ...] = (b"sip", b"sips", b"tel")) -> None:
        """Raises SipError 416 unless the scheme of the request URI is in `routable` (RFC 3261 16.3)."""
        if self.ruri.partition(b":")[0].lower() not in routable:
            raise SipError("Unsupported URI Scheme", len(self.method) + 1, 416)

    def validate_request(self) -> None:
        """Raises SipError for a request to be refused before routing (RFC 3261 8.1.1, 16.3 item 1, 18.3).

        The error's code is the reply it earns: 505 for another version of SIP, otherwise 400.
        """
        if self.start_error is not None:
            raise self.start_error
        layout = self.layout
        if layout.repeated:
            self._refuse_repeated(layout.repeated[0])
        if not self._read_usual():
            _ = self.top_via(), self.from_tag, self.to_tag, self.call_id, self.cseq
        at = layout.max_forwards
        if at >= 0:
            hops = LINE_NUMBERS[self.lines[at]]
            self._max_forwards = hops if 0 <= hops <= MAX_FORWARDS_LIMIT else self._read_max_forwards()
        else:
            self._max_forwards = None
        if self._content_length is _UNREAD:
            self.check_length()
        cseq = self._cseq or self.cseq
        if cseq.method != self.method:
            raise SipError("CSeq names another method", self.hdr_starts[self.find(names.CSEQ)])
        ruri = self.ruri
        if ruri not in _SOUND_RURIS:
            if _QUICK_RURI.fullmatch(ruri) is None:
                self._check_ruri()
            if len(_SOUND_RURIS) < MOST_LEARNED and len(ruri) <= LONGEST_LEARNED:
                _SOUND_RURIS.add(ruri)

    def validate_reply(self) -> None:
        """Raises SipError for a reply to be dropped (RFC 3261 sections 8.1.3.3, 16.7 and 18.1.2).

        Looks at what a proxy needs of a reply: its way back, the transaction it belongs to, a whole body.
        """
        layout = self.layout
        lines = self.lines
        branch = None
        if layout.is_complete:
            branch = usual_branch(lines[layout.via])
            self._cseq = CSEQ_LINES[lines[layout.cseq]]
        if branch is not None:
            self._top_branch = branch
        else:
            _ = self.top_via()
        if self._cseq is None:
            _ = self.cseq
        if self._content_length is _UNREAD:
            self.check_length()

    def _read_usual(self) -> bool:
        """Reads what every message has, in the form that almost every message has it in, all at once (9 -> 5 us).

        False when something is missing or unusual: its own property finds the words for it.
        """
        layout = self.layout
        if not layout.is_complete:
            return False
        lines = self.lines
        sender = usual_tag(lines[layout.sender])
        target = usual_tag(lines[layout.target])
        call_id = usual_call_id(lines[layout.call_id])
        cseq = CSEQ_LINES[lines[layout.cseq]]
        if sender is None or target is None or call_id is None or cseq is None:
            return False
        at = layout.via
        self._via1 = via = read_via(lines[at], self.line_start(at) if at else self.line_end, self.buf)
        via.line = at
        self._from_tag = sender or None
        self._to_tag = target or None
        self._cseq = cseq
        self._call_id = call_id
        return True

    def _refuse_repeated(self, hid: int) -> NoReturn:
        """Raises SipError at the second line of a field that may occur once."""
        second = self.indexes(hid)[1]
        raise SipError(f"Repeated {names.CANONICAL[hid].decode()}", self.hdr_starts[second])

    def _check_ruri(self) -> None:
        """Raises SipError for a malformed request URI or one with a header part (RFC 3261 section 19.1.1)."""
        offset = len(self.method) + 1
        if _SPACE.search(self.ruri) or self.ruri[:1] == b"<":
            raise UriError("Malformed Request-URI", offset)
        uri = parse_uri(self.ruri, offset)
        if uri.headers:
            raise UriError("Request-URI with a header part", offset)

    # Reading

    def _required(self, hid: int) -> int:
        """The index of the first line of a header field; raises SipError when there is none."""
        index = self.layout.first.get(hid, ABSENT)
        if index < 0:
            raise SipError(f"Missing {names.CANONICAL[hid].decode()}", self.body_start - 2)
        return index

    def _content(self, index: int) -> tuple[int, int]:
        """The offsets of all that follows the colon of a header line, white space included."""
        start = self.line_start(index)
        line = self.lines[index]
        return start + line.index(b":") + 1, start + len(line) - 2

    def _one_address(self, hid: int) -> NameAddr:
        index = self._required(hid)
        address = one_address(self.buf, *self._content(index))
        address.line = index
        return address

    def _read_addresses(self, hid: int) -> list[NameAddr]:
        addresses: list[NameAddr] = []
        for index in self.indexes(hid):
            found = all_addresses(self.buf, *self._content(index))
            for address in found:
                address.line = index
            addresses += found
        return addresses

    def _read_max_forwards(self) -> int | None:
        index = self.layout.max_forwards
        if index < 0:
            return None
        hops = LINE_NUMBERS[self.lines[index]]
        if not 0 <= hops <= MAX_FORWARDS_LIMIT:
            raise SipError("Malformed Max-Forwards", self.hdr_starts[index])
        return hops

    def _read_content_length(self) -> int | None:
        index = self.find(_CONTENT_LENGTH)
        if index < 0:
            return None
        length = LINE_NUMBERS[self.lines[index]]
        if length < 0:
            raise SipError("Malformed Content-Length", self.hdr_starts[index])
        if self.layout.content_length == SEVERAL:
            for other in self.indexes(_CONTENT_LENGTH):
                if LINE_NUMBERS[self.lines[other]] != length:
                    raise SipError("Content-Length fields disagree", self.hdr_starts[other])
        return length
