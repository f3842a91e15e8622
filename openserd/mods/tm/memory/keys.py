"""How a message finds its transaction.

A request by a key made of what its sender repeats in a retransmission (RFC 3261 section 17.2.3): branch, sent-by and
method, an ACK and a CANCEL asking for the INVITE's.  Senders older than RFC 3261 are matched by Call-ID, CSeq number,
From tag and, as `ruri_matching` and `via1_matching` say, request URI and Via.

A reply by the branch this server wrote (17.1.3): it holds the slot of the record, its label and the number of the
branch, so that no search is needed.

    z9hG4bK <slot, hex> . <label, 8 hex digits> [<MD5 of a fork, or when syn_branch=0>] . <branch, hex>
"""

import re
from hashlib import md5
from typing import Final

from openserd.core.message import SipMsg
from openserd.parser.via import MAGIC_COOKIE, follows_rfc3261

_OWN_BRANCH: Final = re.compile(rb"z9hG4bK([0-9a-f]{1,8})\.([0-9a-f]{8})([0-9a-f]{32})?\.([0-9a-f]{1,2})")

LABEL_MASK: Final = 0xFFFFFFFF


#: What a branch written by this server says: slot and label of the record, and the number of the branch.
OwnBranch = tuple[int, int, int]


def request_key(msg: SipMsg, method: bytes, ruri_matching: bool = True, via1_matching: bool = True) -> bytes:
    """The key of the transaction of `method` that the request `msg` belongs to. Raises SipError."""
    via = msg.top_via()
    if follows_rfc3261(via.branch):
        return b"%b|%b|%b:%d" % (method, via.branch, via.host.lower(), via.port)
    parts = [method, msg.call_id, b"%d" % msg.cseq.number, msg.from_tag or b""]
    if ruri_matching:
        parts.append(msg.original_ruri)
    if via1_matching:
        parts += [via.host.lower(), b"%d" % via.port, via.branch or b""]
    return b"|".join(parts)


def own_branch(branch: bytes | None) -> OwnBranch | None:
    """What `branch` says when this server may have written it, else None."""
    match = _OWN_BRANCH.fullmatch(branch) if branch is not None else None
    return (int(match[1], 16), int(match[2], 16), int(match[4], 16)) if match else None


def branch_digest(branch: bytes | None) -> bytes | None:
    """The digest in a branch that this server may have written, None where it holds none."""
    match = _OWN_BRANCH.fullmatch(branch) if branch is not None else None
    return match[3] if match else None


def make_branch(slot: int, label: int, number: int, digest: bytes = b"") -> bytes:
    """The branch of client transaction `number` of the record in `slot`."""
    return b"%b%x.%08x%b.%x" % (MAGIC_COOKIE, slot, label, digest, number)


def renumbered(request: bytes, number: int) -> bytes:
    """The request that another branch `number` of its transaction sends: its top Via, the line behind the first, says
    so."""
    start = request.index(b"\r\n") + 2
    match = _OWN_BRANCH.search(request, start, request.index(b"\r\n", start))
    assert match is not None, "a request that was not sent by this server"
    return b"%b%x%b" % (request[: match.start(4)], number, request[match.end(4) :])


def request_digest(msg: SipMsg) -> bytes:
    """32 hex digits over what identifies a request (OpenSER: the branch with syn_branch=0)."""
    via = msg.top_via()
    parts = (
        msg.from_tag or b"",
        msg.to_tag or b"",
        msg.call_id,
        msg.original_ruri,
        b"%d" % msg.cseq.number,
        via.host,
        b"%d" % via.port,
    )
    return md5(b"|".join(parts), usedforsecurity=False).hexdigest().encode()
