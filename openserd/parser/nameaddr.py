"""Addresses in header fields: From, To, Contact, Route and their kind (RFC 3261 sections 20.10 and 25.1).

"Bob" <sip:bob@biloxi.example>;tag=1;q=0.5
^start ^uri_start             ^params_start
                                          ^end
"""

import re
from typing import Final

from openserd.errors import SipError
from openserd.parser.numbers import read_seconds
from openserd.parser.params import PARAMS, QUOTED, Param, scan_params, skip_space, unquote
from openserd.parser.qvalue import parse_q

#: Display name (quoted, or words), the URI between <>, parameters of the header field.
_BRACKETED: Final = re.compile(
    rb"[ \t]*+(" + QUOTED + rb'|[^<>"\\,;:\r\n]*+)[ \t]*+<([^<>"\s]++)>(' + PARAMS + rb")[ \t]*+(?=,|\Z)",
    re.DOTALL,
)
#: Without <> everything from the first ";" on belongs to the header field, and "?" and "," may not occur.
_BARE: Final = re.compile(
    rb'[ \t]*+([A-Za-z][A-Za-z0-9+.\-]*+:[^<>"\s,;?]++)(' + PARAMS + rb")[ \t]*+(?=,|\Z)", re.DOTALL
)


class NameAddr:
    """One address: `display` and `uri` as received, and where they stand in the datagram.

    `display` keeps its quotes and is b"" when absent; `params` is the raw text from the first ";" on.
    `start` and `end` span the value, `uri_start` and `uri_end` the URI without <>, `params_start` is where
    parameters begin or would begin; `line` is the index of the header line.
    """

    __slots__ = ("_table", "display", "end", "line", "params", "params_start", "start", "uri", "uri_start")

    def __init__(
        self,
        display: bytes,
        uri: bytes,
        params: bytes,
        start: int = 0,
        uri_start: int = 0,
        params_start: int = 0,
    ) -> None:
        self.display = display
        self.uri = uri
        self.params = params
        self.start = start
        self.uri_start = uri_start
        self.params_start = params_start
        self.end = params_start + len(params)
        self._table: list[Param] | None = None
        self.line = 0

    @property
    def uri_end(self) -> int:
        """The offset after the last byte of the URI."""
        return self.uri_start + len(self.uri)

    @property
    def name(self) -> bytes:
        """The display name as a person reads it: without quotes and backslashes."""
        return unquote(self.display)

    @property
    def param_list(self) -> list[Param]:
        """All parameters in order, their offsets counted from the start of the datagram."""
        if self._table is None:
            base = self.params_start
            found, _ = scan_params(self.params, 0, len(self.params))
            self._table = [(name, value, first + base, last + base) for name, value, first, last in found]
        return self._table

    def param(self, name: bytes) -> bytes | None:
        """The value of a parameter without quotes: None when absent, b"" when without value."""
        if not self.params:
            return None
        wanted = name.lower()
        for key, value, _, _ in self.param_list:
            if key == wanted:
                return unquote(value or b"")
        return None

    @property
    def tag(self) -> bytes | None:
        """The tag, None when absent (RFC 3261 section 19.3)."""
        return self.param(b"tag")

    @property
    def q(self) -> int | None:
        """The q parameter in thousandths, None when absent; raises SipError when malformed."""
        value = self.param(b"q")
        return None if value is None else parse_q(value, self.params_start)

    @property
    def expires(self) -> int | None:
        """The expires parameter in seconds, None when absent or no number (RFC 3261 section 10.2.1.1)."""
        value = self.param(b"expires")
        return None if value is None else read_seconds(value)

    def __repr__(self) -> str:
        return f"NameAddr({self.display!r}, {self.uri!r}, {self.params!r})"


def first_address(buf: bytes, start: int, end: int) -> NameAddr:
    """The first address of a header field value; white space round it is allowed.

    Raises SipError where the value begins if display name, brackets, URI or parameters are malformed.
    """
    match = _BRACKETED.match(buf, start, end)
    if match is not None:
        display, uri, params = match.groups()
        return NameAddr(display.rstrip(b" \t"), uri, params, match.start(1), match.start(2), match.start(3))
    match = _BARE.match(buf, start, end)
    if match is None:
        raise SipError("Malformed address", skip_space(buf, start, end))
    return NameAddr(b"", match[1], match[2], match.start(1), match.start(1), match.start(2))


def one_address(buf: bytes, start: int, end: int) -> NameAddr:
    """The only address of a value that is no list, as From and To; errors as `first_address`, or for more."""
    address = first_address(buf, start, end)
    if address.end < end:
        after = skip_space(buf, address.end, end)
        if after < end:
            raise SipError("More than one address", after)
    return address


def all_addresses(buf: bytes, start: int, end: int) -> list[NameAddr]:
    """Every address of a comma-separated value, in order; errors as `first_address`."""
    addresses = []
    while True:
        address = first_address(buf, start, end)
        addresses.append(address)
        if address.end == end:
            return addresses
        start = skip_space(buf, address.end, end) + 1
        if start > end:
            return addresses


#: A quote or "<" that is never closed reaches to the end, so that no byte is looked at twice.
_PIECE: Final = re.compile(rb'(?:[^,"<]++|"[^"\\]*+(?:\\.[^"\\]*+)*"?|<[^<>]*+>?)*', re.DOTALL)


def split_values(buf: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """The spans of comma-separated values, without white space; commas in quotes or <> do not separate.

    Empty values are left out (RFC 3261 section 25.1 has none, but they separate nothing).
    """
    spans = []
    while start <= end:
        match = _PIECE.match(buf, start, end)
        stop = match.end() if match else end
        first = skip_space(buf, start, stop)
        last = first + len(buf[first:stop].rstrip(b" \t"))
        if first < last:
            spans.append((first, last))
        start = stop + 1
    return spans
