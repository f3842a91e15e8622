"""mangler: puts another address into Contact and session descriptions, and takes it out again.

    Contact   sip:alice:secret@10.0.0.5:5070;transport=udp      encode_contact("pbx", "192.0.2.1")
         ->   sip:pbx*alice*secret*10.0.0.5*5070*udp@192.0.2.1  decode_contact(), decode_contact_header()
         ->   sip:alice:secret@10.0.0.5:5070;transport=udp

(OpenSER: modules/mangler.)
"""

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple

from openserd.core.message import SipMsg
from openserd.core.module import FALSE, OK, ONREPLY, REQUEST, Fixup, Fn, Module, Str, param
from openserd.errors import ConfigError, SipError
from openserd.parser import names
from openserd.parser.uri import build_uri, parse_uri

NO_BODY: Final = -2
BAD_ADDRESS: Final = -11
BAD_OLD_PORT: Final = -8
BAD_NEW_PORT: Final = -9
NOT_ENCODED: Final = -20
N_FIELDS: Final = 6  #: prefix, user, password, host, port, transport
MAX_PORT: Final = 65535

_MEDIA_PORT: Final = re.compile(rb"m=[a-z]+ ([0-9]{1,5}) ")
_CONNECTION: Final = re.compile(rb"c=IN IP4 ([0-9]{1,3}(?:\.[0-9]{1,3}){3})(?=[ \r\n])")
_OFFSET: Final = re.compile(r"[+-]?[0-9]{1,5}")
_PARTS: Final = re.compile(rb"(sips?:)([^@;>]*)@[^;>]*(.*)", re.IGNORECASE | re.DOTALL)

BOTH: Final = REQUEST | ONREPLY


class PortChange(NamedTuple):
    """What happens to a port: `value` is added where `relative`, else it is the new port."""

    value: int
    relative: bool

    def apply(self, port: int) -> int:
        """The port that `port` becomes."""
        return port + self.value if self.relative else self.value


def check_separator(text: str) -> str | None:
    """A check: something to separate with that can stand in the user part of a URI."""
    return None if text[:1] and text[0] in "*!~-_.'(&=+$" else "a character such as * that a user part can hold"


