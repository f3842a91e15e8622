"""Parameters of header field values: `;name=value`, value a token, host or quoted string (RFC 3261 25.1)."""

import re
from typing import Final

from openserd.errors import SipError

#: One parameter: name in lower case, value as received (None without "="), offsets of both together.
Param = tuple[bytes, bytes | None, int, int]

# Possessive quantifiers stand on single characters only, and a repeated group is made atomic instead: on
# groups re forgets, before Python 3.11.5, to go back to the start of an iteration that fails half-way.
TOKEN: Final = rb"[A-Za-z0-9\-.!%*_+`'~]"
QUOTED: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*"'
VALUE: Final = rb'[^\s;,"<>]'
#: Any number of parameters, white space allowed round ";" and "=".
PARAMS: Final = (
    rb"(?>(?:[ \t]*+;[ \t]*+" + TOKEN + rb"++(?:[ \t]*+=[ \t]*+"
    rb"(?:" + QUOTED + rb"|" + VALUE + rb"*+))?)*)"
)  # fmt: skip

_PARAM: Final = re.compile(
    rb"[ \t]*+;[ \t]*+((" + TOKEN + rb"++)(?:[ \t]*+=[ \t]*+(" + QUOTED + rb"|" + VALUE + rb"*+))?)",
    re.DOTALL,
)
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)


def scan_params(buf: bytes, start: int, end: int) -> tuple[list[Param], int]:
    """The parameters that begin at `start`, and the offset where they end, before any white space.

    Never raises: the caller decides whether what stands at that offset is allowed there.
    """
    params: list[Param] = []
    match = _PARAM.match(buf, start, end)
    while match is not None:
        params.append((match[2].lower(), match[3], match.start(1), match.end(1)))
        start = match.end()
        match = _PARAM.match(buf, start, end)
    return params, start


def parse_params(text: bytes, offset: int = 0) -> list[Param]:
    """All parameters of `text`, which holds nothing else; `offset` is added to every offset.

    Raises SipError at the first byte that belongs to no parameter.
    """
    params, end = scan_params(text, 0, len(text))
    if text[end:].strip(b" \t"):
        raise SipError("Malformed parameter", offset + end)
    if not offset:
        return params
    return [(name, value, first + offset, last + offset) for name, value, first, last in params]


def unquote(value: bytes) -> bytes:
    """The content of a quoted string, its quoted pairs resolved; any other value unchanged."""
    if len(value) < 2 or value[:1] != b'"' or value[-1:] != b'"':
        return value
    inner = value[1:-1]
    return _QUOTED_PAIR.sub(rb"\1", inner) if b"\\" in inner else inner


def quote(value: bytes) -> bytes:
    """`value` as a quoted string, a backslash before each quote and backslash (RFC 3261 section 25.1)."""
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def skip_space(buf: bytes, start: int, end: int) -> int:
    """The offset of the first byte from `start` that is neither space nor tab, at most `end`."""
    while start < end and buf[start] in b" \t":
        start += 1
    return start
