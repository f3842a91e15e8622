"""To tags of replies made here: the same for every reply to one request, different between requests.

OpenSER: 32 hex digits that identify this server, a separator, 8 hex digits over the request's top Via.  What a
peer sees again (an ACK to a stateless reply) can be recognised by the digits of the server without any state.  The
digits of the Via are the interpreter's hash of its parts, which all processes of one server share.
"""

from hashlib import md5
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

EIGHT_DIGITS: Final = 0xFFFFFFFF


class ToTags:
    """The To tags of one signer (stateless or transaction replies) of one server."""

    def __init__(self, seed: bytes, separator: bytes, addresses: list[bytes]) -> None:
        digest = md5(b"|".join([seed, *addresses]), usedforsecurity=False).hexdigest()
        self.prefix = digest.encode() + separator

    def tag(self, msg: "SipMsg") -> bytes:
        """The tag for replies to the request `msg`."""
        via = msg.top_via()
        return b"%b%08x" % (self.prefix, hash((via.branch or msg.call_id, via.host, via.port)) & EIGHT_DIGITS)

    def is_ours(self, tag: bytes | None) -> bool:
        """Whether `tag` was made here."""
        return tag is not None and tag.startswith(self.prefix)
