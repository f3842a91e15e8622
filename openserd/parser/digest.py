"""Digest credentials and challenges as they are written (RFC 3261 section 22.4, RFC 7616, RFC 2617)."""

import re
from typing import Final

from openserd.errors import SipError
from openserd.parser.learned import Learned
from openserd.parser.params import QUOTED, TOKEN, skip_space, unquote

_SCHEME: Final = re.compile(rb"(" + TOKEN + rb"++)(?:[ \t]++|\Z)")
_FIELD: Final = re.compile(
    rb"(" + TOKEN + rb"++)[ \t]*+=[ \t]*+(" + QUOTED + rb'|[^\s,"]*+)[ \t]*+(?:(,)|\Z)', re.DOTALL
)

#: The names of fields, as almost everyone writes them.
_USUAL_NAMES: Final = frozenset(b"username realm nonce uri response algorithm cnonce opaque qop nc".split())
_USUAL_TOKEN: Final = re.compile(rb"[A-Za-z0-9\-]++")
_BACKSLASH: Final = ord("\\")

DIGEST: Final = b"digest"
_USUAL_SCHEME: Final = b"Digest "  #: as almost everyone writes it


class Credentials:
    """One Authorization or Proxy-Authorization value.

    `scheme` is in lower case; the fields are without quotes, None when absent.  Of a scheme other than Digest
    only `scheme` and `raw` are set.  `fields` has every field of Digest, names in lower case.
    """

    __slots__ = ("fields", "raw", "scheme")

    def __init__(self, raw: bytes, scheme: bytes, fields: dict[bytes, bytes]) -> None:
        self.raw = raw
        self.scheme = scheme
        self.fields = fields

    @property
    def is_digest(self) -> bool:
        """Whether the scheme is Digest."""
        return self.scheme == DIGEST

    @property
    def username(self) -> bytes | None:
        """The user, as in the quoted string."""
        return self.fields.get(b"username")

    @property
    def realm(self) -> bytes | None:
        """The protection domain."""
        return self.fields.get(b"realm")

    @property
    def nonce(self) -> bytes | None:
        """The server's nonce."""
        return self.fields.get(b"nonce")

    @property
    def uri(self) -> bytes | None:
        """The digest-uri; it need not equal the request URI."""
        return self.fields.get(b"uri")

    @property
    def response(self) -> bytes | None:
        """The response, hexadecimal as received."""
        return self.fields.get(b"response")

    @property
    def algorithm(self) -> bytes | None:
        """The algorithm as received; None means MD5."""
        return self.fields.get(b"algorithm")

    @property
    def cnonce(self) -> bytes | None:
        """The client's nonce."""
        return self.fields.get(b"cnonce")

    @property
    def opaque(self) -> bytes | None:
        """What the server asked to get back."""
        return self.fields.get(b"opaque")

    @property
    def qop(self) -> bytes | None:
        """The quality of protection; in a challenge a comma-separated list."""
        return self.fields.get(b"qop")

    @property
    def nc(self) -> bytes | None:
        """The nonce count, eight hexadecimal digits."""
        return self.fields.get(b"nc")

    @property
    def stale(self) -> bool:
        """Whether a challenge says that only the nonce was too old."""
        return self.fields.get(b"stale", b"").lower() == b"true"

    def __repr__(self) -> str:
        return f"Credentials({self.raw!r})"


#: A WWW-Authenticate or Proxy-Authenticate value has the same shape.
Challenge = Credentials


def parse_credentials(value: bytes, offset: int = 0) -> Credentials:
    """The credentials in a header field value that begins at `offset` of the datagram.

    Raises SipError where a Digest field is malformed or given twice; other schemes are not looked into.
    """
    if value.startswith(_USUAL_SCHEME):
        return Credentials(value, DIGEST, _fields(value, 7, offset))
    match = _SCHEME.match(value)
    if match is None:
        raise SipError("Malformed credentials", offset)
    scheme = match[1].lower()
    return Credentials(value, scheme, _fields(value, match.end(), offset) if scheme == DIGEST else {})


def parse_challenge(value: bytes, offset: int = 0) -> Challenge:
    """The challenge in a WWW-Authenticate or Proxy-Authenticate value; errors as `parse_credentials`."""
    return parse_credentials(value, offset)


#: What stands before a quoted text: the fields without quotes, and the name of the one that the text belongs to, b"" at
#: the end of all.
Gap = tuple[tuple[tuple[bytes, bytes], ...], bytes]


def _read_first_gap(text: bytes) -> Gap | None:
    """The first gap; None where there is anything unusual."""
    fields = []
    *whole, last = text.split(b",")
    for field in whole:
        name, _, token = field.strip(b" \t").partition(b"=")
        if name not in _USUAL_NAMES or _USUAL_TOKEN.fullmatch(token) is None:
            return None
        fields.append((name, token))
    name, equals, token = last.strip(b" \t").partition(b"=")
    if equals and name not in _USUAL_NAMES:
        return None
    if not token:
        return (tuple(fields), name) if equals or not text else None
    return ((*fields, (name, token)), b"") if _USUAL_TOKEN.fullmatch(token) is not None else None


def _read_gap(text: bytes) -> Gap | None:
    """The gap between two quoted texts, or after the last one."""
    return _read_first_gap(text[1:]) if text[:1] == b"," and len(text) > 1 else None if text else ((), b"")


_FIRST_GAPS: Final = Learned(_read_first_gap)
_GAPS: Final = Learned(_read_gap)


def _fields(value: bytes, start: int, offset: int) -> dict[bytes, bytes]:
    """As `_read_fields`, quick where they are written as usual: quotes part texts from gaps (2.8 -> 1.3 us)."""
    fields: dict[bytes, bytes] = {}
    pieces = value[start:].split(b'"')
    n_tokens = 0
    gaps: Learned[Gap | None] = _FIRST_GAPS
    following = iter(pieces)
    for gap in following:
        found = gaps[gap]
        if found is None:
            break
        tokens, quoted = found
        for name, token in tokens:
            fields[name] = token
            n_tokens += 1
        if quoted:
            fields[quoted] = next(following, b"")
        gaps = _GAPS
    else:
        if len(fields) == n_tokens + len(pieces) // 2 and len(pieces) & 1 and _BACKSLASH not in value:
            return fields
    return _read_fields(value, skip_space(value, start, len(value)), offset)


def _read_fields(value: bytes, start: int, offset: int) -> dict[bytes, bytes]:
    """Comma-separated name=value fields from `start` to the end, quotes removed."""
    fields: dict[bytes, bytes] = {}
    end = len(value)
    while start < end:
        match = _FIELD.match(value, start)
        if match is None:
            raise SipError("Malformed Digest field", offset + start)
        name = match[1].lower()
        if name in fields:
            raise SipError("Digest field given twice", offset + start)
        fields[name] = unquote(match[2])
        start = skip_space(value, match.end(), end)
    return fields
