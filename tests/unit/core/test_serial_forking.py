"""Serial forking: the set in order of q, one group after the other, with all that belongs to a branch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openserd.core.destinations import MAX_BRANCHES, Branch
from openserd.core.message import SipMsg
from openserd.core.serial_forking import (
    SERIAL_BRANCH,
    next_branches,
    pack_branch,
    preference,
    serialize_branches,
    unpack_branch,
)
from tests.unit.script.pv_samples import BARE, Recorder, message


def forking(ruri_q: int | None, *branches: Branch) -> SipMsg:
    msg = message(BARE)
    msg.set_ruri(b"sip:first")
    msg.q = ruri_q
    msg.branches += branches
    return msg


def uris(msg: SipMsg) -> list[bytes]:
    return [branch.uri for branch in msg.branches]


def test_groups_come_with_the_highest_q_first() -> None:
    msg = forking(500, Branch(b"sip:a", 1000), Branch(b"sip:b", 500), Branch(b"sip:c", 1000), Branch(b"sip:d", 100))
    serialize_branches(msg, True)
    assert uris(msg) == []
    found = []
    while next_branches(msg, [], replace_ruri=True):
        found.append([msg.ruri, *uris(msg)])
    assert found == [[b"sip:a", b"sip:c"], [b"sip:first", b"sip:b"], [b"sip:d"]]
    assert len(msg.avps) == 0


def test_in_a_failure_route_the_group_is_added_and_the_request_uri_stays() -> None:
    msg = forking(500, Branch(b"sip:a", 1000), Branch(b"sip:b", 1000))
    serialize_branches(msg, True)
    assert next_branches(msg, [], replace_ruri=False)
    assert (msg.ruri, uris(msg)) == (b"sip:first", [b"sip:a", b"sip:b"])
    assert next_branches(msg, [], replace_ruri=False)
    assert uris(msg) == [b"sip:a", b"sip:b", b"sip:first"]
    assert not next_branches(msg, [], replace_ruri=False)


def test_one_q_alone_stores_nothing() -> None:
    msg = forking(None, Branch(b"sip:a"), Branch(b"sip:b"))
    serialize_branches(msg, True)
    assert uris(msg) == [b"sip:a", b"sip:b"] and not next_branches(msg, [], replace_ruri=True)
    msg = forking(700)
    serialize_branches(msg, True)
    assert len(msg.avps) == 0


def test_no_q_comes_after_every_q() -> None:
    msg = forking(None, Branch(b"sip:a", 0))
    serialize_branches(msg, True)
    assert next_branches(msg, [], replace_ruri=True) and msg.ruri == b"sip:a"
    assert next_branches(msg, [], replace_ruri=True) and (msg.ruri, msg.q) == (b"sip:first", None)


@pytest.mark.parametrize(
    ("clean", "expected"), [(True, [b"sip:z", b"sip:first"]), (False, [b"sip:z", b"sip:first", b"sip:a", b"sip:first"])]
)
def test_what_was_stored_before_is_dropped_or_comes_afterwards(clean: bool, expected: list[bytes]) -> None:
    msg = forking(500, Branch(b"sip:a", 1000))
    serialize_branches(msg, True)
    msg.q = 500
    msg.branches.append(Branch(b"sip:z", 1000))
    serialize_branches(msg, clean)
    msg.set_ruri(b"sip:other")
    found = []
    while next_branches(msg, [], replace_ruri=True):
        found.append(msg.ruri)
    assert found == expected


def test_next_hop_path_flags_and_listener_travel_with_the_uri() -> None:
    listeners = [Recorder(), Recorder("tcp", index=1)]
    msg = forking(500, Branch(b"sip:a", 1000, b"sip:nat", b"<sip:edge;lr>", 6, listeners[1]))
    msg.dst_uri, msg.path, msg.branch_flags, msg.force_listener = b"sip:gw", b"<sip:p;lr>", 3, listeners[0]
    serialize_branches(msg, True)
    assert (msg.q, msg.branch_flags) == (None, 0)
    next_branches(msg, listeners, replace_ruri=True)
    assert (msg.ruri, msg.q, msg.dst_uri, msg.path, msg.branch_flags, msg.force_listener) == (
        b"sip:a",
        1000,
        b"sip:nat",
        b"<sip:edge;lr>",
        6,
        listeners[1],
    )
    next_branches(msg, listeners, replace_ruri=True)
    assert (msg.dst_uri, msg.path, msg.branch_flags, msg.force_listener) == (b"sip:gw", b"<sip:p;lr>", 3, listeners[0])


def test_a_uri_that_the_script_stored_itself_is_taken_as_it_is() -> None:
    msg = forking(500, Branch(b"sip:a", 1000, b"sip:nat"))
    serialize_branches(msg, True)
    msg.avps.add(SERIAL_BRANCH, b"sip:mine")
    next_branches(msg, [], replace_ruri=True)
    assert (msg.ruri, msg.dst_uri) == (b"sip:mine", None)
    assert uris(msg) == [b"sip:a"] and msg.branches[0].dst_uri == b"sip:nat"


def test_a_full_set_takes_what_fits_and_says_so() -> None:
    msg = forking(None)
    msg.branches += [Branch(b"sip:x")] * (MAX_BRANCHES - 2)
    for name in (b"sip:b", b"sip:a"):
        msg.avps.add(SERIAL_BRANCH, name)
    assert not next_branches(msg, [], replace_ruri=False)
    assert len(msg.branches) == MAX_BRANCHES - 1 and msg.branches[-1].uri == b"sip:a"


TEXT = st.binary(max_size=20)


@given(TEXT, st.none() | st.integers(0, 1000), TEXT, TEXT, st.integers(0, 2**32 - 1), st.integers(-1, 1))
def test_a_packed_branch_comes_back(
    uri: bytes, q: int | None, dst_uri: bytes, path: bytes, flags: int, listener: int
) -> None:
    listeners = [Recorder(), Recorder(index=1)]
    branch = Branch(uri, q, dst_uri or None, path, flags, listeners[listener] if listener >= 0 else None)
    found = unpack_branch(pack_branch(branch), listeners)
    assert found is not None
    assert all(getattr(found, slot) == getattr(branch, slot) for slot in Branch.__slots__)
    assert preference(found) == preference(branch)


@pytest.mark.parametrize("damaged", [b"", b"sip:a", b"1 2 3", b"a b c d e f"])
def test_other_bytes_are_no_branch(damaged: bytes) -> None:
    assert unpack_branch(damaged, []) is None
