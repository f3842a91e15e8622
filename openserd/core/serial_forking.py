"""Serial forking: the destination set put aside in order of preference, and taken up again group by group.

`serialize_branches` stores the set in the AVP `serial_branch` so that the group with the highest q is read
first; the last URI of each group carries a mark.  Beside each URI a second AVP keeps what else belongs to the
branch: next hop, Path, flags, listener (OpenSER's serialize.c loses these).

    second AVP: q flags listener len(uri) len(dst_uri), decimal, each followed by a space; uri; dst_uri; path
    (q -1 when none is set, listener -1 when none is forced, an empty dst_uri means none)
"""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from openserd.core.destinations import MAX_BRANCHES, Branch, ruri_branch
from openserd.core.network.transport import Listener

if TYPE_CHECKING:
    from openserd.core.message import SipMsg

SERIAL_BRANCH: Final = 0xFF3434  #: OpenSER: SERIAL_AVL_ID
SERIAL_DETAILS: Final = 0xFF3435
GROUP_END: Final = 1 << 32  #: AVP flag outside the classes a script can name

_N_NUMBERS: Final = 5


def serialize_branches(msg: "SipMsg", clean_before: bool) -> None:
    """Moves the destination set into the stored list; `clean_before` drops what was stored before.

    Nothing happens where all q are the same: there is nothing to do one after the other.
    """
    branches = [ruri_branch(msg), *msg.branches]
    if len({branch.q for branch in branches}) < 2:
        return
    if clean_before:
        msg.avps.drop(SERIAL_BRANCH)
        msg.avps.drop(SERIAL_DETAILS)
    for _, group in groupby(sorted(branches, key=preference), key=preference):
        for place, branch in enumerate(reversed(list(group))):
            msg.avps.add(SERIAL_BRANCH, branch.uri, 0 if place else GROUP_END)
            msg.avps.add(SERIAL_DETAILS, pack_branch(branch))
    msg.branches.clear()
    msg.q = None
    msg.branch_flags = 0


def preference(branch: Branch) -> int:
    """What branches are ordered by; no q comes after q 0."""
    return -1 if branch.q is None else branch.q


def next_branches(msg: "SipMsg", listeners: Sequence[Listener], *, replace_ruri: bool) -> bool:
    """Takes the next group up; False where none is left or the set is full.

    With `replace_ruri` (request route) the group is the new destination set, its first URI the request URI;
    else (failure route) all of it is added to the set.
    """
    group = take_group(msg, listeners)
    if not group:
        return False
    if replace_ruri:
        msg.branches.clear()
        become_ruri(msg, group.pop(0))
    room = MAX_BRANCHES - 1 - len(msg.branches)
    msg.branches += group[:room]
    return len(group) <= room


def take_group(msg: "SipMsg", listeners: Sequence[Listener]) -> list[Branch]:
    """The branches of the next group, taken out of the stored list."""
    group: list[Branch] = []
    for value, flags in msg.avps.entries(SERIAL_BRANCH):
        uri = value if isinstance(value, bytes) else b"%d" % value
        group.append(details_of(msg, uri, listeners) or Branch(uri))
        msg.avps.drop(SERIAL_BRANCH, all=False)
        if flags & GROUP_END:
            break
    return group


def details_of(msg: "SipMsg", uri: bytes, listeners: Sequence[Listener]) -> Branch | None:
    """What was stored with `uri`; None where the script itself wrote this URI into the list."""
    stored = msg.avps.get(SERIAL_DETAILS)
    branch = unpack_branch(stored, listeners) if isinstance(stored, bytes) else None
    if branch is None or branch.uri != uri:
        return None
    msg.avps.drop(SERIAL_DETAILS, all=False)
    return branch


def become_ruri(msg: "SipMsg", branch: Branch) -> None:
    """Makes `branch` the request URI with all that belongs to it."""
    msg.set_ruri(branch.uri)
    msg.q = branch.q
    msg.dst_uri = branch.dst_uri
    msg.path = branch.path
    msg.branch_flags = branch.flags
    msg.force_listener = branch.listener


def pack_branch(branch: Branch) -> bytes:
    """A branch as bytes, to be stored in an AVP."""
    dst_uri = branch.dst_uri or b""
    listener = -1 if branch.listener is None else branch.listener.index
    numbers = (preference(branch), branch.flags, listener, len(branch.uri), len(dst_uri))
    return b"%d %d %d %d %d " % numbers + branch.uri + dst_uri + branch.path


def unpack_branch(packed: bytes, listeners: Sequence[Listener]) -> Branch | None:
    """The branch that `pack_branch` made these bytes of; None for other bytes."""
    *numbers, text = packed.split(b" ", _N_NUMBERS)
    try:
        q, flags, listener, n_uri, n_dst_uri = map(int, numbers)
    except ValueError:
        return None
    uri, dst_uri, path = text[:n_uri], text[n_uri : n_uri + n_dst_uri], text[n_uri + n_dst_uri :]
    return Branch(
        uri,
        None if q < 0 else q,
        dst_uri or None,
        path,
        flags,
        listeners[listener] if 0 <= listener < len(listeners) else None,
    )
