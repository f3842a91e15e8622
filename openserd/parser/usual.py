"""Header lines as almost everyone writes them: a head that comes again and again, and at the end what changes.

    From: "Alice" <sip:alice@example.com>;tag=1928301774 CRLF
    Via: SIP/2.0/UDP pc33.example.com:5060;branch=z9hG4bK776asdhds;rport CRLF
    ^head                                 ^---------------------- text

    Contact: "Alice" <sip:alice@192.0.2.10:5060>;expires=3600 CRLF
    ^head             ^---------------------------------- text

The first line with a head is read by its whole grammar; when nothing is special about it the head is known, up to a
bound, and lines that begin so need only a look at their text: letters, digits, dashes and dots.  Where there is more in
it the grammar of the field decides; all functions here but `read_via` say None for such a line.
"""

import re
from typing import Final

from openserd.parser.params import VALUE
from openserd.parser.via import HOST, Via, first_via

#: No more heads are learned than these of each kind, so that a peer cannot make them grow without end.
MOST_HEADS: Final = 4096
LONGEST_HEAD: Final = 96  #: bytes

_TAG: Final = b";tag="
_BRANCH: Final = b";branch="
_RPORT: Final = b";rport"
_RPORT_AT_END: Final = b";rport\r\n"

#: From and To; group 1 is the tag.
_ADDRESS_LINE: Final = re.compile(
    rb'[^:]++:[ \t]*+(?:"[^"\\]*+"[ \t]*+|[^<>"\\,;:]*+)<[^<>"\s]++>(?:;tag=([^\s;,"<>]++))?\r\n'
)
#: One Via, as servers write the one that comes back to them in a reply; group 1 is the branch.
_VIA_LINE: Final = re.compile(
    rb"[^:]++:[ \t]*+SIP/2\.0/[A-Za-z0-9\-]++ " + HOST + rb"(?::(?:[1-5][0-9]{4}|[1-9][0-9]{0,3}))?"
    rb"(?:;rport)?;branch=(" + VALUE + rb"++)\r\n"
)
#: What stands before the < of an address: the name of the field and perhaps a display name.
_NAME_AND_DISPLAY: Final = re.compile(rb'[^:]++:[ \t]*+(?:"[^"\\]*+"[ \t]*+|[^<>"\\,;:]*+)')
_CALL_ID_LINE: Final = re.compile(rb"[^:]++:[ \t]*+([^ \t\r\n]++)\r\n")
_CALL_ID_HEADS: Final = frozenset((b"Call-ID:", b"Call-Id:", b"CALL-ID:", b"call-id:", b"i:", b"I:"))

_address_heads: Final[set[bytes]] = set()
_display_heads: Final[set[bytes]] = set()
_branch_heads: Final[set[bytes]] = set()
#: Transport, host, port, offsets of value, host and end of host and port in the line, and of rport or 0.
_via_heads: Final[dict[bytes, tuple[bytes, bytes, int, int, int, int, int]]] = {}


def usual_call_id(line: bytes) -> bytes | None:
    """The Call-ID in its line."""
    words = line.split()
    if len(words) == 2 and words[0] in _CALL_ID_HEADS:
        return words[1]
    match = _CALL_ID_LINE.fullmatch(line)
    return None if match is None else match[1]


def usual_tag(line: bytes) -> bytes | None:
    """The tag in a From or To line, b"" where it has none (0.5 -> 0.2 us)."""
    head, found, text = line.partition(_TAG)
    if head in _address_heads:
        if not found:
            return b""
        tag = text[:-2]
        if tag.isalnum() or tag.replace(b"-", b"").isalnum():
            return tag
    match = _ADDRESS_LINE.fullmatch(line)
    if match is None:
        return None
    tag = match[1] or b""
    if tag == text[:-2] and len(_address_heads) < MOST_HEADS and len(head) <= LONGEST_HEAD:
        _address_heads.add(head)
    return tag


def usual_address(line: bytes) -> tuple[bytes, bytes] | None:
    """The first URI of an address line that has it in < and >, and what follows up to the end of the line."""
    head, _, text = line.partition(b"<")
    if head not in _display_heads:
        if _NAME_AND_DISPLAY.fullmatch(head) is None:
            return None
        if len(_display_heads) < MOST_HEADS and len(head) <= LONGEST_HEAD:
            _display_heads.add(head)
    uri, closed, rest = text.partition(b">")
    return (uri, rest[:-2]) if closed else None


def usual_uri(uri: bytes) -> tuple[bytes, bytes] | None:
    """User, b"" for none, and host of a SIP or SIPS URI without password, escapes and header part."""
    scheme, _, rest = uri.partition(b":")
    user, at, place = rest.partition(b"@")
    if not at:
        user, place = b"", rest
    place, _, params = place.partition(b";")
    host, colon, port = place.partition(b":")
    if (
        (scheme == b"sip" or scheme == b"sips")
        and (user.isalnum() or not at or user.translate(None, b".+-_*#~").isalnum())
        and host.replace(b".", b"").replace(b"-", b"").isalnum()
        and (not params or params.translate(None, b"=;.-").isalnum())
        and (not colon or (port.isdigit() and port >= b"1" and (len(port) < 5 or (len(port) == 5 and port < b"6"))))
    ):
        return user, host
    return None


def usual_branch(line: bytes) -> bytes | None:
    """The branch in a Via line that holds one Via (1.0 -> 0.4 us)."""
    head, _, text = line.partition(_BRANCH)
    branch = text[:-2]
    if head in _branch_heads and branch.replace(b".", b"").isalnum():
        return branch
    match = _VIA_LINE.fullmatch(line)
    if match is None:
        return None
    if len(_branch_heads) < MOST_HEADS and len(head) <= LONGEST_HEAD:
        _branch_heads.add(head)
    return match[1]


def read_via(line: bytes, at: int, buf: bytes) -> Via:
    """The first Via in a line that begins at offset `at` of `buf`; raises SipError where it is malformed."""
    head, _, text = line.partition(_BRANCH)
    known = _via_heads.get(head)
    end = at + len(line) - 2
    if known is None:
        via = first_via(buf, at + line.index(b":") + 1, end)
        learn_via(line, at, via)
        return via
    transport, host, port, start, host_start, sent_by_end, rport = known
    is_last = text[-8:] == _RPORT_AT_END
    branch = text[:-8] if is_last else text[:-2]
    is_plain = branch.isalnum() or branch.replace(b"-", b"").replace(b".", b"").isalnum()
    if not is_plain or (is_last and rport):
        return first_via(buf, at + line.index(b":") + 1, end)
    via = Via(transport, host, port, branch, line[sent_by_end:-2], at + start, at + host_start, at + sent_by_end, end)
    if is_last:
        via.rport = b""
        via.rport_span = (end - 5, end)
    elif rport:
        via.rport = b""
        via.rport_span = (at + rport, at + len(head))
    return via


def learn_via(line: bytes, at: int, via: Via) -> None:
    """Makes the head of a line known, where nothing but perhaps `rport` stands between host and port and the branch."""
    head, _, text = line.partition(_BRANCH)
    sent_by_end = via.sent_by_end - at
    between = head[sent_by_end:]
    if via.end != at + len(line) - 2 or not text or between not in (b"", _RPORT):
        return
    if len(_via_heads) < MOST_HEADS and len(head) <= LONGEST_HEAD:
        rport = sent_by_end + 1 if between else 0
        _via_heads[head] = (
            via.transport, via.host, via.port, via.start - at, via.host_start - at, sent_by_end, rport,
        )  # fmt: skip
