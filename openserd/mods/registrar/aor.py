"""Addresses-of-record: from a URI to the name that bindings are kept by (RFC 3261 section 10.3 item 5)."""

import re
from typing import TYPE_CHECKING, Final

from openserd.core.avp import Name
from openserd.errors import SipError
from openserd.parser.learned import LONGEST_LINE, Learned
from openserd.parser.uri import parse_uri, unescape
from openserd.parser.usual import usual_address, usual_uri

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

MAX_AOR: Final = 256
MAX_USER: Final = 64  #: a URI that is no longer has neither user nor host too long
MAX_HOST: Final = 128

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


class AorRules:
    """How an AoR is made of a URI.

    `use_domain` is that of usrloc; `realm_prefix` is taken off the host; `aor_avp` names the AVP (and the
    mask of its classes) whose text, a URI, takes the place of the message's own.
    """

    __slots__ = ("aor_avp", "case_sensitive", "known", "known_lines", "realm_prefix", "use_domain")

    def __init__(
        self, *, use_domain: bool, case_sensitive: bool, realm_prefix: bytes, aor_avp: tuple[Name, int] | None
    ) -> None:
        self.use_domain = use_domain
        self.case_sensitive = case_sensitive
        self.realm_prefix = realm_prefix.lower()
        self.aor_avp = aor_avp
        self.known = Learned(self.normal)
        self.known_lines = Learned(self.of_line, LONGEST_LINE)

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
        aor = self.known_lines[msg.lines[line]] if line >= 0 and self.aor_avp is None else None
        return self.of(msg, msg.to.uri) if aor is None else aor

    def of_line(self, line: bytes) -> bytes | None:
        """The AoR that a To line names, None where it is written in an unusual way."""
        usual = usual_address(line)
        return None if usual is None else self.normal(usual[0])

    def normal(self, text: bytes) -> bytes:
        """The AoR of a URI: its user, escapes undone, with `use_domain` its host behind an @.

        Port and parameters do not count.  A URI without user gives its host, or nothing without `use_domain`.
        """
        user, host = user_and_host(text)
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
    usual = usual_uri(text) if len(text) <= MAX_USER else None
    if usual is not None:
        return usual
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
