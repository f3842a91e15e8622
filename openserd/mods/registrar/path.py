"""Path: the way back to a contact through the proxies its REGISTER came by (RFC 3327).

The values of all Path header fields make one vector, kept with the binding and put into requests as Route.
"""

from typing import TYPE_CHECKING, Final

from openserd.errors import SipError
from openserd.parser import names
from openserd.parser.nameaddr import first_address
from openserd.parser.uri import parse_uri, unescape

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

MAX_PATH: Final = 255

MODE_OFF: Final = 0
MODE_LAZY: Final = 1
MODE_STRICT: Final = 2


def path_vector(msg: "SipMsg") -> bytes:
    """All Path values of a REGISTER, separated by commas, b"" without any.

    SipError when one is malformed, all are too long or the first is no loose router.
    """
    if names.PATH not in msg.layout.first:
        return b""
    vector = b",".join(msg.headers(names.PATH))
    try:
        first = msg.paths[0]
        is_loose = parse_uri(first.uri).has_param(b"lr")
    except SipError:
        is_loose = False
    if not is_loose or len(vector) > MAX_PATH:
        raise SipError("Path parse error")
    return vector


def received_of(vector: bytes) -> bytes:
    """The `received` parameter of the first URI: where the proxy that wrote it saw the REGISTER come from."""
    return unescape(parse_uri(first_uri(vector)).param(b"received") or b"")


def first_uri(vector: bytes) -> bytes:
    """The URI of the first proxy, which requests are sent to."""
    if vector[:1] == b"<":
        return vector[1 : vector.index(b">")]
    return first_address(vector, 0, len(vector)).uri
