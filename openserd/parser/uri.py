"""URIs: sip and sips taken apart, tel by number, any other by scheme; comparison by RFC 3261 section 19.1.4.

sip:user:password@host:port;params?headers
"""

import re
from typing import Final

from openserd.errors import SipError
from openserd.parser.via import HOST

_SIP: Final = re.compile(
    rb"([Ss][Ii][Pp][Ss]?+):"
    rb'(?:([^@:<>"\x00-\x20\x7f]*+)(?::([^@<>"\x00-\x20\x7f]*+))?@)?'
    rb"(" + HOST + rb")(?::([0-9]{1,5}))?"
    rb'((?:;[^;?@<>"\x00-\x20\x7f]*+)*)'
    rb'(\?[^@<>"\x00-\x20\x7f]*+)?'
)
_ABSOLUTE: Final = re.compile(rb'([A-Za-z][A-Za-z0-9+.\-]*+):([^<>"\x00-\x20\x7f]++)')
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_PERCENT: Final = ord("%")
_UNSAFE_USER: Final = re.compile(rb"[^A-Za-z0-9\-_.!~*'()&=+$,;?/]")
_VISUAL_SEPARATORS: Final = b"-.()"
_RESERVED: Final = frozenset(b";/?:@&=+$,%")

SIP: Final = b"sip"
SIPS: Final = b"sips"
TEL: Final = b"tel"

#: Parameters that make two URIs differ when only one of them has it.
_NEVER_OPTIONAL: Final = frozenset((b"user", b"ttl", b"method", b"maddr", b"transport"))

Pair = tuple[bytes, bytes | None]


class UriError(SipError):
    """A URI that is none."""


