"""A SIP message on its way through the server: what was received, and what the script has decided so far.

Reading is the parser's: `SipMsg` is a parsed `Message` with the way it came in, the request's destination set, flags,
AVPs and the pending edits (lumps).  Request URI, next hop, flags and AVPs change at once; edits of the text are only
seen when the message is sent (OpenSER: a script still reads what was received).
"""

import re
import time
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from openserd.core.avp import AvpList
from openserd.core.destinations import Branch
from openserd.core.lumps import Lump, LumpData, apply_lumps
from openserd.core.network.transport import Address, Listener
from openserd.errors import SipError
from openserd.parser import names
from openserd.parser.message import Message
from openserd.parser.uri import Uri, parse_uri
from openserd.parser.via import Via

#: URIs come again and again; a parsed one is never changed (2.2 -> 0.2 us, `make bench`)
known_uri = lru_cache(maxsize=1024)(parse_uri)

_RECEIVED: Final = re.compile(rb";[ \t]*received(?:[ \t]*=[ \t]*[^;,\s]*)?", re.IGNORECASE)

read_message: Final = Message.__init__

#: The header line with a number of hops; there are 257 (0.2 -> 0.05 us).
max_forwards_line: Final = [b"Max-Forwards: %d\r\n" % hops for hops in range(257)].__getitem__

NO_ADDRESS: Final[Address] = ("", 0)


