"""The destination set: the request URI and the additional branches a request will be sent to.

(OpenSER: dset.h; twelve branches at most, the request URI being the first.)
"""

from typing import TYPE_CHECKING, Final

from openserd.core.network.transport import Listener

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

MAX_BRANCHES: Final = 12


class Branch:
    """One member of the destination set beside the request URI.

    `q` in thousandths or None; `dst_uri` the next hop if not the URI itself; `path` the Route values to put in front;
    `listener` the one to send from, None to choose by destination.
    """

    __slots__ = ("dst_uri", "flags", "listener", "path", "q", "uri")

    def __init__(
        self,
        uri: bytes,
        q: int | None = None,
        dst_uri: bytes | None = None,
        path: bytes = b"",
        flags: int = 0,
        listener: Listener | None = None,
    ) -> None:
        self.uri = uri
        self.q = q
        self.dst_uri = dst_uri
        self.path = path
        self.flags = flags
        self.listener = listener


def append_branch(msg: "SipMsg", uri: bytes | None = None, q: int | None = None) -> bool:
    """Adds a branch; False when the set is full.

    Without `uri` the current request URI is copied and its next hop, branch flags, Path and forced listener move to
    the new branch (OpenSER: append_branch() of the core).
    """
    if len(msg.branches) >= MAX_BRANCHES - 1:
        return False
    if uri is not None:
        msg.branches.append(Branch(uri, q))
        return True
    msg.branches.append(
        Branch(msg.ruri, msg.q if q is None else q, msg.dst_uri, msg.path, msg.branch_flags, msg.force_listener)
    )
    msg.dst_uri = None
    msg.path = b""
    msg.branch_flags = 0
    msg.force_listener = None
    return True


def ruri_branch(msg: "SipMsg") -> Branch:
    """The request URI as a member of the destination set."""
    return Branch(msg.ruri, msg.q, msg.dst_uri, msg.path, msg.branch_flags, msg.force_listener)


def contact_list(branches: list[Branch]) -> bytes:
    """The set as the value of a Contact header field: `<uri>;q=0.5, <uri>` (for 3xx replies)."""
    return b", ".join(b"<%b>%b" % (b.uri, b"" if b.q is None else b";q=%b" % format_q(b.q)) for b in branches)


def format_q(q: int) -> bytes:
    """A q value of `q` thousandths in its shortest form."""
    return b"1" if q >= 1000 else (b"0.%03d" % q).rstrip(b"0").rstrip(b".")
