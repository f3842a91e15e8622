"""The destination set: what becomes a branch and how it is written."""

import pytest

from openserd.core.destinations import MAX_BRANCHES, Branch, append_branch, contact_list, format_q, ruri_branch
from tests.support.recording import RecordingListener, request


def test_a_branch_of_its_own_leaves_the_request_alone() -> None:
    msg = request()
    msg.dst_uri, msg.q = b"sip:192.0.2.9", 900
    assert append_branch(msg, b"sip:carol@chicago.example", 500)
    branch = msg.branches[0]
    assert (branch.uri, branch.q, branch.dst_uri) == (b"sip:carol@chicago.example", 500, None)
    assert (msg.ruri, msg.dst_uri, msg.q) == (b"sip:bob@biloxi.example", b"sip:192.0.2.9", 900)


def test_without_a_uri_the_request_s_own_destination_moves_to_the_branch() -> None:
    msg, listener = request(), RecordingListener()
    msg.dst_uri, msg.path, msg.branch_flags, msg.force_listener, msg.q = b"sip:gw", b"<sip:p;lr>", 6, listener, 700
    assert append_branch(msg)
    branch = msg.branches[0]
    assert (branch.uri, branch.q) == (b"sip:bob@biloxi.example", 700)
    assert (branch.dst_uri, branch.path, branch.flags) == (b"sip:gw", b"<sip:p;lr>", 6)
    assert branch.listener is listener
    left: tuple[object, ...] = (msg.dst_uri, msg.path, msg.branch_flags, msg.force_listener)
    assert left == (None, b"", 0, None)
    assert msg.ruri == b"sip:bob@biloxi.example"


def test_a_copy_may_get_another_q() -> None:
    msg = request()
    msg.q = 700
    append_branch(msg, q=0)
    assert msg.branches[0].q == 0


def test_twelve_destinations_are_the_most() -> None:
    msg = request()
    added = [append_branch(msg, b"sip:%d@biloxi.example" % number) for number in range(MAX_BRANCHES + 2)]
    assert added == [True] * (MAX_BRANCHES - 1) + [False] * 3
    assert len(msg.branches) + 1 == MAX_BRANCHES == 12
    assert not append_branch(msg)
    assert msg.dst_uri is None


def test_the_request_uri_is_a_member_of_the_set_too() -> None:
    msg = request()
    msg.dst_uri, msg.path, msg.branch_flags, msg.q = b"sip:gw", b"<sip:p;lr>", 6, 100
    branch = ruri_branch(msg)
    assert (branch.uri, branch.q, branch.dst_uri, branch.path, branch.flags, branch.listener) == (
        msg.ruri, 100, b"sip:gw", b"<sip:p;lr>", 6, None,
    )  # fmt: skip


def test_the_set_is_written_as_a_contact_list() -> None:
    branches = [Branch(b"sip:a@x", 500), Branch(b"sip:b@x;y=z"), Branch(b"sip:c@x", 1000)]
    assert contact_list(branches) == b"<sip:a@x>;q=0.5, <sip:b@x;y=z>, <sip:c@x>;q=1"
    assert contact_list([]) == b""


@pytest.mark.parametrize(
    ("q", "text"),
    [
        (0, b"0"),
        (1, b"0.001"),
        (10, b"0.01"),
        (100, b"0.1"),
        (250, b"0.25"),
        (999, b"0.999"),
        (1000, b"1"),
        (5000, b"1"),
    ],
)
def test_a_q_value_is_written_in_its_shortest_form(q: int, text: bytes) -> None:
    assert format_q(q) == text
