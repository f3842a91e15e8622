"""Remote-Party-ID: who calls, as the server vouches for it (draft-ietf-sip-privacy, in use before RFC 3325)."""

import re
from typing import Final

from openserd.errors import SipError
from openserd.parser.nameaddr import one_address
from openserd.parser.uri import parse_uri

HEADER: Final = b"Remote-Party-ID"
E164: Final = re.compile(rb"\+[0-9]{2,15}")

_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_SIP: Final = b"sip:"


def user_of(rpid: bytes) -> bytes:
    """The user in a stored identity: of its SIP URI, in angle brackets or alone; otherwise all of it.

    SipError where it is malformed.
    """
    text = rpid
    if b"<" in _QUOTED.sub(b"", rpid):
        text = one_address(rpid, 0, len(rpid)).uri
    if text[:4].lower() == _SIP and len(text) > len(_SIP):
        return parse_uri(text).user or b""
    return text


def is_e164(rpid: bytes) -> bool:
    """Whether the user in a stored identity is a + and 2 to 15 digits."""
    try:
        return E164.fullmatch(user_of(rpid)) is not None
    except SipError:
        return False