class Uri:
    """A URI as received, taken apart.

    `scheme` is in lower case.  `user` and `password` keep their escapes, None when absent; `host` keeps the
    brackets of IPv6; `port` is 0 when absent; `params` begins with ";" and `headers` with "?", both b"" when
    absent; `is_sip` says that the scheme is sip or sips.  A tel URI has its number in `user` and an empty host; any
    other URI has only scheme and `opaque`.
    """

    __slots__ = ("headers", "host", "is_sip", "opaque", "params", "password", "port", "raw", "scheme", "user")

    def __init__(
        self, raw: bytes, scheme: bytes, user: bytes | None, password: bytes | None, host: bytes, port: int,
        params: bytes, headers: bytes, opaque: bytes = b"",
    ) -> None:  # fmt: skip
        self.raw = raw
        self.scheme = scheme
        self.is_sip = scheme in (SIP, SIPS)
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params = params
        self.headers = headers
        self.opaque = opaque

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address in brackets."""
        return self.host[:1] == b"["

    @property
    def param_list(self) -> list[Pair]:
        """All parameters in order: name in lower case, value None when there is no "="."""
        return _pairs(self.params[1:], b";")

    @property
    def header_list(self) -> list[Pair]:
        """The header part in order: name in lower case, value still escaped."""
        return _pairs(self.headers[1:], b"&")

    def param(self, name: bytes) -> bytes | None:
        """The value of a parameter: None when absent, b"" when present without value."""
        if not self.params:
            return None
        wanted = name.lower()
        for key, value in _pairs(self.params[1:], b";"):
            if key == wanted:
                return value or b""
        return None

    def has_param(self, name: bytes) -> bool:
        """Whether a parameter is present, with a value or without."""
        return self.param(name) is not None

    def to_bytes(self) -> bytes:
        """The URI exactly as it was parsed."""
        return self.raw

    def same_as(self, other: "Uri") -> bool:
        """Whether both are the same: RFC 3261 section 19.1.4, tel by RFC 3966 section 5, others bytewise."""
        if self.scheme != other.scheme:
            return False
        if self.is_sip:
            return _same_sip(self, other)
        if self.scheme == TEL:
            return _tel_key(self) == _tel_key(other)
        return self.opaque == other.opaque

    def __repr__(self) -> str:
        return f"Uri({self.raw!r})"


def parse_uri(buf: bytes, offset: int = 0) -> Uri:
    """The URI that `buf` is, without white space or <>; `offset` is its place in the datagram.

    Raises SipError when it is no absolute URI, or a sip or sips URI whose user, host or port is malformed, as
    an IPv6 address without brackets is.
    """
    match = _SIP.fullmatch(buf)
    if match is None:
        return _parse_other(buf, offset)
    scheme, user, password, host, digits, params, headers = match.groups()
    port = 0
    if digits is not None:
        port = int(digits)
        if not 0 < port < 65536:
            raise UriError("Port out of range in URI", offset + match.start(5))
    if user is not None and not user:
        raise UriError("Empty user in URI", offset + match.start(2))
    return Uri(buf, scheme.lower(), user, password, host, port, params, headers or b"")


def build_uri(
    scheme: bytes, user: bytes | None, password: bytes | None, host: bytes, port: int, params: bytes = b"",
    headers: bytes = b"",
) -> bytes:  # fmt: skip
    """A sip or sips URI from its parts, each written as `Uri` keeps it; an empty user is left out."""
    text = scheme + b":"
    if user:
        text += user + (b"@" if password is None else b":" + password + b"@")
    text += host
    if port:
        text += b":%d" % port
    return text + params + headers


def unescape(text: bytes) -> bytes:
    """`text` with each %HH turned into its byte, %00 included; a "%" without two hex digits stays."""
    if _PERCENT not in text:
        return text
    return _ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), text)


def escape_user(text: bytes) -> bytes:
    """`text` with each byte escaped that the user part of a URI cannot hold (RFC 3261 section 25.1, user)."""
    return _UNSAFE_USER.sub(lambda match: b"%%%02X" % match[0][0], text)


def _parse_other(buf: bytes, offset: int) -> Uri:
    """A URI that is not sip or sips; raises SipError for a malformed one, sip and sips included."""
    match = _ABSOLUTE.fullmatch(buf)
    if match is None:
        raise UriError("Malformed URI", offset)
    scheme, opaque = match[1].lower(), match[2]
    if scheme in (SIP, SIPS):
        raise UriError("Malformed SIP URI", offset)
    if scheme != TEL:
        return Uri(buf, scheme, None, None, b"", 0, b"", b"", opaque)
    number, semicolon, params = opaque.partition(b";")
    return Uri(buf, scheme, number, None, b"", 0, semicolon + params, b"", opaque)


def _pairs(text: bytes, separator: bytes) -> list[Pair]:
    """name=value pairs, names in lower case, empty ones left out."""
    pairs: list[Pair] = []
    for piece in text.split(separator):
        name, equals, value = piece.partition(b"=")
        if name:
            pairs.append((name.lower(), value if equals else None))
    return pairs


def _canonical(text: bytes) -> bytes:
    """Escapes undone; those of reserved characters, which mean another thing, stay in upper case."""
    if _PERCENT not in text:
        return text

    def resolve(match: re.Match[bytes]) -> bytes:
        byte = int(match[1], 16)
        return match[0].upper() if byte in _RESERVED else bytes((byte,))

    return _ESCAPE.sub(resolve, text)


def _same_sip(one: Uri, two: Uri) -> bool:
    """RFC 3261 section 19.1.4 for two URIs of one scheme."""
    if one.raw == two.raw:
        return True
    if one.port != two.port or one.host.lower() != two.host.lower():
        return False
    if _escaped_key(one.user) != _escaped_key(two.user):
        return False
    if _escaped_key(one.password) != _escaped_key(two.password):
        return False
    return _same_params(one, two) and _header_key(one) == _header_key(two)


def _escaped_key(text: bytes | None) -> bytes | None:
    return None if text is None else _canonical(text)


def _param_table(uri: Uri) -> dict[bytes, bytes]:
    """Parameters as they compare: without case, escapes resolved, the first of a name counting."""
    table: dict[bytes, bytes] = {}
    for name, value in uri.param_list:
        table.setdefault(_canonical(name).lower(), _canonical(value or b"").lower())
    return table


def _same_params(one: Uri, two: Uri) -> bool:
    """A parameter in both must agree; in one only, it is ignored unless listed in `_NEVER_OPTIONAL`."""
    first, second = _param_table(one), _param_table(two)
    for name, value in first.items():
        if name in second:
            if second[name] != value:
                return False
        elif name in _NEVER_OPTIONAL:
            return False
    return not any(name in _NEVER_OPTIONAL and name not in first for name in second)


def _header_key(uri: Uri) -> list[tuple[bytes, bytes]]:
    """The header part as it compares: order does not matter, every value does."""
    return sorted((_canonical(name).lower(), _canonical(value or b"")) for name, value in uri.header_list)


def _tel_key(uri: Uri) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Number without visual separators, and all parameters without case."""
    number = (uri.user or b"").translate(None, _VISUAL_SEPARATORS).lower()
    return number, sorted((name, (value or b"").lower()) for name, value in uri.param_list)
