"""Addresses-of-record: from a URI to the name that bindings are kept by (RFC 3261 section 10.3 item 5)."""

import re
from typing import TYPE_CHECKING, Final

from openserd.core.avp import Name
from openserd.errors import SipError
from openserd.parser.learned import Learned
from openserd.parser.uri import parse_uri, unescape

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

MAX_AOR: Final = 256
MAX_USER: Final = 64
MAX_HOST: Final = 128

# A URI as almost all of them are, by RFC 3261 section 25.1 with some characters left out; and what stands before one in
# a header line.
USER: Final = rb"[A-Za-z0-9.+\-_*#~]{1,64}+"
HOST: Final = rb"[A-Za-z0-9.\-]{1,128}+"
PORT_AND_PARAMS: Final = rb"(?::(?:[1-5][0-9]{4}|[1-9][0-9]{0,3}))?(?:;[A-Za-z0-9.=\-;]*+)?"
NAME_AND_DISPLAY: Final = rb'[^:]++:[ \t]*+(?:"[^"\\]*+"[ \t]*+|[^<>"\\,;:]*+)'

_USUAL: Final = re.compile(rb"sips?:(?:(" + USER + rb")@)?(" + HOST + rb")" + PORT_AND_PARAMS)
_USUAL_TO: Final = re.compile(
    NAME_AND_DISPLAY + rb"<(sips?:(?:(" + USER + rb")@)?(" + HOST + rb")" + PORT_AND_PARAMS
    + rb')>(?:;tag=[^\s;,"<>]++)?\r\n'
)  # fmt: skip
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


class AorRules:
    """How an AoR is made of a URI.

    `use_domain` is that of usrloc; `realm_prefix` is taken off the host; `aor_avp` names the AVP (and the
    mask of its classes) whose text, a URI, takes the place of the message's own.
    """

    __slots__ = ("aor_avp", "case_sensitive", "known", "realm_prefix", "use_domain")

    def __init__(
        self, *, use_domain: bool, case_sensitive: bool, realm_prefix: bytes, aor_avp: tuple[Name, int] | None
    ) -> None:
        self.use_domain = use_domain
        self.case_sensitive = case_sensitive
        self.realm_prefix = realm_prefix.lower()
        self.aor_avp = aor_avp
        self.known = Learned(self.normal)

    def of(self, msg: "SipMsg", uri: bytes) -> bytes:
        """The AoR that `uri` names, or the AVP instead. SipError with the reason and code of the reply."""
        if self.aor_avp is not None:
            override = msg.avps.get(*self.aor_avp)
            if isinstance(override, bytes):
                uri = override
        return self.known[uri]

    def of_to(self, msg: "SipMsg") -> bytes:
        """The AoR that To names, as of `of`: which one a REGISTER is about (RFC 3261 section 10.3 item 5)."""
        line = msg.layout.target
        usual = _USUAL_TO.fullmatch(msg.lines[line]) if line >= 0 else None
        if usual is None or self.aor_avp is not None:
            return self.of(msg, msg.to.uri)
        return self.joined(usual[2] or b"", usual[3])

    def normal(self, text: bytes) -> bytes:
        """The AoR of a URI: its user, escapes undone, with `use_domain` its host behind an @.

        Port and parameters do not count.  A URI without user gives its host, or nothing without `use_domain`.
        """
        usual = _USUAL.fullmatch(text)
        user, host = user_and_host(text) if usual is None else usual.groups(b"")
        return self.joined(user, host)

    def joined(self, user: bytes, host: bytes) -> bytes:
        """The AoR of a user, b"" for none, and a host."""
        if not self.case_sensitive:
            user = user.lower()
        if not self.use_domain:
            return user
        host = self.without_prefix(host.lower())
        return user + b"@" + host if user else host

    def without_prefix(self, host: bytes) -> bytes:
        """`host` without the realm prefix, unless nothing would be left."""
        prefix = self.realm_prefix
        return host[len(prefix) :] if prefix and host.startswith(prefix) and host != prefix else host


def user_and_host(text: bytes) -> tuple[bytes, bytes]:
    """The user of a URI, its escapes undone, b"" where it has none, and its host. SipError as of `AorRules.of`."""
    try:
        uri = parse_uri(text)
    except SipError:
        raise SipError("Error while parsing AOR") from None
    user = uri.user or b""
    if len(user) > MAX_USER or len(uri.host) > MAX_HOST or len(user) + len(uri.host) >= MAX_AOR:
        raise SipError("Address Of Record too long", code=500)
    return unescaped_user(user) if b"%" in user else user, uri.host


def unescaped_user(user: bytes) -> bytes:
    """The user with its escapes undone; control characters may not be hidden in one."""
    plain = unescape(user)
    if _BAD_ESCAPE.search(user) or _CONTROL.search(plain):
        raise SipError("Error while unescaping username")
    return plain