class SipMsg(Message):
    """One request or reply, from its datagram to the messages that it causes; used by one worker only.

    `number` counts the messages of this process.  `error` is the last classified error, `route_kind` the kind of route
    block that is running, `reply_headers` whole header lines for replies made here.
    """

    __slots__ = (
        "_uri", "advertised_host", "advertised_port", "attachments", "avps", "branch_flags", "branches", "clock",
        "dropped", "dst_uri", "error", "extension", "flags", "force_listener", "listener", "local_rport", "lumps",
        "number", "original_ruri", "own_route", "path", "q", "reply_headers", "retcode", "route_kind", "rport_forced",
        "rr_params", "script_flags", "source_host", "source_port",
    )  # fmt: skip

    def __init__(self, buf: bytes, source: Address, listener: Listener, number: int = 0) -> None:
        read_message(self, buf)
        self.source_host, self.source_port = source
        self.listener = listener
        self.number = number
        self.original_ruri = self.ruri
        self._uri: Uri | None = None
        self.dst_uri: bytes | None = None
        self.path = b""
        self.q: int | None = None
        self.force_listener: Listener | None = None
        self.flags = 0
        self.branch_flags = 0
        self.script_flags = 0
        self.branches: list[Branch] = []
        self.avps = AvpList()
        self.lumps: list[Lump] = []
        self.reply_headers: list[bytes] = []
        self.retcode = 0
        self.error: SipError | None = None
        self.dropped = False
        self.route_kind = 0
        self.rport_forced = False
        self.local_rport = False
        self.advertised_host: bytes | None = None
        self.advertised_port = 0
        self.own_route: bytes | None = None  #: parameters of the Route value that named this server (rr)
        self.rr_params = b""  #: parameters that wait for a Record-Route (rr)
        self.clock = 0.0
        self.extension: object = None  #: what a transaction module keeps with the message in hand
        self.attachments: dict[str, bytes] | None = None  #: what other modules keep, see `attach`

    # -- reading ------------------------------------------------------------------------------------------

    @property
    def source(self) -> Address:
        """Where the message came from."""
        return self.source_host, self.source_port

    @property
    def received_at(self) -> float:
        """Wall clock seconds, taken at the first question and the same for the whole message."""
        if not self.clock:
            self.clock = time.time()
        return self.clock

    @property
    def uri(self) -> Uri:
        """The current request URI, parsed. Raises SipError."""
        if self._uri is None:
            self._uri = known_uri(self.ruri)
        return self._uri

    def set_ruri(self, uri: bytes) -> None:
        """Makes `uri` the request URI."""
        self.ruri = uri
        self._uri = None

    # -- what modules keep with it ------------------------------------------------------------------------

    def attach(self, name: str, data: bytes) -> None:
        """Keeps `data` with the message, by the name of the module that it belongs to.

        It is bytes so that whoever takes the request up again in another process can take it along.
        """
        if self.attachments is None:
            self.attachments = {}
        self.attachments[name] = data

    def attached(self, name: str) -> bytes:
        """What a module has attached, b"" where it has nothing."""
        return b"" if self.attachments is None else self.attachments.get(name, b"")

    # -- edits --------------------------------------------------------------------------------------------

    @property
    def headers_end(self) -> int:
        """Offset of the empty line: where header lines are appended."""
        return self.body_start - 2

    def insert(self, at: int, data: LumpData) -> None:
        """Puts `data` in front of offset `at`."""
        self.replace(at, at, data)

    def delete(self, start: int, end: int) -> None:
        """Takes the bytes start..end out."""
        self.replace(start, end, b"")

    def replace(self, start: int, end: int, data: LumpData) -> None:
        """Puts `data` in the place of the bytes start..end; Content-Length follows an edit of the body."""
        self.lumps.append((start, end, data))
        if end >= self.body_start:
            self.fit_content_length()

    def fit_content_length(self) -> None:
        """Makes Content-Length, where there is one, that of the body as it will be sent."""
        line = self.find(names.CONTENT_LENGTH)
        if line >= 0:
            body = apply_lumps(self.buf, self.body_start, self.end, self.lumps, None)
            self.replace_line(*self.line_span(line), b"Content-Length: %d\r\n" % len(body))

    def add_line(self, line: bytes) -> None:
        """Appends header text (with its CRLF) after the last header line."""
        at = self.body_start - 2
        self.lumps.append((at, at, line))

    def insert_line(self, line: LumpData) -> None:
        """Puts header text (with its CRLF) before the first header line."""
        at = self.line_end
        self.lumps.append((at, at, line))

    def add_header(self, name: bytes, value: bytes) -> None:
        """Appends one header field after the last."""
        self.add_line(b"%b: %b\r\n" % (name, value))

    def replace_header(self, name: bytes, value: bytes) -> None:
        """Gives the first header field `name` a new value, or adds the field."""
        lines = self.indexes_named(name)
        if not lines:
            self.add_header(name, value)
            return
        self.replace_line(*self.line_span(lines[0]), b"%b: %b\r\n" % (name, value))

    def replace_line(self, start: int, end: int, line: bytes) -> None:
        """Puts a header line in the place of another; the last of several edits of one line counts."""
        if self.lumps:
            self.lumps[:] = [lump for lump in self.lumps if lump[0] != start or lump[1] != end]
        self.lumps.append((start, end, line))

    def set_max_forwards(self, hops: int) -> None:
        """Gives the request another Max-Forwards, a new one before all header lines; readable at once."""
        line = max_forwards_line(hops)
        index = self.layout.max_forwards
        if index >= 0:
            start = self.line_start(index)
            end = start + len(self.lines[index])
            if self.lumps:
                self.replace_line(start, end, line)
            else:
                self.lumps.append((start, end, line))
        else:
            added = (self.line_end, self.line_end, max_forwards_line(self.max_forwards or 0))
            if added in self.lumps:
                self.lumps.remove(added)
            self.insert_line(line)
        self._max_forwards = hops

    def remove_lines(self, lines: list[int]) -> None:
        """Takes whole header lines out, by their index."""
        for line in lines:
            self.delete(*self.line_span(line))

    # -- the top Via as this server corrects it -------------------------------------------------------------

    def via_lumps(self) -> list[Lump]:
        """The edits of the top Via that RFC 3261 18.2.1 and RFC 3581 ask for: `received` when its host is not where
        the request came from, the value of `rport` when it was asked for (or by `force_rport()`)."""
        via = self._via1 or self.top_via()
        wants_port = via.rport is not None or self.rport_forced
        if via.received is None and not wants_port and via.host == self.source_host.encode():
            return []
        return self.corrected_via(via, wants_port)

    def corrected_via(self, via: Via, wants_port: bool) -> list[Lump]:
        """As `via_lumps`; a `received` that the sender wrote itself goes: replies would follow it to somebody else."""
        lumps: list[Lump] = []
        if via.received is not None and (match := _RECEIVED.search(self.buf, via.sent_by_end, via.end)) is not None:
            lumps.append((match.start(), match.end(), b""))
        added = b""
        if wants_port or not same_host(via.host, self.source_host):
            added = b";received=%b" % self.source_host.encode()
        if via.rport is not None:
            start, end = via.rport_span
            lumps.append((start, end, b"rport=%d" % self.source_port))
        elif self.rport_forced:
            added += b";rport=%d" % self.source_port
        if added:
            lumps.append((via.end, via.end, added))
        return lumps


def same_host(written: bytes, address: str) -> bool:
    """Whether a host as written in a message is the IP address `address`."""
    text = written.decode("latin-1").strip("[]")
    if text == address:
        return True
    try:
        return ip_address(text) == ip_address(address)
    except ValueError:
        return False
