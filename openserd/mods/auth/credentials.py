"""Credentials as a request presents them, and which of them have been found right (RFC 3261 section 22).

What has been found is kept with the message as "auth", text of three numbers: the header line of the Authorization
that was found right, that of the Proxy-Authorization (-1 none), and the header fields whose nonce was too old (1
Authorization, 2 Proxy-Authorization).
"""

import re
from typing import TYPE_CHECKING, Final

from openserd.errors import SipError
from openserd.mods.auth.digest import ALGORITHMS, AS_WRITTEN, AUTH, AUTH_INT, MD5, Algorithm
from openserd.mods.auth.nonce import NEVER
from openserd.parser import names
from openserd.parser.digest import DIGEST, Credentials, parse_credentials
from openserd.parser.uri import parse_uri

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

ATTACHMENT: Final = "auth"
AT: Final = ord("@")
MIN_NAME: Final = 3  #: a shorter user name is not looked into for a domain (OpenSER)

HEADERS: Final = (names.AUTHORIZATION, names.PROXY_AUTHORIZATION)
STALE: Final = 2  #: which of the numbers kept with a message tells whose nonce was too old
#: What is kept with a message of which nothing was known before.
_FOUND_RIGHT: Final = {names.AUTHORIZATION: b"%d -1 0", names.PROXY_AUTHORIZATION: b"-1 %d 0"}

_NC: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")
_NEEDED: Final = (b"username", b"realm", b"nonce", b"uri", b"response")
_NEEDED_WITH_QOP: Final = (*_NEEDED, b"cnonce", b"nc")


class Presented:
    """Digest credentials in header line `line` of a request, for `realm`.

    `user` and `user_domain` are the two sides of the @ in the user name, the second empty without one.  `algorithm` is
    None where it is not known here, `qop` in lower case and empty without one.
    """

    __slots__ = (
        "algorithm", "credentials", "expires", "header", "line", "qop", "realm", "user", "user_domain", "username",
    )  # fmt: skip

    def __init__(self, credentials: Credentials, header: int, line: int, realm: bytes) -> None:
        self.credentials = credentials
        self.header = header
        self.line = line
        self.realm = realm
        self.expires = NEVER  #: when the nonce expires, once it is known as our own
        fields = credentials.fields
        qop = fields.get(b"qop")
        algorithm = fields.get(b"algorithm")
        self.qop = qop.strip().lower() if qop else b""
        self.algorithm: Algorithm | None = MD5
        if algorithm:
            self.algorithm = AS_WRITTEN.get(algorithm) or ALGORITHMS.get(algorithm.strip().lower())
        self.user = self.username = username = fields.get(b"username", b"")
        self.user_domain = b""
        if AT in username and len(username) >= MIN_NAME:
            self.user, _, self.user_domain = username.partition(b"@")

    @property
    def domain(self) -> bytes:
        """Where the user belongs: the domain in the user name, otherwise the realm."""
        return self.user_domain or self.realm

    @property
    def nc(self) -> int:
        """The nonce count, 0 where there is none or it is no number."""
        text = self.credentials.nc or b""
        return int(text, 16) if _NC.fullmatch(text) else 0

    def check(self) -> None:
        """Raises SipError where something is missing without which no response can be checked (OpenSER:
        check_dig_cred)."""
        fields = self.credentials.fields
        for name in _NEEDED_WITH_QOP if self.qop in (AUTH, AUTH_INT) else _NEEDED:
            if name not in fields:
                raise SipError("Incomplete credentials")
        if self.user_domain and self.user_domain != self.credentials.realm:  # `alice@`, as sipsak writes, has none
            raise SipError("User of another realm")


def find(msg: "SipMsg", header: int, realm: bytes) -> Presented | None:
    """The first Digest credentials for `realm`, whatever its case. SipError where what comes before is malformed."""
    for line in msg.indexes(header):
        credentials = read_credentials(msg, line)
        if credentials.scheme == DIGEST:
            given = credentials.fields.get(b"realm", b"")
            if given == realm or given.lower() == realm.lower():
                return Presented(credentials, header, line, realm)
    return None


def read_credentials(msg: "SipMsg", line: int) -> Credentials:
    """The credentials in a header line. SipError where they are malformed."""
    try:
        return parse_credentials(msg.value(line))
    except SipError as error:
        error.offset += msg.line_start(line)
        raise


def realm_of(msg: "SipMsg", header: int, prefix: bytes) -> bytes:
    """The realm that a request belongs to: the host of To for a REGISTER to this server, otherwise that of From.

    `prefix` is taken off it, unless nothing would be left.  SipError where the address is malformed.
    """
    is_own = msg.method == b"REGISTER" and header == names.AUTHORIZATION
    host = parse_uri(msg.to.uri if is_own else msg.from_.uri).host
    return host[len(prefix) :] if prefix and host != prefix and host.startswith(prefix) else host


def marks_of(msg: "SipMsg") -> list[int]:
    """What is known about the credentials of a message: the three numbers that the head of this file tells of."""
    known = None if msg.attachments is None else msg.attachments.get(ATTACHMENT)
    return [-1, -1, 0] if known is None else list(map(int, known.split()))


def mark_authorized(msg: "SipMsg", presented: Presented) -> None:
    """Notes that credentials have been found right."""
    if msg.attachments is None:
        msg.attachments = {ATTACHMENT: _FOUND_RIGHT[presented.header] % presented.line}
        return
    marks = marks_of(msg)
    marks[HEADERS.index(presented.header)] = presented.line
    msg.attach(ATTACHMENT, b"%d %d %d" % tuple(marks))


def mark_stale(msg: "SipMsg", header: int) -> None:
    """Notes that credentials were right but for their nonce."""
    marks = marks_of(msg)
    marks[STALE] |= 1 << HEADERS.index(header)
    msg.attach(ATTACHMENT, b"%d %d %d" % tuple(marks))


def is_stale(msg: "SipMsg", header: int) -> bool:
    """Whether the next challenge has to say that only the nonce was too old."""
    return msg.attachments is not None and bool(marks_of(msg)[STALE] & 1 << HEADERS.index(header))


def authorized(msg: "SipMsg") -> Presented | None:
    """The credentials that have been found right, those for this server before those for a proxy; None without."""
    for header, line in zip(HEADERS, marks_of(msg)[:STALE], strict=True):
        if line >= 0:
            credentials = read_credentials(msg, line)
            return Presented(credentials, header, line, credentials.realm or b"")
    return None
