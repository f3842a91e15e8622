"""Header fields as a script names and edits them, and questions about what a message carries."""

import re
from typing import Final

from openserd.core.message import SipMsg
from openserd.errors import ConfigError
from openserd.parser import names
from openserd.parser.methods import METHOD_BITS

PRIVACY_VALUES: Final = frozenset((b"critical", b"header", b"history", b"id", b"none", b"session", b"user"))
DEFAULT_TYPE: Final = b"application/sdp"  #: what a body without Content-Type is taken for (OpenSER)

_MIME: Final = re.compile(rb"[ \t]*([^\s/;,]+)[ \t]*/[ \t]*([^\s/;,]+)[ \t]*(?=;|\Z)")
_PRIVACY_SEPARATOR: Final = re.compile(rb"[;,]")


class HeaderName:
    """The name of a header field, known to the server (`hid`) or not (`other`, in lower case)."""

    __slots__ = ("hid", "other")

    def __init__(self, text: bytes) -> None:
        self.hid = names.header_id(text)
        self.other = text.lower()

    def is_in(self, msg: SipMsg) -> bool:
        """Whether the message as received has the field."""
        return self.hid in msg.layout.first if self.hid else bool(msg.indexes_named(self.other))

    def lines(self, msg: SipMsg) -> list[int]:
        """The indexes of its lines in the message as received."""
        return msg.indexes(self.hid) if self.hid else msg.indexes_named(self.other)


def header_name(text: str) -> HeaderName:
    """The header field that a script names, long or compact. Raises ConfigError."""
    name = text.strip().encode("utf-8", "surrogateescape")
    if not names.is_header_name(name):
        raise ConfigError(f"'{text}' is no header field name", expected="a name such as User-Agent")
    return HeaderName(name)


def method_names(text: str) -> frozenset[bytes]:
    """The methods in `INVITE|ACK`, or one that the server does not know. Raises ConfigError."""
    methods = [word.strip().upper().encode() for word in text.split("|")]
    unknown = [method.decode() for method in methods if method not in METHOD_BITS]
    if not all(methods) or not all(names.is_header_name(method) for method in methods):
        raise ConfigError(f"'{text}' is no method", expected="a method, or several with | between them")
    if len(methods) > 1 and unknown:
        raise ConfigError(
            f"{unknown[0]} is not known and cannot stand in a list of methods",
            expected=", ".join(method.decode() for method in METHOD_BITS),
        )
    return frozenset(methods)


def is_one_of(msg: SipMsg, methods: frozenset[bytes]) -> bool:
    """Whether the method of a request, or of the request that a reply answers, is among `methods`.

    Known methods are compared as they are (RFC 3261 section 7.1), others without regard to case (OpenSER).
    """
    method = msg.method or msg.cseq.method
    return method in methods or (method not in METHOD_BITS and method.upper() in methods)


def mime_type(text: bytes) -> bytes | None:
    """type/subtype in lower case, parameters left out; None where there is none."""
    match = _MIME.match(text)
    return b"%b/%b" % (match[1].lower(), match[2].lower()) if match else None


def has_body(msg: SipMsg, wanted: bytes | None) -> bool:
    """Whether Content-Length announces a body and, unless `wanted` is None, Content-Type is of that type."""
    if not msg.content_length:
        return False
    if wanted is None:
        return True
    content_type = msg.content_type
    return (DEFAULT_TYPE if content_type is None else mime_type(content_type)) == wanted


def asks_privacy(msg: SipMsg, wanted: bytes) -> bool:
    """Whether Privacy asks for `wanted` (RFC 3323 section 4.2); not where `none` stands beside other values.

    OpenSER separates values by commas, the RFC by semicolons; both are read.
    """
    values = {
        piece.strip(b" \t").lower() for value in msg.headers(names.PRIVACY) for piece in _PRIVACY_SEPARATOR.split(value)
    }
    return wanted in values and (b"none" not in values or len(values) == 1)