class Mangler(Module):
    name = "mangler"
    contact_flds_separator: str = param("*", check=check_separator)  #: separates the parts; its first character counts
    functions = {
        "encode_contact": Fn(Str("prefix"), Str("public ip"), routes=BOTH),
        "decode_contact": Fn(routes=REQUEST),
        "decode_contact_header": Fn(routes=BOTH),
        "sdp_mangle_ip": Fn(
            Fixup("ip/mask", "fix_network", expects="an IPv4 network such as 10.0.0.0/8"),
            Fixup("new ip", "fix_address", expects="an address without white space"),
            routes=BOTH,
        ),
        "sdp_mangle_port": Fn(
            Fixup("offset", "fix_offset", expects="a port, or +number or -number to shift ports"), routes=BOTH
        ),
    }

    # -- arguments ------------------------------------------------------------------------------------------

    def fix_network(self, text: str) -> IPv4Network:
        """The addresses to replace; one alone without a mask."""
        try:
            return IPv4Network(text.strip(), strict=False)
        except ValueError:
            raise ConfigError(f"'{text}' is no IPv4 network") from None

    def fix_address(self, text: str) -> bytes:
        """The address to write."""
        if not text or re.search(r"\s", text):
            raise ConfigError(f"'{text}' is no address")
        return text.encode()

    def fix_offset(self, text: str) -> PortChange:
        """The change of ports."""
        word = text.strip()
        if not _OFFSET.fullmatch(word) or abs(int(word)) > MAX_PORT:
            raise ConfigError(f"'{text}' is no offset")
        return PortChange(int(word), word[0] in "+-")

    # -- Contact --------------------------------------------------------------------------------------------

    @property
    def separator(self) -> bytes:
        """What stands between the parts."""
        return self.contact_flds_separator[0].encode()

    def encode_contact(self, msg: SipMsg, prefix: bytes, public_ip: bytes) -> int:
        """1 every Contact URI has been encoded, -1 there is no Contact, -20 one is no SIP URI."""
        if msg.find(names.CONTACT) < 0:
            return FALSE
        changed = [encode_uri(contact.uri, prefix, public_ip, self.separator) for contact in msg.contacts]
        return replace_contacts(msg, changed)

    def decode_contact_header(self, msg: SipMsg) -> int:
        """1 every Contact URI has been decoded, -1 there is no Contact, -20 one is not encoded."""
        if msg.find(names.CONTACT) < 0:
            return FALSE
        return replace_contacts(msg, [decode_uri(contact.uri, self.separator) for contact in msg.contacts])

    def decode_contact(self, msg: SipMsg) -> int:
        """1 the request URI has been decoded, -20 it is not encoded."""
        uri = decode_uri(msg.ruri, self.separator)
        if uri is None:
            return NOT_ENCODED
        msg.set_ruri(uri)
        return OK

    # -- session descriptions -------------------------------------------------------------------------------

    def sdp_mangle_ip(self, msg: SipMsg, network: IPv4Network, new_ip: bytes) -> int:
        """1 and the number of addresses replaced, -2 there is no body, -11 one of its addresses is none."""
        if not msg.content_length:
            return NO_BODY
        count = 0
        for match in _CONNECTION.finditer(msg.buf, msg.body_start, msg.end):
            try:
                address = IPv4Address(".".join(str(int(part)) for part in match[1].split(b".")))
            except ValueError:
                return BAD_ADDRESS
            if address in network:
                msg.replace(*match.span(1), new_ip)
                count += 1
        return count + 1

    def sdp_mangle_port(self, msg: SipMsg, change: PortChange) -> int:
        """1 and the number of ports changed, -2 there is no body, -8 a port in it is out of range, -9 a new one
        would be."""
        if not msg.content_length:
            return NO_BODY
        count = 0
        for match in _MEDIA_PORT.finditer(msg.buf, msg.body_start, msg.end):
            old = int(match[1])
            if not 0 < old <= MAX_PORT:
                return BAD_OLD_PORT
            new = change.apply(old)
            if not 0 < new <= MAX_PORT:
                return BAD_NEW_PORT
            msg.replace(*match.span(1), b"%d" % new)
            count += 1
        return count + 1


def replace_contacts(msg: SipMsg, changed: list[bytes | None]) -> int:
    """Puts new URIs into Contact; those before the first that could not be made, as in OpenSER."""
    for contact, uri in zip(msg.contacts, changed, strict=True):
        if uri is None:
            return NOT_ENCODED
        msg.replace(contact.uri_start, contact.uri_end, uri)
    return OK


def encode_uri(uri: bytes, prefix: bytes, public_ip: bytes, separator: bytes) -> bytes | None:
    """A URI of `public_ip` whose user holds what is needed to make the old one again; None for other schemes."""
    try:
        parsed = parse_uri(uri)
    except SipError:
        return None
    if not parsed.is_sip:
        return None
    port = b"%d" % parsed.port if parsed.port else b""
    fields = (prefix, parsed.user or b"", parsed.password or b"", parsed.host, port, parsed.param(b"transport") or b"")
    return b"%b:%b@%b" % (parsed.scheme, separator.join(fields), public_ip)


def decode_uri(uri: bytes, separator: bytes) -> bytes | None:
    """The URI that was encoded, with the parameters that have been added since; None where it is no such URI."""
    match = _PARTS.fullmatch(uri)
    fields = match[2].split(separator) if match is not None else []
    if match is None or len(fields) != N_FIELDS:
        return None
    _, user, password, host, port, transport = fields
    if not host or (password and not user) or (port and not port.isdigit()):
        return None
    params = b";transport=" + transport if transport else b""
    made = build_uri(match[1][:-1], user, password or None, host, int(port or 0), params) + match[3]
    try:
        parse_uri(made)
    except SipError:
        return None
    return made
